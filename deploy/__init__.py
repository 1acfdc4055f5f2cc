"""Wiring: the command line, the embedded stack and the deployable workers."""

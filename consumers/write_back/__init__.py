"""Sink that tells a system, in its own records, how its orders stand: accepted, waiting, refused or differing."""

"""Lag of every consumer group, measured from the broker and judged by its trend."""

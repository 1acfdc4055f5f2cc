"""Signed requests to the vendors' own servers: at least once, in the order of each order's updates."""

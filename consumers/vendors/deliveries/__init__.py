"""Sink from `vendors.updates` to the queue of what has still to be delivered to each vendor."""

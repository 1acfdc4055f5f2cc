"""Sink from `orders.events` to the ERP database: the latest version of every order, in tables."""

"""Continuous backup of topics: closed, encrypted segments of every partition."""

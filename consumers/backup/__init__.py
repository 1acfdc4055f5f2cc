"""Sink from every order topic to `backup.orders`: an append-only, hash-chained copy."""

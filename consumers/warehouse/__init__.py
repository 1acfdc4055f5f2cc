"""Sink from `gl.postings` to the general-ledger warehouse: an append-only, balanced double-entry ledger."""

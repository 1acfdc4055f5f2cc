"""Revenue accounting under IFRS 15 / ASC 606: orders and whole contracts in, balanced journal entries out; pure."""

from streams.rules.accounting.orders import journal_entries, positions

__all__ = ["journal_entries", "positions"]

"""One cell of the matrix of duties: who, what, and who says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One role and one action, named as who enforces it names it."""

    enforcer: str
    """broker, database, API or files."""
    role: str
    action: str
    allowed: bool

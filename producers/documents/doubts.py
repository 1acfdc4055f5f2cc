"""What a person has to settle before an order of a document is taken."""

from __future__ import annotations

from dataclasses import dataclass, field

from producers.documents.masters import KnownCustomer, KnownProduct, Match
from producers.documents.order import ReadOrder
from producers.documents.source import Source


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that a person has to look at."""

    rule: str
    message: str
    where: str
    candidates: list[tuple[str, str, float]] = field(default_factory=list)
    """Id, name and likeness of the records that are written nearly so."""
    by_meaning: list[tuple[str, str, float]] = field(default_factory=list)
    """Further ones that mean nearly that; found when the order waits already, for the person's eyes only."""


class Doubts(list[Doubt]):
    """All of one order, in the order in which they were found."""

    def add(
        self, rule: str, message: str, where: str, match: Match[KnownProduct] | Match[KnownCustomer] | None = None
    ) -> None:
        """One more; `match` names what it may be."""
        self.append(Doubt(rule, message, where, [] if match is None else match.candidates))


@dataclass(frozen=True, slots=True)
class Case:
    """One order of a document while it is looked into."""

    read: ReadOrder
    source: Source
    doubts: Doubts = field(default_factory=Doubts)

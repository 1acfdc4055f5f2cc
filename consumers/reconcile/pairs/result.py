"""What came of comparing two systems: the differences of most money, and control totals of everything."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple

from consumers.reconcile.attributes import text_of
from schemas.attributes import Instant

SHOWN = 1_000
"""Differences that a report itself holds; a file of them holds all."""


class Difference(NamedTuple):
    """One difference of one order. `kind` is missing (on the right), extra (there), different or unreadable."""

    order_id: str
    kind: str
    field: str | None
    """None where one side has nothing of the order at all."""
    left: str | None
    right: str | None
    amount: Decimal | None
    currency_code: str | None


class TotalKey(NamedTuple):
    """What control totals are kept by; period and status are empty where neither system knows them."""

    period: str
    currency_code: str
    order_status: str
    measure: str


@dataclass(slots=True)
class ControlTotal:
    """One control total on both sides."""

    left_orders: int = 0
    left_amount: Decimal = Decimal(0)
    right_orders: int = 0
    right_amount: Decimal = Decimal(0)

    @property
    def is_equal(self) -> bool:
        """Whether both sides come to the same."""
        return (self.left_orders, self.left_amount) == (self.right_orders, self.right_amount)


@dataclass(slots=True)
class PairReport:
    """The comparison of `left` with `right`; its size does not grow with the number of orders."""

    left: str
    right: str
    terms: str
    started_at: Instant
    seconds: float = 0.0
    left_orders: int = 0
    right_orders: int = 0
    differing_orders: int = 0
    differences: int = 0
    totals: dict[TotalKey, ControlTotal] = field(default_factory=dict)
    _largest: list[tuple[Decimal, int, Difference]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(0, -1))

    @property
    def is_equal(self) -> bool:
        """Whether both say the same of every order."""
        return not self.differences

    @property
    def shown(self) -> list[Difference]:
        """The differences of most money, up to `SHOWN`, by order and field."""
        return sorted((one for _, _, one in self._largest), key=lambda one: (one.order_id, one.field or ""))

    def add(self, difference: Difference) -> None:
        """Take in one difference."""
        self.differences += 1
        entry = (abs(difference.amount or Decimal(0)), next(self._numbers), difference)
        if len(self._largest) < SHOWN:
            heapq.heappush(self._largest, entry)
        else:
            heapq.heappushpop(self._largest, entry)

    def sorted_totals(self) -> Iterator[tuple[TotalKey, ControlTotal]]:
        """Every control total by period, currency, status and measure."""
        yield from sorted(self.totals.items())

    def summary(self) -> str:
        """One line."""
        verdict = (
            f"{self.left} and {self.right} are equal"
            if self.is_equal
            else f"{self.left} and {self.right} differ in {self.differing_orders:,} orders, {self.differences:,} times"
        )
        return f"{verdict} ({self.left_orders:,} and {self.right_orders:,} orders, {self.seconds:.1f} s)"

    def as_json(self) -> dict[str, Any]:
        """Plain values; decimals as texts, so that no digit is lost."""
        return {
            "equal": self.is_equal,
            "left": self.left,
            "right": self.right,
            "compared": self.terms,
            "started_at": text_of(self.started_at),
            "seconds": round(self.seconds, 3),
            "left_orders": self.left_orders,
            "right_orders": self.right_orders,
            "differing_orders": self.differing_orders,
            "differences": self.differences,
            "shown": [_plain(one._asdict()) for one in self.shown],
            "totals": [
                key._asdict()
                | {
                    "left_orders": total.left_orders,
                    "left_amount": text_of(total.left_amount),
                    "right_orders": total.right_orders,
                    "right_amount": text_of(total.right_amount),
                    "equal": total.is_equal,
                }
                for key, total in self.sorted_totals()
            ],
        }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: text_of(value) if isinstance(value, Decimal) else value for name, value in values.items()}

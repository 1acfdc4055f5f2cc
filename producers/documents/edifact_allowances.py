"""Allowances and charges (ALC and what follows it) of an EDIFACT order or line."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from producers.documents.edi import Segment
from producers.documents.edifact_values import Values
from producers.documents.order import ReadOrder

_ZERO, _HUNDRED = Decimal(0), Decimal(100)
# UNCL 4471: off invoice; what is billed back or settled otherwise changes no price.
_OFF_INVOICE = frozenset({"", "2", "6"})


@dataclass(slots=True)
class _Allowance:
    segment: Segment
    is_charge: bool
    amount: Decimal | None = None
    percent: Decimal | None = None


class Allowances:
    """Of one order or line, in the order in which they come."""

    def __init__(self, order: ReadOrder, values: Values) -> None:
        self._order = order
        self._values = values
        self._all: list[_Allowance] = []

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._all)

    def begin(self, segment: Segment) -> None:
        """ALC."""
        if segment[1] == "N":
            return
        if segment[1] not in ("A", "C"):
            told = f"{segment[1]!r} is neither allowance nor charge"
            self._values.findings.add("edifact.allowance", told, segment.at(1))
        if segment[3] not in _OFF_INVOICE:
            told = f"an allowance or charge that is settled otherwise than on the invoice (UNCL 4471: {segment[3]})"
            self._order.ask("edifact.settlement", told, segment.at(3))
        self._all.append(_Allowance(segment, segment[1] == "C"))

    def percent(self, segment: Segment) -> None:
        """PCD below ALC."""
        if self._all and segment[1, 1] in ("1", "2", "3", "12", ""):
            self._all[-1].percent = self._values.number(segment, 1, 2)

    def amount(self, segment: Segment) -> None:
        """MOA below ALC."""
        if self._all and segment[1, 1] in ("8", "23", "204"):
            self._all[-1].amount = self._values.number(segment, 1, 2)

    def quantity(self, segment: Segment) -> None:
        """QTY below ALC: goods instead of money."""
        self._order.ask("edifact.free_goods", "an allowance or charge in goods", segment.place)

    def totals(self, base: Decimal) -> tuple[Decimal, Decimal]:
        """Allowances and charges; percentages without amount are of `base`."""
        sums = {False: _ZERO, True: _ZERO}
        for one in self._all:
            amount = one.amount
            if amount is None and one.percent is not None:
                amount = base * one.percent / _HUNDRED
            if amount is None:
                told = "an allowance or charge without amount or percentage"
                self._order.ask("edifact.allowance_amount", told, one.segment.place)
            sums[one.is_charge] += amount or _ZERO
        return sums[False], sums[True]

"""Settles discounts, charges and tax of a whole order, and compares what comes out with the totals of its document."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from producers.documents.doubts import Case
from producers.documents.lines import SLACK, DraftedLine, coin_of
from schemas.allocation import allocate

_ZERO, _HUNDRED = Decimal(0), Decimal(100)


class Totals:
    """Of one order of a document, in its currency; they set the lines' tax, and their share of a discount."""

    def __init__(self, case: Case, lines: list[DraftedLine], currency: str) -> None:
        """Raises ArithmeticError or ValueError where amounts cannot be calculated with."""
        self._read = case.read
        self._doubts = case.doubts
        beyond = sum((max(line.read.charge - line.read.allowance, _ZERO) for line in lines), _ZERO)
        charge = case.read.charge + beyond
        before = _net(lines)
        self._spread(lines, currency)
        on_charges = self._tax(lines, charge, currency)
        self.tax: Decimal = sum((line.tax for line in lines), _ZERO) + on_charges
        self._compare(before, _net(lines) + charge, self.tax)
        self.charge = charge.quantize(coin_of(currency), ROUND_HALF_UP)

    def _spread(self, lines: list[DraftedLine], currency: str) -> None:
        """A discount on the whole order is one on each line, because the ledger knows none other."""
        if not self._read.allowance:
            return
        parts = allocate(self._read.allowance, [line.amount for line in lines], currency)
        for line, part in zip(lines, parts, strict=True):
            line.allowance += part
            line.amount -= part

    def _tax(self, lines: list[DraftedLine], charge: Decimal, currency: str) -> Decimal:
        """Set the lines' tax; gives the tax on charges."""
        stated, coin = self._read.tax_total, coin_of(currency)
        if stated and all(line.read.tax_percent is None for line in lines):
            self._rate_of_totals(lines, stated, charge)
        for line in lines:
            line.tax = (line.amount * line.tax_percent / _HUNDRED).quantize(coin, ROUND_HALF_UP)
        if stated is None:
            return _ZERO
        total = sum((line.tax for line in lines), _ZERO)
        difference = stated - total
        if abs(difference) <= coin * len(lines) + SLACK and any(line.tax for line in lines):
            # Rounded once for the whole order instead of line by line.
            taxed = [line for line in lines if line.tax]
            for line, part in zip(taxed, allocate(stated, [line.tax for line in taxed], currency), strict=True):
                line.tax = part
            return _ZERO
        if 0 < difference <= charge:
            return difference
        if difference:
            self._doubts.add("tax.total", f"the tax is {stated}, and the lines make {total}", "totals.tax")
        return _ZERO

    def _rate_of_totals(self, lines: list[DraftedLine], stated: Decimal, charge: Decimal) -> None:
        """One rate for all lines where only the total of tax is stated."""
        net = _net(lines)
        usual = sum((line.amount * line.tax_percent / _HUNDRED for line in lines), _ZERO)
        if abs(usual - stated) <= SLACK * len(lines) or not net:
            return
        for base in (net + charge, net):
            rate = (stated / base * _HUNDRED).quantize(Decimal("0.1"), ROUND_HALF_UP)
            if base and abs(base * rate / _HUNDRED - stated) <= SLACK:
                for line in lines:
                    line.tax_percent, line.tax_category = rate, None
                return

    def _compare(self, lines: Decimal, net: Decimal, tax: Decimal) -> None:
        read = self._read
        checks = [("totals.lines", read.line_total, lines), ("totals.net", read.net_total, net)]
        for where, stated, computed in checks:
            if stated is not None and abs(stated - computed) > SLACK:
                self._doubts.add("total.mismatch", f"the document says {stated}, and the parts make {computed}", where)
        if read.payable is None:
            return
        due = net + tax - read.prepaid + read.rounding
        says_which = read.tax_total is not None or (read.is_certain and read.net_total is not None)
        possible = [due] if says_which else [due, net]
        if all(abs(read.payable - amount) > SLACK for amount in possible):
            self._doubts.add(
                "total.mismatch", f"the document says {read.payable}, and the parts make {due}", "totals.payable"
            )


def _net(lines: list[DraftedLine]) -> Decimal:
    return sum((line.amount for line in lines), _ZERO)

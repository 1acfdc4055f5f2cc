"""Recognised revenue by month or quarter, without gaps and without the period that is not over yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from schemas.errors import ConfigurationError

_MONTHS_OF_YEAR = 12


class Grain(StrEnum):
    """Length of a period."""

    MONTH = "month"
    QUARTER = "quarter"

    @property
    def months(self) -> int:
        """Months of one period."""
        return 1 if self is Grain.MONTH else 3

    @property
    def season(self) -> int:
        """Periods after which the year begins anew."""
        return _MONTHS_OF_YEAR // self.months


@dataclass(frozen=True, slots=True)
class RevenueSeries:
    """Revenue of consecutive periods in one currency; a period without any is zero."""

    currency_code: str
    grain: Grain
    first: int
    """Number of the first period, counted from year 0."""
    amounts: tuple[Decimal, ...]

    def label(self, index: int) -> str:
        """The period's name, `2026-11` or `2026-Q4`; also of those after the last."""
        year, number = divmod(self.first + index, self.grain.season)
        return f"{year:04d}-{number + 1:02d}" if self.grain is Grain.MONTH else f"{year:04d}-Q{number + 1}"


def revenue_series(by_month: Mapping[str, Decimal], currency_code: str, grain: Grain, last_month: str) -> RevenueSeries:
    """The series from the first month with revenue to `last_month` (YYYY-MM), the last one that is over.

    Quarters that are not whole, at the beginning or the end, are left out.

    Raises:
        ConfigurationError: no whole period has revenue.
    """
    amounts = {_number(month): amount for month, amount in by_month.items() if month <= last_month and amount}
    if not amounts:
        raise ConfigurationError(
            f"the ledger has no revenue in {currency_code} up to {last_month}: there is nothing to forecast from"
        )
    length = grain.months
    first, end = -(-min(amounts) // length), (_number(last_month) + 1) // length
    if first >= end:
        raise ConfigurationError(f"no whole {grain} of revenue in {currency_code} is over by {last_month}")
    sums = tuple(
        sum((amounts.get(month, Decimal(0)) for month in range(number * length, (number + 1) * length)), Decimal(0))
        for number in range(first, end)
    )
    return RevenueSeries(currency_code, grain, first, sums)


def _number(month: str) -> int:
    year, _, number = month.partition("-")
    return int(year) * _MONTHS_OF_YEAR + int(number) - 1

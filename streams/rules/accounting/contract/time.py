"""Time as contracts reckon with it: whole months where days of the month agree, days otherwise."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from decimal import Decimal
from fractions import Fraction

from streams.rules.accounting.contract.terms import Financing

_DAYS_A_YEAR = 365


def months_between(start: date, end: date) -> int | None:
    """Whole months from `start` to `end`, or None where a part of a month is left."""
    months = (end.year - start.year) * 12 + end.month - start.month
    same_day = start.day == end.day or (_is_last(start) and _is_last(end))
    return months if same_day else None


def years_between(start: date, end: date) -> Fraction:
    """Years from `start` to `end`: months where they are whole, otherwise days of 365 to the year."""
    months = months_between(start, end)
    return Fraction(months, 12) if months is not None else Fraction((end - start).days, _DAYS_A_YEAR)


def growth(financing: Financing, start: date, end: date) -> Decimal:
    """What one unit of money grows to from `start` to `end`; less than 1 backwards."""
    years = years_between(start, end)
    rate = financing.annual_percent / 100
    if financing.compounding == "monthly":
        return _power(1 + rate / 12, years * 12)
    return _power(1 + rate, years)


def elapsed_share(start: date, end: date, now: date) -> Fraction:
    """How much of the time from `start` to `end` (both included) has passed at the end of `now`."""
    after = date.fromordinal(end.toordinal() + 1)
    tomorrow = date.fromordinal(now.toordinal() + 1)
    if tomorrow <= start:
        return Fraction(0)
    if tomorrow >= after:
        return Fraction(1)
    whole, passed = months_between(start, after), months_between(start, tomorrow)
    if whole and passed is not None:
        return Fraction(passed, whole)
    return Fraction((tomorrow - start).days, (after - start).days)


def _power(base: Decimal, exponent: Fraction) -> Decimal:
    if exponent.denominator == 1:
        return base**exponent.numerator
    return base ** (Decimal(exponent.numerator) / Decimal(exponent.denominator))


def _is_last(day: date) -> bool:
    return day.day == monthrange(day.year, day.month)[1]

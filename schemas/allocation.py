"""Splits money without losing or inventing a coin."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from schemas.currencies import exponent_of


def smallest_coin(currency: str) -> Decimal:
    """The smallest amount of `currency`, such as 0.01; raises `InvalidValue` for an unknown currency."""
    return Decimal(1).scaleb(-exponent_of(currency))


def rounded(amount: Decimal, currency: str) -> Decimal:
    """`amount` rounded half up to the smallest coin of `currency`."""
    return amount.quantize(smallest_coin(currency), rounding=ROUND_HALF_UP)


def share(amount: Decimal, part: Decimal, whole: Decimal, currency: str) -> Decimal:
    """The share of `amount` that belongs to `part` of `whole`, rounded; all of it where the whole is nothing.

    It is meant for cumulative parts: the share of the whole is the whole amount, so that what is recognised with
    the last part makes up for all roundings before it.
    """
    if part == whole:
        return amount
    return rounded(amount * part / whole, currency) if whole else Decimal(0)


def allocate(amount: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """`amount` (rounded to the currency) split by `weights`; the parts add up to it exactly.

    Each part is rounded towards zero, then the coins that are left go to the parts with the largest remainders, to
    the first of equals. Weights that are all zero count as equal. Source: IFRS 15.76 asks for relative allocation
    and leaves rounding open; the largest remainder keeps each part within one coin of its exact value.
    """
    if not weights:
        return []
    if any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative")
    total = sum(weights, Decimal(0))
    if not total:
        weights, total = [Decimal(1)] * len(weights), Decimal(len(weights))
    coin = smallest_coin(currency)
    exact = [amount * weight / total for weight in weights]
    parts = [value.quantize(coin, rounding=ROUND_DOWN) for value in exact]
    left = int(((rounded(amount, currency) - sum(parts, Decimal(0))) / coin).to_integral_value())
    by_remainder = sorted(range(len(parts)), key=lambda index: -abs(exact[index] - parts[index]))
    for index in by_remainder[: abs(left)]:
        parts[index] += coin if left > 0 else -coin
    return parts

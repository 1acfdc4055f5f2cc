"""Money is split without losing or inventing a coin."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.allocation import allocate, rounded, share, smallest_coin
from schemas.errors import InvalidValue

CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "CLF"])
AMOUNTS = st.decimals(-(10**9), 10**9, places=4)
WEIGHTS = st.lists(st.decimals(0, 10**6, places=3), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("currency", "coin"), [("EUR", "0.01"), ("JPY", "1"), ("KWD", "0.001"), ("CLF", "0.0001"), ("ISK", "1")]
)
def test_each_currency_has_its_smallest_coin(currency: str, coin: str) -> None:
    assert smallest_coin(currency) == Decimal(coin)


def test_an_unknown_currency_is_refused() -> None:
    for code in ("EURO", "", "XXX", "eur"):
        with pytest.raises(InvalidValue, match="is not an ISO 4217 currency"):
            rounded(Decimal(1), code)


def test_halves_are_rounded_away_from_zero() -> None:
    assert rounded(Decimal("0.125"), "EUR") == Decimal("0.13")
    assert rounded(Decimal("-0.125"), "EUR") == Decimal("-0.13")
    assert rounded(Decimal("0.1249999"), "EUR") == Decimal("0.12")
    assert rounded(Decimal("2.5"), "JPY") == 3


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        ("100", ["1", "1", "1"], ["33.34", "33.33", "33.33"]),
        ("-100", ["1", "1", "1"], ["-33.34", "-33.33", "-33.33"]),
        ("0.05", ["3", "7"], ["0.02", "0.03"]),
        ("10", ["0", "0"], ["5.00", "5.00"]),
        ("10", ["0", "1"], ["0", "10"]),
        ("0.01", ["1", "1", "1"], ["0.01", "0", "0"]),
        ("0", ["1", "2"], ["0", "0"]),
        ("10.004", ["1"], ["10.00"]),
        ("5", [], []),
    ],
)
def test_the_coins_that_are_left_go_to_the_largest_remainders(
    amount: str, weights: list[str], parts: list[str]
) -> None:
    assert allocate(Decimal(amount), [Decimal(one) for one in weights], "EUR") == [Decimal(one) for one in parts]


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="weights must not be negative"):
        allocate(Decimal(1), [Decimal(1), Decimal(-1)], "EUR")


@given(AMOUNTS, WEIGHTS, CURRENCIES)
def test_the_parts_add_up_and_each_is_within_a_coin_of_its_exact_value(
    amount: Decimal, weights: list[Decimal], currency: str
) -> None:
    parts = allocate(amount, weights, currency)
    coin, whole = smallest_coin(currency), rounded(amount, currency)
    assert sum(parts) == whole
    assert len(parts) == len(weights)
    total = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        exact = amount * weight / total if total else amount / len(weights)
        assert part == part.quantize(coin)
        assert abs(part - exact) <= coin
        assert part * amount >= 0


@given(AMOUNTS, st.lists(st.integers(0, 1000), min_size=1, max_size=8), CURRENCIES)
def test_shares_of_cumulative_parts_end_at_the_whole(amount: Decimal, steps: list[int], currency: str) -> None:
    amount, whole, coin = rounded(amount, currency), Decimal(sum(steps)), smallest_coin(currency)
    reached, shares = Decimal(0), []
    for step in steps:
        reached += step
        shares.append(share(amount, reached, whole, currency))
    assert shares[-1] == amount
    for before, after in pairwise(shares):
        assert (after - before) * amount >= 0
    assert all(abs(part) <= abs(amount) + coin for part in shares)


def test_a_share_of_a_whole_of_nothing_is_nothing_unless_it_is_all_of_it() -> None:
    assert share(Decimal(5), Decimal(1), Decimal(0), "EUR") == 0
    assert share(Decimal(5), Decimal(0), Decimal(0), "EUR") == 5

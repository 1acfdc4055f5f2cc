"""Period ends of live orders: remeasurement and expected returns, by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.attributes import OrderId
from schemas.models import JournalEntry
from streams.rules.accounting.period_end import Carried, ClosingRate, Sales, remeasured, returns_estimated

D = Decimal
DAY = date(2026, 11, 30)
CARRIED = Carried(OrderId("crm:1"), "USD", "EUR", {"1200": D(100)}, {"1200": D(90)}, "C1", 0)
# IFRS 15 example 22: 100 products at 100, cost 60, 3 expected back.
SOLD = Sales("hardware", "EUR", "EUR", D(10000), D(0), D(10000), D(6000), D(0), D(0), D(0), 0)


def functional(entry: JournalEntry | None) -> dict[str, Decimal]:
    assert entry is not None
    return {line.account_code: line.functional_debit_amount - line.functional_credit_amount for line in entry.lines}


def rate(value: str) -> ClosingRate:
    return ClosingRate(D(value), DAY, "ECB")


def test_a_receivable_takes_the_closing_rate() -> None:
    entry = remeasured(CARRIED, rate("0.95"), DAY)
    assert functional(entry) == {"1200": D(5), "7200": D(-5)}
    assert entry is not None
    assert {line.debit_amount + line.credit_amount for line in entry.lines} == {0}
    assert (entry.rule, entry.standard_reference, entry.period) == ("remeasurement", "IAS 21.28", "2026-11")
    assert entry.explanation == "1200: 100 USD x 0.95 = 95, carried 90"


def test_what_is_settled_is_carried_no_longer() -> None:
    paid = replace(CARRIED, document={"1200": D(0)}, functional={"1200": D(5)}, entries=1)
    assert functional(remeasured(paid, rate("0.95"), DAY)) == {"1200": D(-5), "7200": D(5)}


def test_what_is_at_its_rate_makes_no_entry() -> None:
    assert remeasured(CARRIED, rate("0.9"), DAY) is None


def test_example_22_as_a_portfolio_of_orders() -> None:
    refund, recovery = returns_estimated(SOLD, D(3), DAY)
    assert functional(refund) == {"2150": D(-300), "4000": D(300)}
    assert functional(recovery) == {"1350": D(180), "5000": D(-180)}
    assert (refund.standard_reference, recovery.standard_reference) == ("IFRS 15.B23", "IFRS 15.B25")


def test_goods_that_came_back_are_no_longer_expected() -> None:
    # 2 of the 3 came back: their revenue and cost were reversed by the order itself.
    later = replace(
        SOLD,
        returned=D(200),
        functional_net=D(9800),
        net_cost=D(5880),
        refund_liability=D(300),
        functional_refund_liability=D(300),
        right_to_recover=D(180),
        entries=2,
    )
    refund, recovery = returns_estimated(later, D(3), DAY)
    assert functional(refund) == {"2150": D(200), "4000": D(-200)}
    assert functional(recovery) == {"1350": D(-120), "5000": D(120)}


def test_a_lapsed_right_of_return_leaves_nothing() -> None:
    nothing = Sales("hardware", "EUR", "EUR", D(0), D(0), D(0), D(0), D(300), D(300), D(180), 2)
    refund, recovery = returns_estimated(nothing, D(3), DAY)
    assert functional(refund) == {"2150": D(300), "4000": D(-300)}
    assert functional(recovery) == {"1350": D(-180), "5000": D(180)}


@pytest.mark.parametrize(("returned", "expected"), [(D(9900), D(100)), (D(10000), D(0))])
def test_not_more_is_expected_back_than_customers_have(returned: Decimal, expected: Decimal) -> None:
    rest = D(10000) - returned
    sales = replace(SOLD, returned=returned, functional_net=rest, net_cost=rest * 6 / 10)
    entries = returns_estimated(sales, D(100), DAY)
    assert sum((functional(entry).get("4000", D(0)) for entry in entries), D(0)) == expected


def test_half_a_coin_is_rounded_alike_in_both_amounts() -> None:
    """A third part of something, times its whole, lies beside it in 28 digits."""
    for sold in range(50, 30_000, 100):
        gross, back = D(sold) / 100, D(7) / 100
        rest = gross - back
        sales = replace(SOLD, sold=gross, returned=back, functional_net=rest, net_cost=rest)
        for entry in returns_estimated(sales, D(3), DAY):
            for line in entry.lines:
                if line.account_code == "2150":
                    document = (line.debit_amount, line.credit_amount)
                    assert document == (line.functional_debit_amount, line.functional_credit_amount)


@given(
    percents=st.lists(st.integers(0, 100), min_size=1, max_size=5),
    sold=st.integers(1, 10**9),
    returned=st.integers(0, 10**9),
)
def test_any_series_of_estimates_balances_and_ends_at_the_last_one(
    percents: list[int], sold: int, returned: int
) -> None:
    gross, back = D(sold) / 100, min(D(returned), D(sold)) / 100
    sales = replace(SOLD, sold=gross, returned=back, functional_net=gross - back, net_cost=(gross - back) / 2)
    for percent in percents:
        entries = returns_estimated(sales, D(percent), DAY)
        for entry in entries:
            assert sum(line.debit_amount - line.credit_amount for line in entry.lines) == 0
            assert sum(functional(entry).values()) == 0
        moved = {account: amount for entry in entries for account, amount in functional(entry).items()}
        liability = sales.refund_liability - moved.get("2150", D(0))
        sales = replace(
            sales,
            refund_liability=liability,
            functional_refund_liability=liability,
            right_to_recover=sales.right_to_recover + moved.get("1350", D(0)),
            entries=sales.entries + len(entries),
        )
        assert 0 <= sales.refund_liability <= max(gross - back, D(0)) + D("0.01")
        assert returns_estimated(sales, D(percent), DAY) == []

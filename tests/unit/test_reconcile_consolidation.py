"""Orders of all systems together: sums, rates as of a day, and currencies without one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from consumers.reconcile.consolidation import Amounts, ConsolidatedKey, Consolidation, entry_of, rates_as_of
from schemas.models import FxRate, SourcePosition
from tests.unit.order_samples import order_state

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def rate(base: str, day: int, value: str, quote: str = "EUR") -> FxRate:
    return FxRate(
        rate_key=f"{base}:{quote}:2026-11-{day:02}",
        base_currency_code=base,
        quote_currency_code=quote,
        rate_date=date(2026, 11, day),
        rate=Decimal(value),
        provider="ECB",
        source=SourcePosition(system="finance", transaction_id=1, position=1, sequence=0),
        committed_at=NOW,
        captured_at=NOW,
    )


def key(currency: str, status: str = "placed") -> ConsolidatedKey:
    return ConsolidatedKey("crm", "2026-11", currency, status)


def amounts(payable: str) -> Amounts:
    return Amounts(Decimal(payable), Decimal(1), Decimal(0))


def test_an_order_counts_in_its_system_month_currency_and_status() -> None:
    state = order_state(7)
    entry = entry_of(state)
    assert entry is not None
    assert state.order is not None
    assert state.settlement is not None
    assert entry[0] == ConsolidatedKey(
        "crm", str(state.order.issue_date)[:7], state.order.document_currency_code, "confirmed"
    )
    paid = sum(one.paid_amount for one in state.settlement.payments)
    assert (entry[1].payable_amount, entry[1].paid_amount) == (state.order.payable_amount, paid)
    assert entry_of(state.model_copy(update={"order": None})) is None


def test_the_newest_rate_up_to_the_day_holds() -> None:
    records = [rate("USD", 3, "0.9"), rate("USD", 20, "0.95"), rate("USD", 10, "0.92"), rate("EUR", 1, "1.1", "USD")]
    assert {base: one.rate for base, one in rates_as_of(iter(records), date(2026, 11, 15), "EUR").items()} == {
        "USD": Decimal("0.92")
    }
    assert rates_as_of(iter(records), date(2026, 11, 1), "EUR") == {}


def test_a_currency_without_a_rate_is_named_and_left_out() -> None:
    found = Consolidation(NOW, "EUR", rates={"USD": rate("USD", 20, "0.5")})
    found.count(key("EUR"), amounts("10"))
    found.count(key("USD"), amounts("0.33"))
    found.count(key("USD"), amounts("0.34"))
    found.count(key("SEK"), amounts("99"))
    assert found.missing_rates == ["SEK"]
    total = found.sum()
    assert total is not None
    assert (total.orders, total.amounts.payable_amount) == (3, Decimal("10.34"))
    assert found.converted("SEK", Decimal(1)) is None
    assert "without SEK" in list(found.summary())[-1]


def test_deleted_orders_are_shown_and_not_summed() -> None:
    found = Consolidation(NOW, None)
    found.count(key("EUR"), amounts("10"))
    found.count(key("EUR", "deleted"), amounts("5"))
    assert [one.order_status for one, _ in found.sorted_totals()] == ["deleted", "placed"]
    assert found.sums()["EUR"].amounts.payable_amount == 10
    assert (found.sum(), found.missing_rates) == (None, [])

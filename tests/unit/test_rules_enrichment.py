"""What master data adds to an order, and where it was taken from."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from schemas.models import Enrichment, SourcePosition
from schemas.topics import CUSTOMERS, PRODUCTS
from tests.unit.order_lives import Item, Life, customer, order, product
from tests.unit.processing_desk import Desk

D = Decimal
AT = SourcePosition(system="crm", transaction_id=7, position=70, sequence=1)


def enriched(desk: Desk) -> Enrichment:
    state = desk.state()
    assert state is not None and state.enrichment is not None
    return state.enrichment


def placed(currency: str = "EUR", product_facts: dict[str, Any] | None = None) -> Enrichment:
    desk = Desk()
    desk.master.put(CUSTOMERS, customer().model_copy(update={"source": AT, "ledger_account_key": "domestic"}))
    desk.master.put(PRODUCTS, product().model_copy(update={"source": AT} | (product_facts or {})))
    desk.take(Life().ordered(order([Item("1", "P1", "3", "9.99")], currency=currency)))
    return enriched(desk)


def test_what_was_added_names_the_images_that_it_was_taken_from() -> None:
    found = placed("USD", {"ledger_account_key": "tools", "tax_category_code": "S"})
    assert (found.customer_source, found.customer_ledger_account_key) == (AT, "domestic")
    assert found.exchange_rate_source is not None and found.exchange_rate_source.system == "finance"
    [line] = found.lines
    assert (line.product_source, line.ledger_account_key, line.tax_category_code) == (AT, "tools", "S")
    assert placed("EUR").exchange_rate_source is None


@pytest.mark.parametrize(
    ("currency", "facts", "margin"),
    [
        # 29.97 less 3 x 4.00
        ("EUR", {}, D("17.9700")),
        # 29.97 at 0.9 are 26.973
        ("USD", {}, D("14.9730")),
        # 29.97 less 3 x 4.00005 = 12.00015, half up
        ("EUR", {"standard_cost_amount": D("4.00005")}, D("17.9699")),
        ("EUR", {"standard_cost_amount": D("20")}, D("-30.0300")),
        ("EUR", {"standard_cost_amount": None}, None),
    ],
)
def test_margin_is_the_amount_less_cost(currency: str, facts: dict[str, Any], margin: Decimal | None) -> None:
    [line] = placed(currency, facts).lines
    assert line.margin_amount == margin


@pytest.mark.parametrize(
    ("days", "promised"),
    [(None, None), (0, date(2026, 11, 21)), (10, date(2026, 12, 1)), (-1, None), (4_000, None)],
)
def test_promised_date_follows_from_the_lead_time(days: int | None, promised: date | None) -> None:
    [line] = placed(product_facts={"lead_time_days": days}).lines
    assert line.promised_date == promised


def test_cost_and_rate_of_the_first_version_stay_for_the_margin() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order([Item("1", "P1", "3", "9.99")])))
    desk.master.put(PRODUCTS, product("P1", cost="8.00"))
    desk.take(life.ordered(order([Item("1", "P1", "4", "9.99")])))
    [line] = enriched(desk).lines
    # 39.96 less 4 x 4.00
    assert (line.standard_cost_amount, line.margin_amount) == (D("4"), D("23.96"))

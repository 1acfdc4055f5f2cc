"""What callers send, and the order that it becomes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from producers.api.documents import CHANGE_EXAMPLE, EXAMPLE, ChangedOrder, NewOrder
from schemas.attributes import OrderId
from schemas.errors import InvalidValue
from streams.rules.commercial import exclusive_total, line_amount, line_total, payable_total, tax_total
from streams.rules.facts import Candidate, Section
from tests.unit.order_lives import Life

ORDER_ID = OrderId("shop:1001")


def changed(**changes: Any) -> dict[str, Any]:
    return EXAMPLE | changes


def line(**changes: Any) -> dict[str, Any]:
    first: dict[str, Any] = EXAMPLE["order_lines"][0]
    return first | changes


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_amounts_that_are_left_out_are_computed_as_the_rules_want_them(currency: str) -> None:
    lines = [
        line(quantity="3", price_amount="0.335", tax_percent="7.5"),
        line(quantity="1.25", price_amount="1999.99", allowance_total_amount="100", tax_percent="19"),
    ]
    document = changed(document_currency_code=currency, order_lines=lines, charge_total_amount="5")
    order = NewOrder.model_validate(document).as_order(ORDER_ID, "placed")
    event = Life(order_id=ORDER_ID).ordered(order)
    candidate = Candidate(
        section=Section.ORDER,
        event=event,
        previous=None,
        order=order,
        fulfilment=None,
        settlement=None,
        is_deleted=False,
    )
    for rule in (line_amount, line_total, exclusive_total, tax_total, payable_total):
        assert list(rule(candidate)) == []
    assert [one.line_id for one in order.order_lines] == ["1", "2"]


def test_amounts_that_are_given_are_kept_for_the_rules_to_judge() -> None:
    order = NewOrder.model_validate(changed(payable_amount="1.00")).as_order(ORDER_ID, "placed")
    assert (order.payable_amount, order.tax_exclusive_amount) == (Decimal("1.00"), Decimal("19.90"))


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (changed(order_lines=[]), ("order_lines",)),
        (changed(order_lines=[line(quantity=2)]), ("order_lines", 0, "quantity")),
        (changed(order_lines=[line(quantity="1e3")]), ("order_lines", 0, "quantity")),
        (changed(order_lines=[line(price_amount="0.1234567")]), ("order_lines", 0, "price_amount")),
        (changed(payable_amount="12345678901234.00"), ("payable_amount",)),
        (changed(order_status="deleted"), ("order_status",)),
        (changed(document_currency_code="eur"), ("document_currency_code",)),
        (changed(issue_date=0), ("issue_date",)),
        (changed(issue_date="1700000000"), ("issue_date",)),
        (changed(id="a/b"), ("id",)),
        (changed(note="nul\x00"), ("note",)),
        (changed(surprise=1), ("surprise",)),
    ],
)
def test_a_field_that_fits_no_schema_is_named(document: dict[str, Any], place: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        NewOrder.model_validate(document)
    assert [error["loc"] for error in caught.value.errors()] == [place]


def test_an_unknown_currency_cannot_be_computed() -> None:
    with pytest.raises(InvalidValue, match="XXX"):
        NewOrder.model_validate(changed(document_currency_code="XXX")).as_order(ORDER_ID, "placed")


def test_a_change_names_no_identity() -> None:
    assert ChangedOrder.model_validate(CHANGE_EXAMPLE).note == "leave it with the neighbour"
    with pytest.raises(ValidationError):
        ChangedOrder.model_validate(EXAMPLE)

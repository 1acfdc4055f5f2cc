"""Orders that were entered twice are found, and only those."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.attributes import OrderId
from schemas.models import OrderState
from streams.rules.duplicates import duplicates
from tests.unit.order_lives import BEGIN, Life, order
from tests.unit.processing_desk import Desk

WINDOW = timedelta(days=7)


def state(number: int, placed_at: datetime = BEGIN, *, status: str = "placed", **facts: Any) -> OrderState:
    life, desk = Life(OrderId(f"crm:{number}")), Desk()
    made = order(order_id=life.order_id, status=status).model_copy(update={"customer_reference": "PO 7"} | facts)
    desk.take(life.ordered(made))
    found = desk.state(life.order_id)
    assert found is not None, desk.refused_rules()
    return found.model_copy(update={"placed_at": placed_at})


def test_each_repetition_names_the_order_before_it() -> None:
    states = [state(3, BEGIN + timedelta(days=9)), state(1), state(2, BEGIN + timedelta(days=6))]
    assert [(one.order_id, one.repeats) for one in duplicates(states, WINDOW)] == [
        ("crm:2", "crm:1"),
        ("crm:3", "crm:2"),
    ]


def test_references_are_compared_without_case_and_blanks() -> None:
    assert len(duplicates([state(1), state(2, customer_reference=" po 7 ")], WINDOW)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"placed_at": BEGIN + WINDOW + timedelta(microseconds=1)},
        {"customer_reference": "PO 8"},
        {"customer_reference": None},
        {"customer_reference": " "},
        {"status": "cancelled"},
        {"document_currency_code": "USD"},
        {
            "charge_total_amount": Decimal(1),
            "tax_exclusive_amount": order().tax_exclusive_amount + 1,
            "payable_amount": order().payable_amount + 1,
        },
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_differs_repeats_nothing(other: dict[str, Any]) -> None:
    assert duplicates([state(1), state(2, **other)], WINDOW) == []


def test_two_orders_without_a_reference_repeat_nothing() -> None:
    assert duplicates([state(1, customer_reference=None), state(2, customer_reference=None)], WINDOW) == []

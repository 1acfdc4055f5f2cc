"""The table of cases of the rules about what may follow what, and about fulfilment and settlement."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.models import CapturedEvent
from tests.unit.order_lives import Item, Life, goods_return, invoice, order, payment, shipment
from tests.unit.rule_cases import RuleCase, Story, assert_row

D = Decimal
STATUSES = ("placed", "confirmed", "completed", "cancelled")
MAY_FOLLOW = {
    ("placed", "confirmed"),
    ("placed", "completed"),
    ("placed", "cancelled"),
    ("confirmed", "completed"),
    ("confirmed", "cancelled"),
    ("completed", "cancelled"),
}
DOLLARS = order([Item("1", "P1", "1", "10")], currency="USD")
EUROS = order([Item("1", "P1", "1", "10")])


def _after_order(*events: object) -> Story:
    def story(life: Life) -> list[CapturedEvent]:
        first: list[CapturedEvent] = [life.ordered(order())]
        return first + [event(life) for event in events]  # type: ignore[operator]

    return story


def _statuses(*statuses: str) -> Story:
    return lambda life: [life.ordered(order(status=status)) for status in statuses]


def _from_other_inventory(life: Life) -> list[CapturedEvent]:
    other = Life(systems=("crm", "old-inventory", "finance"))
    return [life.ordered(order()), life.handled(shipment(1, {"1": "1"})), other.handled(shipment(1, {"1": "2"}))]


def _from_other_finance(life: Life) -> list[CapturedEvent]:
    other = Life(systems=("crm", "inventory", "old-finance"))
    return [life.ordered(order()), life.settled(payment(1, "5")), other.settled(payment(1, "6"))]


CASES = [
    *(
        RuleCase("lifecycle.order_status", f"{before} -> {now}", _statuses(before, now), _statuses(now))
        for before in STATUSES
        for now in STATUSES
        if before != now and (before, now) not in MAY_FOLLOW
    ),
    RuleCase(
        "lifecycle.currency_fixed",
        "after a payment",
        lambda life: [life.ordered(EUROS), life.settled(payment(1, "5")), life.ordered(DOLLARS)],
        lambda life: [life.ordered(EUROS), life.ordered(DOLLARS)],
    ),
    RuleCase(
        "lifecycle.currency_fixed",
        "after a shipment",
        lambda life: [life.ordered(EUROS), life.handled(shipment(1, {"1": "1"})), life.ordered(DOLLARS)],
        lambda life: [
            life.ordered(EUROS),
            life.handled(shipment(1, {"1": "1"})),
            life.ordered(EUROS.model_copy(update={"note": "still in euros"})),
        ],
    ),
    RuleCase(
        "lifecycle.cancelled_but_shipped",
        "cancelled after the goods left",
        _after_order(
            lambda life: life.handled(shipment(1, {"1": "2"})), lambda life: life.ordered(order(status="cancelled"))
        ),
        _after_order(
            lambda life: life.handled(shipment(1, {"1": "2"})),
            lambda life: life.ordered(order(status="cancelled")),
            lambda life: life.handled(shipment(1, {"1": "2"}), goods_return(1, {"1": "2"})),
        ),
    ),
    RuleCase(
        "lifecycle.cancelled_but_shipped",
        "shipped after it was cancelled, and one of two is back",
        _after_order(
            lambda life: life.ordered(order(status="cancelled")),
            lambda life: life.handled(shipment(1, {"1": "2"}), goods_return(1, {"1": "1"})),
        ),
        _after_order(lambda life: life.ordered(order(status="cancelled"))),
    ),
    RuleCase(
        "lifecycle.cancelled_but_shipped",
        "deleted after the goods left, and paid then",
        _after_order(
            lambda life: life.handled(shipment(1, {"2": "1"})),
            lambda life: life.ordered(None),
            lambda life: life.settled(payment(1, "1")),
        ),
        _after_order(lambda life: life.ordered(None), lambda life: life.settled(payment(1, "1"))),
    ),
    RuleCase(
        "fulfilment.shipped_quantity",
        "one more than ordered, in two shipments",
        _after_order(lambda life: life.handled(shipment(1, {"1": "3"}), shipment(2, {"1": "1"}))),
        _after_order(lambda life: life.handled(shipment(1, {"1": "2"}), shipment(2, {"1": "1"}))),
    ),
    RuleCase(
        "fulfilment.shipped_quantity",
        "the order shrinks after the shipment",
        _after_order(
            lambda life: life.handled(shipment(1, {"1": "3"})),
            lambda life: life.ordered(order([Item("1", "P1", "2", "9.99"), Item("2", "P2", "10", "20.00")])),
        ),
        _after_order(
            lambda life: life.handled(shipment(1, {"1": "3"})),
            lambda life: life.ordered(order([Item("1", "P1", "4", "9.99"), Item("2", "P2", "10", "20.00")])),
        ),
    ),
    RuleCase(
        "fulfilment.returned_quantity",
        "more back than out",
        _after_order(lambda life: life.handled(shipment(1, {"1": "1"}), goods_return(1, {"1": "1.000001"}))),
        _after_order(lambda life: life.handled(shipment(1, {"1": "1"}), goods_return(1, {"1": "1"}))),
    ),
    RuleCase(
        "fulfilment.returned_quantity",
        "back without having left",
        _after_order(lambda life: life.handled(goods_return(1, {"2": "1"}))),
        _after_order(lambda life: life.handled(shipment(1, {"2": "10"}), goods_return(1, {"2": "1"}))),
    ),
    RuleCase(
        "fulfilment.handled_positive",
        "a shipment of nothing",
        _after_order(lambda life: life.handled(shipment(1, {"1": "0"}))),
        _after_order(lambda life: life.handled(shipment(1, {"1": "0.5"}))),
    ),
    RuleCase(
        "fulfilment.handled_positive",
        "a negative return",
        _after_order(lambda life: life.handled(shipment(1, {"1": "1"}), goods_return(1, {"1": "-1"}))),
        _after_order(lambda life: life.handled(shipment(1, {"1": "1"}))),
    ),
    RuleCase(
        "settlement.currency",
        "an invoice in dollars",
        _after_order(lambda life: life.settled(invoice(1, "119", currency="USD"))),
        _after_order(lambda life: life.settled(invoice(1, "119"))),
    ),
    RuleCase(
        "settlement.currency",
        "a payment in dollars",
        _after_order(lambda life: life.settled(payment(1, "119", currency="USD"))),
        _after_order(lambda life: life.settled(payment(1, "119"))),
    ),
    RuleCase(
        "settlement.amounts",
        "an invoice that does not add up",
        _after_order(lambda life: life.settled(invoice(1, "119").model_copy(update={"tax_amount": D("18.99")}))),
        _after_order(lambda life: life.settled(invoice(1, "119"))),
    ),
    RuleCase(
        "settlement.amounts",
        "a negative invoice",
        _after_order(lambda life: life.settled(invoice(1, "-119"))),
        _after_order(lambda life: life.settled(invoice(1, "119"), invoice(2, "119", code="381"))),
    ),
    RuleCase(
        "settlement.amounts",
        "a negative payment",
        _after_order(lambda life: life.settled(payment(1, "-1"))),
        _after_order(lambda life: life.settled(payment(1, "0"))),
    ),
    RuleCase(
        "settlement.types",
        "an invoice of an unknown type",
        _after_order(lambda life: life.settled(invoice(1, "119", code="380 "))),
        _after_order(lambda life: life.settled(invoice(1, "119", code="381"))),
    ),
    RuleCase(
        "settlement.types",
        "a payment that is a chargeback",
        _after_order(lambda life: life.settled(payment(1, "1", kind="chargeback"))),
        _after_order(lambda life: life.settled(payment(1, "1", kind="refund"))),
    ),
    RuleCase(
        "section.owner",
        "a second inventory",
        _from_other_inventory,
        _after_order(lambda life: life.handled(shipment(1, {"1": "1"}))),
    ),
    RuleCase(
        "section.owner",
        "a second finance",
        _from_other_finance,
        _after_order(lambda life: life.settled(payment(1, "5")), lambda life: life.settled(payment(1, "6"))),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: RuleCase) -> None:
    assert_row(case)


@pytest.mark.parametrize(("before", "now"), sorted(MAY_FOLLOW))
def test_order_may_go_from_status_to_status(before: str, now: str) -> None:
    assert_row(RuleCase("lifecycle.order_status", "", _statuses("cancelled", "placed"), _statuses(before, now)))

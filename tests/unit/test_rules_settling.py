"""The table of cases of the rules about shipments, returns, invoices and payments beside those of the lifecycle."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.models import Invoice, Payment, Return, Shipment
from tests.unit.order_lives import BEGIN, Item, Life, goods_return, invoice, order, payment, shipment
from tests.unit.rule_cases import RuleCase, Story, assert_row

D = Decimal
DAY = timedelta(days=1)
SHIPMENT = shipment(1, {"1": "1"})
RETURN = goods_return(1, {"1": "1"})


def _settled(*papers: Invoice | Payment, status: str = "placed") -> Story:
    return lambda life: [life.ordered(order(status=status)), life.settled(*papers)]


def _handled(*goods: Shipment | Return) -> Story:
    return lambda life: [life.ordered(order()), life.handled(*goods)]


def _sent(**facts: Any) -> Story:
    return _handled(SHIPMENT.model_copy(update=facts))


def _billed(**facts: Any) -> Story:
    return _settled(invoice(1, "119").model_copy(update=facts))


def _paid(**facts: Any) -> Story:
    return _settled(payment(1, "5").model_copy(update=facts))


def _foreign_facts(life: Life) -> list:  # type: ignore[type-arg]
    event = life.handled(SHIPMENT)
    assert event.fulfilment is not None
    other = event.fulfilment.model_copy(update={"order_id": "crm:SO-2"})
    return [life.ordered(order()), event.model_copy(update={"fulfilment": other})]


def _line_removed(*goods: Shipment | Return) -> Story:
    return lambda life: [
        life.ordered(order()),
        life.handled(*goods),
        life.ordered(order([Item("2", "P2", "10", "20.00")])),
    ]


CASES = [
    RuleCase("section.identity", "of another order", _foreign_facts, _handled(SHIPMENT)),
    RuleCase(
        "lifecycle.shipped_line_removed", "while shipped", _line_removed(SHIPMENT), _line_removed(SHIPMENT, RETURN)
    ),
    RuleCase(
        "lifecycle.cancelled_but_billed",
        "no credit note",
        _settled(invoice(1, "119"), status="cancelled"),
        _settled(invoice(1, "119"), invoice(2, "119", code="381"), status="cancelled"),
    ),
    RuleCase(
        "lifecycle.cancelled_but_paid",
        "no refund",
        _settled(payment(1, "5"), status="cancelled"),
        _settled(payment(1, "5"), payment(2, "5", kind="refund"), status="cancelled"),
    ),
    RuleCase(
        "lifecycle.completed_but_open",
        "one piece is missing",
        lambda life: [life.ordered(order(status="completed")), life.handled(shipment(1, {"1": "3", "2": "9"}))],
        lambda life: [life.ordered(order(status="completed")), life.handled(shipment(1, {"1": "3", "2": "10"}))],
    ),
    RuleCase(
        "fulfilment.shipment_ids_unique",
        "the same number",
        _handled(SHIPMENT, shipment(1, {"2": "1"})),
        _handled(SHIPMENT, shipment(2, {"2": "1"})),
    ),
    RuleCase(
        "fulfilment.return_ids_unique",
        "the same number",
        _handled(shipment(1, {"1": "2"}), RETURN, goods_return(1, {"1": "1"})),
        _handled(shipment(1, {"1": "2"}), RETURN, goods_return(2, {"1": "1"})),
    ),
    RuleCase("fulfilment.lines_present", "empty", _handled(shipment(1, {})), _handled(SHIPMENT)),
    RuleCase(
        "fulfilment.in_future",
        "the day after tomorrow",
        _sent(shipped_at=BEGIN + 2 * DAY),
        _sent(shipped_at=BEGIN + DAY),
    ),
    RuleCase(
        "fulfilment.in_future",
        "a return of the day after tomorrow",
        _handled(SHIPMENT, RETURN.model_copy(update={"returned_at": BEGIN + 2 * DAY})),
        _handled(SHIPMENT, RETURN.model_copy(update={"returned_at": BEGIN + DAY})),
    ),
    RuleCase(
        "fulfilment.delivered_after_shipped",
        "before it left",
        _sent(delivered_at=BEGIN - timedelta(seconds=1)),
        _sent(delivered_at=BEGIN),
    ),
    RuleCase(
        "fulfilment.returned_after_shipped",
        "before it left",
        _handled(SHIPMENT, RETURN.model_copy(update={"returned_at": BEGIN - timedelta(seconds=1)})),
        _handled(SHIPMENT, RETURN),
    ),
    RuleCase(
        "fulfilment.shipped_before_order",
        "two days before",
        _sent(shipped_at=BEGIN - 2 * DAY),
        _sent(shipped_at=BEGIN - DAY),
    ),
    RuleCase(
        "settlement.amount_exponent",
        "a tenth of a cent",
        _billed(tax_exclusive_amount=D("100.001"), tax_amount=D("18.999")),
        _billed(tax_exclusive_amount=D("100.010"), tax_amount=D("18.990")),
    ),
    RuleCase("settlement.amount_exponent", "paid", _paid(paid_amount=D("5.001")), _paid(paid_amount=D("5.01"))),
    RuleCase(
        "settlement.invoice_ids_unique",
        "the same number",
        _settled(invoice(1, "5"), invoice(1, "6")),
        _settled(invoice(1, "5"), invoice(2, "6")),
    ),
    RuleCase(
        "settlement.payment_ids_unique",
        "the same number",
        _settled(payment(1, "5"), payment(1, "6")),
        _settled(payment(1, "5"), payment(2, "6")),
    ),
    RuleCase("settlement.payment_means", "a word", _paid(payment_means_code="cash"), _paid(payment_means_code="30")),
    RuleCase(
        "settlement.due_date",
        "two days before",
        _billed(due_date=date(2026, 11, 19)),
        _billed(due_date=date(2026, 11, 20)),
    ),
    RuleCase(
        "settlement.in_future",
        "billed the day after tomorrow",
        _billed(issued_at=BEGIN + 2 * DAY),
        _billed(issued_at=BEGIN + DAY),
    ),
    RuleCase(
        "settlement.in_future",
        "paid the day after tomorrow",
        _paid(paid_at=BEGIN + 2 * DAY),
        _paid(paid_at=BEGIN + DAY),
    ),
    RuleCase(
        "settlement.credited",
        "more than billed",
        _settled(invoice(1, "5"), invoice(2, "5.01", code="381")),
        _settled(invoice(1, "5"), invoice(2, "5", code="381")),
    ),
    RuleCase(
        "settlement.refunded",
        "more than received",
        _settled(payment(1, "5"), payment(2, "5.01", kind="refund")),
        _settled(payment(1, "5"), payment(2, "5", kind="refund")),
    ),
    # 273.66 are ordered
    RuleCase("settlement.overbilled", "a cent", _settled(invoice(1, "273.67")), _settled(invoice(1, "273.66"))),
    RuleCase("settlement.overpaid", "a cent", _settled(payment(1, "273.67")), _settled(payment(1, "273.66"))),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: RuleCase) -> None:
    assert_row(case)

"""One version of an order as rows of the ERP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from consumers.erp import tables
from consumers.erp.rows import OrderRows
from consumers.postgres.bulk import Table
from schemas.models import HandledLine, Invoice, OrderEvent, Payment, Return
from tests.contract.sink_samples import order_event
from tests.unit.order_samples import COMMITTED_AT


def rows_of(event: OrderEvent, table: Table) -> list[dict[str, Any]]:
    rows = OrderRows([event]).by_table[table]
    return [dict(zip(table.columns, row, strict=True)) for row in rows]


def test_every_commercial_fact_is_in_the_order_row() -> None:
    event = order_event(1)
    order = event.state.order
    assert order is not None
    (row,) = rows_of(event, tables.SALES_ORDER)
    facts = order.model_dump(exclude={"order_id", "order_lines", "delivery_address", "order_status"})
    assert {name: row[name] for name in facts} == facts
    assert row["order_status"] == event.state.order_status
    assert row["delivery_city_name"] == "Hamburg"


def test_every_fact_of_a_line_is_in_its_row() -> None:
    event = order_event(1)
    assert event.state.order is not None
    rows = rows_of(event, tables.SALES_ORDER_LINE)
    for row, line in zip(rows, event.state.order.order_lines, strict=True):
        facts = line.model_dump()
        assert {name: row[name] for name in facts} == facts
        assert row["shipped_quantity"] == line.quantity


def test_amounts_are_derived_from_all_documents() -> None:
    settlement = order_event(1).state.settlement
    assert settlement is not None
    invoice, payment = settlement.invoices[0], settlement.payments[0]
    documents = [_invoice(invoice, "380", "100"), _invoice(invoice, "380", "20.5"), _invoice(invoice, "381", "10")]
    money = [_payment(payment, "receipt", "70"), _payment(payment, "refund", "5")]
    changed = settlement.model_copy(update={"invoices": documents, "payments": money})
    (row,) = rows_of(order_event(1, settlement=changed), tables.SALES_ORDER)
    assert (row["invoiced_amount"], row["paid_amount"]) == (Decimal("110.5"), Decimal(65))
    assert row["open_amount"] == Decimal("45.5")


def test_returned_quantities_add_up() -> None:
    fulfilment = order_event(1).state.fulfilment
    assert fulfilment is not None
    back = [
        Return(
            return_id=str(number), returned_at=COMMITTED_AT, lines=[HandledLine(line_id="2", quantity=Decimal(number))]
        )
        for number in (1, 2)
    ]
    event = order_event(1, fulfilment=fulfilment.model_copy(update={"returns": back}))
    returned = {row["line_id"]: row["returned_quantity"] for row in rows_of(event, tables.SALES_ORDER_LINE)}
    assert returned == {"1": 0, "2": 3, "3": 0}
    assert len(rows_of(event, tables.RETURN_LINE)) == 2


def test_an_order_without_facts_has_only_its_header() -> None:
    event = order_event(1, order=None, fulfilment=None, settlement=None, order_status="deleted")
    rows = OrderRows([event]).by_table
    assert {table.name for table, found in rows.items() if found} == {"sales_order"}
    (row,) = rows_of(event, tables.SALES_ORDER)
    assert row["deleted_at"] == event.state.committed_at
    assert all(row[column] is None for column in tables.COMMERCIAL)


def _invoice(invoice: Invoice, kind: str, amount: str) -> Invoice:
    return invoice.model_copy(update={"invoice_type_code": kind, "payable_amount": Decimal(amount)})


def _payment(payment: Payment, kind: str, amount: str) -> Payment:
    return payment.model_copy(update={"payment_type_code": kind, "paid_amount": Decimal(amount)})

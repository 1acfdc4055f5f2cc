"""One version of an order as rows of the ERP's tables; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from consumers.erp import tables
from consumers.postgres.bulk import Table
from schemas.models import Address, HandledLine, OrderEvent, OrderState, Settlement

Row = tuple[Any, ...]

_ZERO = Decimal(0)
_CREDIT_NOTE = "381"
_REFUND = "refund"
DELETED = "deleted"
_NOWHERE = Address()
_UNENRICHED: Row = (None,) * 8
_UNENRICHED_LINE: Row = (None,) * 4
_NO_COMMERCIAL: Row = (None,) * len(tables.COMMERCIAL)


class OrderRows:
    """The rows of a batch, table by table, each in the order of its table's columns."""

    def __init__(self, events: Iterable[OrderEvent]) -> None:
        self.by_table: dict[Table, list[Row]] = {table: [] for table in (tables.SALES_ORDER, *tables.PARTS)}
        for event in events:
            self._add(event)

    def _add(self, event: OrderEvent) -> None:
        state = event.state
        self.by_table[tables.SALES_ORDER].append(_order_row(event))
        if state.order is not None:
            self._add_lines(state)
        if state.fulfilment is not None:
            self._add_fulfilment(state)
        if state.settlement is not None:
            self._add_settlement(state.order_id, state.settlement)

    def _add_lines(self, state: OrderState) -> None:
        assert state.order is not None
        rows = self.by_table[tables.SALES_ORDER_LINE]
        shipped, returned = _handled_quantities(state)
        enriched = {line.line_id: line for line in state.enrichment.lines} if state.enrichment else {}
        for number, line in enumerate(state.order.order_lines, 1):
            master = enriched.get(line.line_id)
            rows.append(
                (
                    state.order_id,
                    line.line_id,
                    number,
                    line.product_id,
                    line.item_name,
                    line.quantity,
                    line.unit_code,
                    line.price_amount,
                    line.allowance_total_amount,
                    line.line_extension_amount,
                    line.tax_category_code,
                    line.tax_percent,
                    line.tax_amount,
                    line.requested_delivery_date,
                    *(
                        (master.product_name, master.category, master.vendor_id, master.standard_cost_amount)
                        if master
                        else _UNENRICHED_LINE
                    ),
                    shipped.get(line.line_id, _ZERO),
                    returned.get(line.line_id, _ZERO),
                )
            )

    def _add_fulfilment(self, state: OrderState) -> None:
        assert state.fulfilment is not None
        key = state.order_id
        for one in state.fulfilment.shipments:
            self.by_table[tables.SHIPMENT].append(
                (key, one.shipment_id, one.shipped_at, one.delivered_at, one.carrier_party_id, one.tracking_id)
            )
            self._add_handled(tables.SHIPMENT_LINE, (key, one.shipment_id), one.lines)
        for back in state.fulfilment.returns:
            self.by_table[tables.CUSTOMER_RETURN].append((key, back.return_id, back.returned_at, back.reason_code))
            self._add_handled(tables.RETURN_LINE, (key, back.return_id), back.lines)

    def _add_handled(self, table: Table, key: Row, lines: Sequence[HandledLine]) -> None:
        self.by_table[table] += [(*key, number, line.line_id, line.quantity) for number, line in enumerate(lines, 1)]

    def _add_settlement(self, key: str, settlement: Settlement) -> None:
        self.by_table[tables.INVOICE] += [
            (
                key,
                one.invoice_id,
                one.invoice_type_code,
                one.issued_at,
                one.document_currency_code,
                one.due_date,
                one.tax_exclusive_amount,
                one.tax_amount,
                one.payable_amount,
            )
            for one in settlement.invoices
        ]
        self.by_table[tables.PAYMENT] += [
            (
                key,
                one.payment_id,
                one.payment_type_code,
                one.paid_at,
                one.document_currency_code,
                one.paid_amount,
                one.payment_means_code,
            )
            for one in settlement.payments
        ]


def _order_row(event: OrderEvent) -> Row:
    state = event.state
    invoiced, paid = _settled_amounts(state.settlement)
    return (
        state.order_id,
        state.version,
        state.event_id,
        event.event_type,
        state.order_status,
        state.fulfilment_status,
        state.billing_status,
        state.payment_status,
        state.placed_at,
        state.committed_at,
        state.processed_at,
        state.committed_at if state.order_status == DELETED else None,
        invoiced,
        paid,
        invoiced - paid,
        *_commercial(state),
    )


def _commercial(state: OrderState) -> Row:
    order, master = state.order, state.enrichment
    if order is None:
        return _NO_COMMERCIAL
    address = order.delivery_address or _NOWHERE
    return (
        order.customer_reference,
        order.issue_date,
        order.requested_delivery_date,
        order.document_currency_code,
        order.buyer_customer_party_id,
        order.delivery_name,
        address.street_name,
        address.city_name,
        address.postal_zone,
        address.country_subentity,
        address.country_code,
        order.sales_channel,
        order.salesperson_id,
        order.created_by,
        order.approved_by,
        order.payment_terms_code,
        order.note,
        order.line_extension_amount,
        order.charge_total_amount,
        order.tax_exclusive_amount,
        order.tax_amount,
        order.payable_amount,
        *(
            (
                master.customer_name,
                master.customer_segment,
                master.customer_region,
                master.customer_country_code,
                master.functional_currency_code,
                master.exchange_rate,
                master.exchange_rate_date,
                master.exchange_rate_provider,
            )
            if master
            else _UNENRICHED
        ),
    )


def _settled_amounts(settlement: Settlement | None) -> tuple[Decimal, Decimal]:
    """What is billed and what is paid, credit notes and refunds taken off."""
    if settlement is None:
        return _ZERO, _ZERO
    invoiced = sum(
        (-one.payable_amount if one.invoice_type_code == _CREDIT_NOTE else one.payable_amount)
        for one in settlement.invoices
    )
    paid = sum(
        (-one.paid_amount if one.payment_type_code == _REFUND else one.paid_amount) for one in settlement.payments
    )
    return invoiced or _ZERO, paid or _ZERO


def _handled_quantities(state: OrderState) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Quantity shipped and returned of each order line."""
    shipped: dict[str, Decimal] = defaultdict(Decimal)
    returned: dict[str, Decimal] = defaultdict(Decimal)
    if state.fulfilment is not None:
        for shipment in state.fulfilment.shipments:
            for line in shipment.lines:
                shipped[line.line_id] += line.quantity
        for back in state.fulfilment.returns:
            for line in back.lines:
                returned[line.line_id] += line.quantity
    return shipped, returned

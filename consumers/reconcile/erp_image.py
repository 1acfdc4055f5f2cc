"""What the ERP should hold of an order, from its synchronized state; by the ERP's own names. Pure."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from consumers.reconcile.attributes import Attributes, Elements, put, put_from
from consumers.reconcile.facts import DELETED
from schemas.models import Address, Enrichment, Fulfilment, OrderState, SalesOrder, Settlement

# What is compared, by the ERP's own names of its columns. How the last event was called is history, not state.
STATE_COLUMNS = (
    "version", "event_id", "order_status", "fulfilment_status", "billing_status", "payment_status", "placed_at",
    "committed_at", "processed_at",
)  # fmt: skip
ORDER_COLUMNS = (
    "customer_reference", "issue_date", "requested_delivery_date", "document_currency_code", "buyer_customer_party_id",
    "delivery_name", "sales_channel", "salesperson_id", "created_by", "approved_by", "payment_terms_code", "note",
    "line_extension_amount", "charge_total_amount", "tax_exclusive_amount", "tax_amount", "payable_amount",
)  # fmt: skip
ADDRESS_COLUMNS = ("street_name", "city_name", "postal_zone", "country_subentity", "country_code")
ENRICHMENT_COLUMNS = (
    "customer_name", "customer_segment", "customer_region", "customer_country_code", "functional_currency_code",
    "exchange_rate", "exchange_rate_date", "exchange_rate_provider",
)  # fmt: skip
BALANCES_COLUMNS = ("invoiced_amount", "paid_amount", "open_amount")
LINE_COLUMNS = (
    "line_number", "product_id", "item_name", "quantity", "unit_code", "price_amount", "allowance_total_amount",
    "line_extension_amount", "tax_category_code", "tax_percent", "tax_amount", "requested_delivery_date",
)  # fmt: skip
LINE_MASTER_COLUMNS = ("product_name", "category", "vendor_id", "standard_cost_amount")
HANDLED_COLUMNS = ("shipped_quantity", "returned_quantity")
SHIPMENT_COLUMNS = ("shipped_at", "delivered_at", "carrier_party_id", "tracking_id")
RETURN_COLUMNS = ("returned_at", "reason_code")
INVOICE_COLUMNS = ("invoice_type_code", "issued_at", "due_date", "tax_exclusive_amount", "tax_amount", "payable_amount")
PAYMENT_COLUMNS = ("payment_type_code", "paid_at", "paid_amount", "payment_means_code")


_ZERO = Decimal(0)


def expected_erp(state: OrderState) -> Attributes:
    """What the ERP should hold of an order."""
    expected: dict[str, str] = {}
    put_from(expected, "", STATE_COLUMNS, state)
    if state.order_status == DELETED:
        expected["is_deleted"] = "true"
    if state.order is not None:
        _put_order(expected, state.order, state.fulfilment, state.enrichment)
    if state.fulfilment is not None:
        _put_fulfilment(expected, state.fulfilment)
    _put_settlement(expected, state.settlement)
    return expected


def erp_of_facts(
    order: SalesOrder | None, fulfilment: Fulfilment | None, settlement: Settlement | None
) -> dict[str, str]:
    """What the ERP should hold of what the sources say; without versions, times and master data."""
    expected: dict[str, str] = {}
    if order is not None:
        expected["order_status"] = order.order_status
        _put_order(expected, order, fulfilment, None)
    if fulfilment is not None:
        _put_fulfilment(expected, fulfilment)
    _put_settlement(expected, settlement)
    return expected


def _put_order(
    expected: dict[str, str], order: SalesOrder, fulfilment: Fulfilment | None, enrichment: Enrichment | None
) -> None:
    put_from(expected, "", ORDER_COLUMNS, order)
    address = order.delivery_address or Address()
    put_from(expected, "delivery_", ADDRESS_COLUMNS, address)
    master = {line.line_id: line for line in enrichment.lines} if enrichment is not None else {}
    if enrichment is not None:
        put_from(expected, "", ENRICHMENT_COLUMNS, enrichment)
    handled = _handled_quantities(fulfilment)
    lines = Elements("lines")
    for number, line in enumerate(order.order_lines, 1):
        prefix = lines.next(line.line_id)
        put(expected, prefix, LINE_COLUMNS, [number, *(getattr(line, name) for name in LINE_COLUMNS[1:])])
        if line.line_id in master:
            put_from(expected, prefix, LINE_MASTER_COLUMNS, master[line.line_id])
        put(expected, prefix, HANDLED_COLUMNS, [handled[name].get(line.line_id, _ZERO) for name in HANDLED_COLUMNS])


def _handled_quantities(fulfilment: Fulfilment | None) -> dict[str, dict[str, Decimal]]:
    quantities: dict[str, dict[str, Decimal]] = {name: defaultdict(Decimal) for name in HANDLED_COLUMNS}
    shipments = fulfilment.shipments if fulfilment is not None else []
    returns = fulfilment.returns if fulfilment is not None else []
    handled = [("shipped_quantity", event.lines) for event in shipments]
    handled += [("returned_quantity", event.lines) for event in returns]
    for name, lines in handled:
        for line in lines:
            quantities[name][line.line_id] += line.quantity
    return quantities


def _put_fulfilment(expected: dict[str, str], fulfilment: Fulfilment) -> None:
    for path, identity, columns, events in (
        ("shipments", "shipment_id", SHIPMENT_COLUMNS, fulfilment.shipments),
        ("returns", "return_id", RETURN_COLUMNS, fulfilment.returns),
    ):
        elements = Elements(path)
        for event in events:
            prefix = elements.next(getattr(event, identity))
            put_from(expected, prefix, columns, event)
            lines = Elements(f"{prefix}lines")
            for line in event.lines:
                put(expected, lines.next(line.line_id), ("quantity",), (line.quantity,))


def _put_settlement(expected: dict[str, str], settlement: Settlement | None) -> None:
    invoices = [] if settlement is None else settlement.invoices
    payments = [] if settlement is None else settlement.payments
    invoiced = paid = _ZERO
    elements = Elements("invoices")
    for invoice in invoices:
        put_from(expected, elements.next(invoice.invoice_id), INVOICE_COLUMNS, invoice)
        invoiced += -invoice.payable_amount if invoice.invoice_type_code == "381" else invoice.payable_amount
    elements = Elements("payments")
    for payment in payments:
        put_from(expected, elements.next(payment.payment_id), PAYMENT_COLUMNS, payment)
        paid += -payment.paid_amount if payment.payment_type_code == "refund" else payment.paid_amount
    put(expected, "", BALANCES_COLUMNS, (invoiced, paid, invoiced - paid))

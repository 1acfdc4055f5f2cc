"""A captured order and an order state with three lines each, as the hot path meets them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from schemas.attributes import CustomerId, EventId, OrderId, ProductId, VendorId
from schemas.models import (
    Address,
    EnrichedLine,
    Enrichment,
    Fulfilment,
    HandledLine,
    Invoice,
    OrderCaptured,
    OrderLine,
    OrderState,
    Payment,
    SalesOrder,
    Settlement,
    Shipment,
    SourcePosition,
)

COMMITTED_AT = datetime(2026, 11, 21, 9, 30, 0, 123456, tzinfo=UTC)


def order_captured(number: int = 1) -> OrderCaptured:
    """The capture of order `number`, whose amounts, parties and products differ from those of other numbers."""
    return OrderCaptured(
        event_id=EventId(f"6f1d2b52-3a39-5d0e-9a55-{number:012x}"),
        order_id=_order_id(number),
        operation="upserted",
        source=_source("crm", number),
        committed_at=COMMITTED_AT + timedelta(milliseconds=number),
        captured_at=COMMITTED_AT + timedelta(milliseconds=number + 7),
        order=sales_order(number),
    )


def sales_order(number: int = 1) -> SalesOrder:
    """Order `number`: three lines whose amounts and tax add up."""
    lines = [_line(number, position) for position in (1, 2, 3)]
    net = sum((line.line_extension_amount for line in lines), Decimal(0))
    tax = sum((line.tax_amount for line in lines), Decimal(0))
    return SalesOrder(
        order_id=_order_id(number),
        customer_reference=f"PO-{number:06d}",
        order_status="placed",
        issue_date=date(2026, 11, 21),
        requested_delivery_date=date(2026, 12, 1),
        document_currency_code="EUR",
        buyer_customer_party_id=CustomerId(f"C-{number % 5000:05d}"),
        delivery_name="Erika Mustermann",
        delivery_address=Address(
            street_name=f"Hauptstraße {number % 200}",
            city_name="Hamburg",
            postal_zone="20095",
            country_code="DE",
        ),
        sales_channel="web",
        salesperson_id=f"S-{number % 40}",
        payment_terms_code="NET30",
        line_extension_amount=net,
        charge_total_amount=Decimal("4.9000"),
        tax_exclusive_amount=net + Decimal("4.9000"),
        tax_amount=tax,
        payable_amount=net + Decimal("4.9000") + tax,
        order_lines=lines,
    )


def order_state(number: int = 1) -> OrderState:
    """The state of order `number` after shipment and payment."""
    order = sales_order(number)
    return OrderState(
        order_id=order.order_id,
        version=3,
        order_status="confirmed",
        fulfilment_status="fulfilled",
        billing_status="billed",
        payment_status="paid",
        placed_at=COMMITTED_AT,
        committed_at=COMMITTED_AT + timedelta(milliseconds=number),
        processed_at=COMMITTED_AT + timedelta(milliseconds=number + 20),
        event_id=EventId(f"6f1d2b52-3a39-5d0e-9a55-{number:012x}"),
        order_source=_source("crm", number),
        fulfilment_source=_source("inventory", number),
        settlement_source=_source("finance", number),
        enrichment=_enrichment(order),
        order=order,
        fulfilment=_fulfilment(order),
        settlement=_settlement(order),
    )


def _order_id(number: int) -> OrderId:
    return OrderId(f"crm:SO-{number:08d}")


def _source(system: str, number: int) -> SourcePosition:
    return SourcePosition(
        system=system, transaction_id=700_000 + number, position=25_000_000 + 480 * number, sequence=0
    )


def _line(number: int, position: int) -> OrderLine:
    quantity = Decimal(number % 9 + position)
    price = Decimal(f"{(number * 37 + position * 811) % 49_999 + 1}").scaleb(-2)
    net = quantity * price
    return OrderLine(
        line_id=str(position),
        product_id=ProductId(f"P-{(number * 7 + position) % 3000:05d}"),
        item_name=f"Article {(number * 7 + position) % 3000}",
        quantity=quantity,
        unit_code="C62",
        price_amount=price,
        allowance_total_amount=Decimal("0.0000"),
        line_extension_amount=net,
        tax_category_code="S",
        tax_percent=Decimal("19.0000"),
        tax_amount=(net * Decimal("0.19")).quantize(Decimal("0.01")),
        requested_delivery_date=None,
    )


def _enrichment(order: SalesOrder) -> Enrichment:
    lines = [
        EnrichedLine(
            line_id=line.line_id,
            product_id=line.product_id,
            product_name=line.item_name or "",
            category="hardware",
            vendor_id=VendorId("V-0042"),
            standard_cost_amount=line.price_amount / 2,
        )
        for line in order.order_lines
    ]
    return Enrichment(
        customer_name="Mustermann GmbH",
        customer_segment="smb",
        customer_region="north",
        customer_country_code="DE",
        functional_currency_code="EUR",
        exchange_rate=Decimal(1),
        exchange_rate_date=date(2026, 11, 20),
        exchange_rate_provider="ECB",
        lines=lines,
    )


def _fulfilment(order: SalesOrder) -> Fulfilment:
    lines = [HandledLine(line_id=line.line_id, quantity=line.quantity) for line in order.order_lines]
    shipment = Shipment(
        shipment_id="1",
        shipped_at=COMMITTED_AT + timedelta(days=1),
        carrier_party_id="DHL",
        tracking_id="00340434292135100186",
        lines=lines,
    )
    return Fulfilment(order_id=order.order_id, shipments=[shipment], returns=[])


def _settlement(order: SalesOrder) -> Settlement:
    invoice = Invoice(
        invoice_id="R-1",
        invoice_type_code="380",
        document_currency_code="EUR",
        issued_at=COMMITTED_AT + timedelta(days=1),
        due_date=date(2026, 12, 21),
        tax_exclusive_amount=order.tax_exclusive_amount,
        tax_amount=order.tax_amount,
        payable_amount=order.payable_amount,
    )
    payment = Payment(
        payment_id="Z-1",
        payment_type_code="receipt",
        document_currency_code="EUR",
        paid_at=COMMITTED_AT + timedelta(days=9),
        paid_amount=order.payable_amount,
        payment_means_code="58",
    )
    return Settlement(order_id=order.order_id, invoices=[invoice], payments=[payment])

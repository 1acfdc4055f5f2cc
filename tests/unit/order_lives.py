"""Captured events of one order, built from few words: amounts add up and source positions rise by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from schemas.allocation import rounded
from schemas.attributes import CustomerId, OrderId, ProductId, VendorId
from schemas.currencies import is_currency
from schemas.models import (
    ConfirmedLine,
    Customer,
    Despatch,
    DespatchedLine,
    Fulfilment,
    FulfilmentCaptured,
    FxRate,
    HandledLine,
    Invoice,
    OrderCaptured,
    OrderLine,
    Payment,
    PaymentsCaptured,
    Product,
    Return,
    SalesOrder,
    Settlement,
    Shipment,
    SourcePosition,
    VendorAnswer,
    VendorAnswered,
)
from schemas.models.source import event_id_of
from schemas.topics import FULFILMENT_CAPTURED, ORDERS_CAPTURED, PAYMENTS_CAPTURED, VENDOR_ANSWERS

BEGIN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ORDER_ID = OrderId("crm:SO-1")
ZERO = Decimal(0)


class Item(NamedTuple):
    """One line: quantity and price as written."""

    line_id: str
    product_id: str
    quantity: str
    price: str


TWO_LINES = (Item("1", "P1", "3", "9.99"), Item("2", "P2", "10", "20.00"))


def line(item: Item, currency: str = "EUR", tax_percent: str = "19") -> OrderLine:
    """A line whose amounts follow from quantity and price."""
    net = rounded(Decimal(item.quantity) * Decimal(item.price), currency)
    return OrderLine(
        line_id=item.line_id,
        product_id=ProductId(item.product_id),
        quantity=Decimal(item.quantity),
        unit_code="C62",
        price_amount=Decimal(item.price),
        allowance_total_amount=ZERO,
        line_extension_amount=net,
        tax_percent=Decimal(tax_percent),
        tax_amount=rounded(net * Decimal(tax_percent) / 100, currency),
    )


def order(
    items: Sequence[Item] = TWO_LINES,
    *,
    status: str = "placed",
    currency: str = "EUR",
    charges: str = "0",
    charges_tax: str = "0",
    customer: str = "C1",
    order_id: OrderId = ORDER_ID,
    note: str | None = None,
) -> SalesOrder:
    """An order that adds up."""
    lines = [line(item, currency) for item in items]
    net = sum((item.line_extension_amount for item in lines), ZERO)
    tax = sum((item.tax_amount for item in lines), ZERO) + Decimal(charges_tax)
    exclusive = net + Decimal(charges)
    return SalesOrder(
        order_id=order_id,
        order_status=status,
        issue_date=date(2026, 11, 21),
        document_currency_code=currency,
        buyer_customer_party_id=CustomerId(customer),
        note=note,
        line_extension_amount=net,
        charge_total_amount=Decimal(charges),
        tax_exclusive_amount=exclusive,
        tax_amount=tax,
        payable_amount=exclusive + tax,
        order_lines=lines,
    )


def shipment(number: int, quantities: Mapping[str, str | Decimal]) -> Shipment:
    """Goods that leave."""
    return Shipment(shipment_id=f"S{number}", shipped_at=BEGIN, lines=_handled(quantities))


def goods_return(number: int, quantities: Mapping[str, str | Decimal]) -> Return:
    """Goods that come back."""
    return Return(return_id=f"R{number}", returned_at=BEGIN, lines=_handled(quantities))


def invoice(number: int, amount: str | Decimal, *, code: str = "380", currency: str = "EUR") -> Invoice:
    """An invoice, or with code 381 a credit note, over an amount that includes tax."""
    gross = Decimal(amount)
    net = rounded(gross / Decimal("1.19"), currency if is_currency(currency) else "EUR")
    return Invoice(
        invoice_id=f"I{number}",
        invoice_type_code=code,
        issued_at=BEGIN,
        document_currency_code=currency,
        tax_exclusive_amount=net,
        tax_amount=gross - net,
        payable_amount=gross,
    )


def payment(number: int, amount: str | Decimal, *, kind: str = "receipt", currency: str = "EUR") -> Payment:
    """A receipt or a refund."""
    return Payment(
        payment_id=f"Z{number}",
        payment_type_code=kind,
        paid_at=BEGIN,
        document_currency_code=currency,
        paid_amount=Decimal(amount),
    )


def confirmation(number: int, *lines: ConfirmedLine, vendor: str = "V1", reason: str | None = None) -> VendorAnswer:
    """A vendor's word about lines; later numbers are later."""
    return VendorAnswer(
        message_id=f"M{number}",
        vendor_id=VendorId(vendor),
        answer_type="confirmation",
        issued_at=BEGIN + timedelta(minutes=number),
        reason=reason,
        lines=list(lines),
    )


def accepted(line_id: str, quantity: str | None = None, status: str = "accepted") -> ConfirmedLine:
    """What becomes of one line."""
    return ConfirmedLine(line_id=line_id, line_status=status, quantity=None if quantity is None else Decimal(quantity))


def despatch(
    number: int, quantities: Mapping[str, str], *, despatch_id: str | None = None, withdrawn: bool = False
) -> VendorAnswer:
    """A vendor's dispatch advice; later numbers are later."""
    return VendorAnswer(
        message_id=f"M{number}",
        vendor_id=VendorId("V1"),
        answer_type="despatch",
        issued_at=BEGIN + timedelta(minutes=number),
        despatch=Despatch(
            despatch_id=despatch_id or f"D{number}",
            shipped_at=BEGIN,
            tracking_id=f"T{number}",
            is_withdrawn=withdrawn,
            lines=[DespatchedLine(line_id=one, quantity=Decimal(many)) for one, many in quantities.items()],
        ),
    )


@dataclass
class Life:
    """The three owners of one order; each event has its owner's next source position."""

    order_id: OrderId = ORDER_ID
    systems: tuple[str, str, str] = ("crm", "inventory", "finance")
    _positions: dict[str, int] = field(default_factory=dict)

    def ordered(self, facts: SalesOrder | None) -> OrderCaptured:
        """The commercial facts as they are now; None where the order was deleted."""
        source = self._next(self.systems[0])
        return OrderCaptured(
            event_id=event_id_of(ORDERS_CAPTURED, self.order_id, source),
            order_id=self.order_id,
            operation="deleted" if facts is None else "upserted",
            source=source,
            committed_at=_committed_at(source),
            captured_at=_committed_at(source),
            order=facts,
        )

    def handled(self, *events: Shipment | Return, deleted: bool = False) -> FulfilmentCaptured:
        """All shipments and returns so far."""
        source = self._next(self.systems[1])
        facts = Fulfilment(
            order_id=self.order_id,
            shipments=[event for event in events if isinstance(event, Shipment)],
            returns=[event for event in events if isinstance(event, Return)],
        )
        return FulfilmentCaptured(
            event_id=event_id_of(FULFILMENT_CAPTURED, self.order_id, source),
            order_id=self.order_id,
            operation="deleted" if deleted else "upserted",
            source=source,
            committed_at=_committed_at(source),
            captured_at=_committed_at(source),
            fulfilment=None if deleted else facts,
        )

    def settled(self, *documents: Invoice | Payment, deleted: bool = False) -> PaymentsCaptured:
        """All invoices and payments so far."""
        source = self._next(self.systems[2])
        facts = Settlement(
            order_id=self.order_id,
            invoices=[document for document in documents if isinstance(document, Invoice)],
            payments=[document for document in documents if isinstance(document, Payment)],
        )
        return PaymentsCaptured(
            event_id=event_id_of(PAYMENTS_CAPTURED, self.order_id, source),
            order_id=self.order_id,
            operation="deleted" if deleted else "upserted",
            source=source,
            committed_at=_committed_at(source),
            captured_at=_committed_at(source),
            settlement=None if deleted else facts,
        )

    def answered(self, answer: VendorAnswer | None, system: str | None = None) -> VendorAnswered:
        """A vendor's message, taken a minute after it was written."""
        moment = BEGIN if answer is None else answer.issued_at
        position = int(moment.timestamp()) * 1_000_000
        vendor = "V1" if answer is None else answer.vendor_id
        source = SourcePosition(system=system or f"vendor.{vendor}", transaction_id=0, position=position, sequence=0)
        return VendorAnswered(
            event_id=event_id_of(VENDOR_ANSWERS, self.order_id, source),
            order_id=self.order_id,
            operation="upserted",
            source=source,
            committed_at=moment + timedelta(minutes=1),
            captured_at=moment + timedelta(minutes=1),
            answer=answer,
        )

    def _next(self, system: str) -> SourcePosition:
        position = self._positions[system] = self._positions.get(system, 0) + 100
        return SourcePosition(system=system, transaction_id=position, position=position, sequence=0)


def customer(customer_id: str = "C1", *, is_blocked: bool = False) -> Customer:
    """A customer."""
    return Customer(
        **_origin("crm"), customer_id=CustomerId(customer_id), name=f"Customer {customer_id}", is_blocked=is_blocked
    )


def product(product_id: str = "P1", *, cost: str | None = "4.00", is_discontinued: bool = False) -> Product:
    """A product."""
    return Product(
        **_origin("inventory"),
        product_id=ProductId(product_id),
        name=f"Product {product_id}",
        vendor_id=VendorId("V1"),
        unit_code="C62",
        standard_cost_amount=None if cost is None else Decimal(cost),
        is_discontinued=is_discontinued,
    )


def fx_rate(base: str, rate: str, day: date = date(2026, 11, 20)) -> FxRate:
    """A rate to the euro."""
    return FxRate(
        **_origin("finance"),
        rate_key=f"{base}:EUR:{day}",
        base_currency_code=base,
        quote_currency_code="EUR",
        rate_date=day,
        rate=Decimal(rate),
        provider="ECB",
    )


def _handled(quantities: Mapping[str, str | Decimal]) -> list[HandledLine]:
    return [HandledLine(line_id=name, quantity=Decimal(quantity)) for name, quantity in quantities.items()]


def _committed_at(source: SourcePosition) -> datetime:
    return BEGIN + timedelta(seconds=source.position)


def _origin(system: str) -> dict[str, object]:
    source = SourcePosition(system=system, transaction_id=1, position=1, sequence=0)
    return {"source": source, "committed_at": BEGIN, "captured_at": BEGIN}

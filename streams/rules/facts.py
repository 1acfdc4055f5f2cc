"""What the rules look at: the facts of one order as they would be after an event, and what was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Protocol

from schemas.attributes import CustomerId, OrderId, ProductId
from schemas.models import (
    CapturedEvent,
    Customer,
    Fulfilment,
    FulfilmentCaptured,
    FxRate,
    OrderCaptured,
    OrderLine,
    OrderState,
    PaymentsCaptured,
    Product,
    SalesOrder,
    Settlement,
    VendorAnswered,
)
from schemas.topics import FULFILMENT_CAPTURED, ORDERS_CAPTURED, PAYMENTS_CAPTURED, VENDOR_ANSWERS


class Section(Enum):
    """One owner's part of an order; the value is the topic that it comes on."""

    ORDER = ORDERS_CAPTURED
    FULFILMENT = FULFILMENT_CAPTURED
    SETTLEMENT = PAYMENTS_CAPTURED
    ANSWERS = VENDOR_ANSWERS
    """Messages of vendors, each of which changes what the order's fulfilment says of their own lines."""


EVENT_MODELS: Mapping[Section, type[CapturedEvent]] = {
    Section.ORDER: OrderCaptured,
    Section.FULFILMENT: FulfilmentCaptured,
    Section.SETTLEMENT: PaymentsCaptured,
    Section.ANSWERS: VendorAnswered,
}


class MasterData(Protocol):
    """The master data that is known now: the newest of everything, or what was in force at a time."""

    @property
    def revision(self) -> int:
        """Another number after each change."""
        ...

    def customer(self, customer_id: CustomerId) -> Customer | None:
        """The customer, if known."""
        ...

    def product(self, product_id: ProductId) -> Product | None:
        """The product, if known."""
        ...

    def fx_rate(self, base: str, quote: str) -> FxRate | None:
        """The newest rate of the pair, if one is known."""
        ...

    def as_of(self, at: datetime, on: date) -> MasterData:
        """Customers and products as they were in force at a time, and the rates of a day."""
        ...


@dataclass(slots=True)
class Candidate:
    """An order as it would be after `event`; rules judge it before it becomes a version."""

    section: Section
    event: CapturedEvent
    previous: OrderState | None
    order: SalesOrder | None
    fulfilment: Fulfilment | None
    settlement: Settlement | None
    is_deleted: bool
    customer: Customer | None = None
    products: list[Product] = field(default_factory=list)
    rate: FxRate | None = None
    exchange_rate: Decimal | None = None
    """Functional currency for one unit of the order's; None where it is not known (yet)."""

    @property
    def order_id(self) -> OrderId:
        """The order that the event is about."""
        return self.event.order_id

    @property
    def lines(self) -> list[OrderLine]:
        """The lines of the order; none where it is not known."""
        return [] if self.order is None else self.order.order_lines

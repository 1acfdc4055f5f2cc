"""A second, simple account of what the stream processor promises: dictionaries, no bytes, no batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.attributes import CustomerId, OrderId
from schemas.models import (
    CapturedEvent,
    Fulfilment,
    FulfilmentCaptured,
    OrderCaptured,
    PaymentsCaptured,
    SalesOrder,
    Settlement,
)

Facts = SalesOrder | Fulfilment | Settlement


@dataclass
class ReferenceOrder:
    """What is known of one order."""

    version: int = 0
    facts: dict[type[CapturedEvent], Facts | None] = field(default_factory=dict)
    positions: dict[type[CapturedEvent], int] = field(default_factory=dict)
    is_deleted: bool = False
    waiting: list[CapturedEvent] = field(default_factory=list)
    deadline_at: datetime | None = None


@dataclass
class Reference:
    """All orders, the customers that are known, and how many events were refused."""

    parked_for: timedelta
    customers: set[CustomerId]
    orders: dict[OrderId, ReferenceOrder] = field(default_factory=dict)
    refused: int = 0

    def take(self, event: CapturedEvent, now: datetime) -> None:
        """An event arrives."""
        known = self.orders.setdefault(event.order_id, ReferenceOrder())
        self._run(known, [*known.waiting, event], now)

    def arrive(self, customer_id: CustomerId, now: datetime) -> None:
        """A customer becomes known; whoever waits tries again."""
        self.customers.add(customer_id)
        for known in self.orders.values():
            self._run(known, known.waiting, now)

    def expire(self, now: datetime) -> None:
        """What waited too long is refused, one after the other, and the rest tries again."""
        for known in self.orders.values():
            while known.waiting and known.deadline_at is not None and known.deadline_at <= now:
                self.refused += 1
                self._run(known, known.waiting[1:], now)

    def _run(self, known: ReferenceOrder, queue: list[CapturedEvent], now: datetime) -> None:
        was_waiting, known.waiting = bool(known.waiting), []
        if was_waiting:
            queue = sorted(queue, key=lambda event: not isinstance(event, OrderCaptured))
        for event in queue:
            ahead = [other for other in known.waiting if type(other) is type(event)]
            if ahead and event.source.position <= ahead[-1].source.position:
                continue
            effect = self._effect(known, event, overtakes=bool(ahead))
            others_wait = any(type(other) is not type(event) for other in queue)
            if effect == "waits" or (effect == "never_placed" and ahead and others_wait):
                known.waiting.append(event)
            elif effect != "refused":
                known.waiting = [other for other in known.waiting if other not in ahead]
        if not was_waiting:
            known.deadline_at = now + self.parked_for

    def _effect(self, known: ReferenceOrder, event: CapturedEvent, *, overtakes: bool) -> str:
        """Apply the event, if it can be; gives what came of it."""
        kind, facts = type(event), facts_of(event)
        order = facts if isinstance(event, OrderCaptured) else known.facts.get(OrderCaptured)
        if known.version and not overtakes and self._is_known(known, event):
            return "done"
        if event.source.position <= known.positions.get(kind, 0):
            return "done"
        if isinstance(event, OrderCaptured) and facts is None and not known.version:
            return "never_placed"
        if isinstance(event, OrderCaptured) and isinstance(facts, SalesOrder):
            if facts.payable_amount != facts.tax_exclusive_amount + facts.tax_amount:
                self.refused += 1
                return "refused"
            if facts.buyer_customer_party_id not in self.customers:
                return "waits"
        if not isinstance(event, OrderCaptured) and not isinstance(order, SalesOrder):
            return "waits"
        if isinstance(facts, Fulfilment) and isinstance(order, SalesOrder):
            lines = {line.line_id for line in order.order_lines}
            handled = known.facts.get(FulfilmentCaptured)
            if isinstance(handled, Fulfilment):
                lines |= {line.line_id for sent in [*handled.shipments, *handled.returns] for line in sent.lines}
            if any(line.line_id not in lines for sent in facts.shipments for line in sent.lines):
                return "waits"
        if isinstance(event, OrderCaptured):
            known.is_deleted = facts is None
        if not isinstance(event, OrderCaptured) or facts is not None:
            known.facts[kind] = facts
        known.positions[kind] = event.source.position
        known.version += 1
        return "done"

    def _is_known(self, known: ReferenceOrder, event: CapturedEvent) -> bool:
        if isinstance(event, OrderCaptured) and (event.order is None or known.is_deleted):
            return event.order is None and known.is_deleted
        return known.facts.get(type(event)) == facts_of(event)


def facts_of(event: CapturedEvent) -> Facts | None:
    """The section of an event."""
    if isinstance(event, OrderCaptured):
        return event.order
    if isinstance(event, FulfilmentCaptured):
        return event.fulfilment
    assert isinstance(event, PaymentsCaptured)
    return event.settlement

"""Names what happened between two versions of an order, in the past tense."""

from __future__ import annotations

from streams.rules.facts import Candidate, Section
from streams.rules.statuses import CREDIT_NOTE, REFUND

_BY_STATUS = {"confirmed": "OrderConfirmed", "completed": "OrderCompleted", "cancelled": "OrderCancelled"}


def event_type(candidate: Candidate) -> str:
    """The type of the event that makes `candidate` a version."""
    if candidate.section is Section.ORDER:
        return _commercial(candidate)
    if candidate.section is Section.ANSWERS:
        return _answer(candidate)
    return _fulfilment(candidate) if candidate.section is Section.FULFILMENT else _settlement(candidate)


def _commercial(candidate: Candidate) -> str:
    if candidate.is_deleted:
        return "OrderDeleted"
    if candidate.previous is None:
        return "OrderPlaced"
    assert candidate.order is not None
    status = candidate.order.order_status
    if status != candidate.previous.order_status:
        return _BY_STATUS.get(status, "OrderChanged")
    return "OrderChanged"


def _fulfilment(candidate: Candidate) -> str:
    now, before = candidate.fulfilment, candidate.previous.fulfilment if candidate.previous else None
    if now is None:
        return "FulfilmentDeleted"
    if len(now.returns) > (len(before.returns) if before else 0):
        return "OrderReturned"
    if len(now.shipments) > (len(before.shipments) if before else 0):
        return "OrderShipped"
    return "FulfilmentChanged"


def _answer(candidate: Candidate) -> str:
    now, before = candidate.fulfilment, candidate.previous.fulfilment if candidate.previous else None
    shipped = now.shipments if now is not None else []
    known = before.shipments if before is not None else []
    if shipped == known:
        return "VendorConfirmed"
    return "OrderShipped" if len(shipped) > len(known) else "FulfilmentChanged"


def _settlement(candidate: Candidate) -> str:
    now, before = candidate.settlement, candidate.previous.settlement if candidate.previous else None
    if now is None:
        return "SettlementDeleted"
    if len(now.payments) > (len(before.payments) if before else 0):
        return "OrderRefunded" if now.payments[-1].payment_type_code == REFUND else "OrderPaid"
    if len(now.invoices) > (len(before.invoices) if before else 0):
        return "OrderCredited" if now.invoices[-1].invoice_type_code == CREDIT_NOTE else "OrderBilled"
    return "SettlementChanged"

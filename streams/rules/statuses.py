"""The four independent status axes of an order, derived from its facts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from schemas.models import Fulfilment, SalesOrder, Settlement
from streams.rules.merging import DELETED
from streams.rules.quantities import ZERO, returned_quantities, shipped_quantities

INVOICE = "380"
CREDIT_NOTE = "381"
RECEIPT = "receipt"
REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Statuses:
    """Where an order stands on each axis."""

    order: str
    fulfilment: str
    billing: str
    payment: str


def statuses(
    order: SalesOrder, fulfilment: Fulfilment | None, settlement: Settlement | None, *, is_deleted: bool
) -> Statuses:
    """Derive all four; each from its owner's facts and the ordered quantities and amounts."""
    return Statuses(
        DELETED if is_deleted else order.order_status,
        "unfulfilled" if fulfilment is None else fulfilment_status(order, fulfilment),
        "unbilled" if settlement is None else billing_status(order, settlement),
        "unpaid" if settlement is None else payment_status(order, settlement),
    )


def fulfilment_status(order: SalesOrder, fulfilment: Fulfilment) -> str:
    """unfulfilled, partially_fulfilled, fulfilled or returned."""
    shipped, returned = shipped_quantities(fulfilment), returned_quantities(fulfilment)
    total_shipped = sum(shipped.values(), ZERO)
    if not total_shipped:
        return "unfulfilled"
    if sum(returned.values(), ZERO) >= total_shipped:
        return "returned"
    complete = all(shipped.get(line.line_id, ZERO) >= line.quantity for line in order.order_lines)
    return "fulfilled" if complete else "partially_fulfilled"


def billing_status(order: SalesOrder, settlement: Settlement) -> str:
    """unbilled, partially_billed, billed or credited."""
    invoiced, credited = invoiced_amount(settlement), credited_amount(settlement)
    if not invoiced:
        return "unbilled"
    if credited >= invoiced:
        return "credited"
    return "billed" if invoiced >= order.payable_amount else "partially_billed"


def payment_status(order: SalesOrder, settlement: Settlement) -> str:
    """unpaid, partially_paid, paid, overpaid or refunded."""
    received, refunded = received_amount(settlement), refunded_amount(settlement)
    if not received:
        return "unpaid"
    if refunded >= received:
        return "refunded"
    owed, kept = owed_amount(order, settlement), received - refunded
    if kept < owed:
        return "partially_paid"
    return "paid" if kept == owed else "overpaid"


def owed_amount(order: SalesOrder, settlement: Settlement) -> Decimal:
    """What the customer owes in the end: the order less what was credited beyond too much that had been billed."""
    billed_too_much = max(invoiced_amount(settlement) - order.payable_amount, ZERO)
    return order.payable_amount - max(credited_amount(settlement) - billed_too_much, ZERO)


def invoiced_amount(settlement: Settlement) -> Decimal:
    """All invoices."""
    return sum((item.payable_amount for item in settlement.invoices if item.invoice_type_code != CREDIT_NOTE), ZERO)


def credited_amount(settlement: Settlement) -> Decimal:
    """All credit notes."""
    return sum((item.payable_amount for item in settlement.invoices if item.invoice_type_code == CREDIT_NOTE), ZERO)


def received_amount(settlement: Settlement) -> Decimal:
    """All receipts."""
    return sum((item.paid_amount for item in settlement.payments if item.payment_type_code != REFUND), ZERO)


def refunded_amount(settlement: Settlement) -> Decimal:
    """All refunds."""
    return sum((item.paid_amount for item in settlement.payments if item.payment_type_code == REFUND), ZERO)

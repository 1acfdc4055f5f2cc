"""Rules about the life of an order: which steps may follow which, on each axis and between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from streams.rules.catalogue import Finding, RuleDeclarations, Severity
from streams.rules.facts import Candidate, Section
from streams.rules.quantities import ZERO, as_text, handlings, returned_quantities, shipped_quantities
from streams.rules.statuses import credited_amount, invoiced_amount, received_amount, refunded_amount

DECLARED = RuleDeclarations()
rule = DECLARED.rule
_MAY_FOLLOW = {
    "placed": {"placed", "confirmed", "completed", "cancelled"},
    "confirmed": {"confirmed", "completed", "cancelled"},
    "completed": {"completed", "cancelled"},
    "cancelled": {"cancelled"},
}


@rule(
    "lifecycle.order_status",
    Section.ORDER,
    source="S6",
    owner="crm",
    plain="previous is None or previous.order_status == order.order_status",
)
def order_status(candidate: Candidate) -> Iterator[Finding]:
    """An order goes from placed to confirmed to completed, or to cancelled, and never back."""
    if candidate.previous is None or candidate.order is None or candidate.is_deleted:
        return
    before, now = candidate.previous.order_status, candidate.order.order_status
    if before in _MAY_FOLLOW and now not in _MAY_FOLLOW[before]:
        yield Finding(f"{now} cannot follow {before}; place a new order instead", "order_status")


@rule(
    "lifecycle.currency_fixed",
    Section.ORDER,
    source="I7, IAS 21.21",
    owner="finance",
    plain="fulfilment is None and settlement is None",
)
def currency_fixed(candidate: Candidate) -> Iterator[Finding]:
    """The currency of an order stays once anything was shipped, billed or paid."""
    previous, order = candidate.previous, candidate.order
    if previous is None or previous.order is None or order is None:
        return
    if previous.fulfilment is None and previous.settlement is None:
        return
    before, now = previous.order.document_currency_code, order.document_currency_code
    if before != now:
        yield Finding(
            f"{before} cannot become {now} any more; cancel the order and place a new one", "document_currency_code"
        )


@rule(
    "lifecycle.cancelled_but_shipped",
    source="S1",
    owner="inventory",
    severity=Severity.WARNING,
    plain="fulfilment is None",
)
def cancelled_but_shipped(candidate: Candidate) -> Iterator[Finding]:
    """What was shipped for a cancelled or deleted order comes back."""
    order = candidate.order
    if order is None or not (candidate.is_deleted or order.order_status == "cancelled"):
        return
    shipped, returned = shipped_quantities(candidate.fulfilment), returned_quantities(candidate.fulfilment)
    outside = {line: quantity - returned.get(line, ZERO) for line, quantity in shipped.items()}
    for line, quantity in outside.items():
        if quantity > 0:
            yield Finding(f"line {line}: {as_text(quantity)} of a cancelled order are with the customer", "shipments")


@rule(
    "fulfilment.shipped_quantity", source="I3", owner="inventory", severity=Severity.WARNING, plain="fulfilment is None"
)
def shipped_quantity(candidate: Candidate) -> Iterator[Finding]:
    """No more is shipped than was ordered."""
    if candidate.order is None or candidate.fulfilment is None:
        return
    shipped = shipped_quantities(candidate.fulfilment)
    for line in candidate.order.order_lines:
        if shipped.get(line.line_id, ZERO) > line.quantity:
            sent, ordered = as_text(shipped[line.line_id]), as_text(line.quantity)
            yield Finding(f"line {line.line_id}: {sent} shipped of {ordered} ordered", "shipments")


@rule("fulfilment.returned_quantity", Section.FULFILMENT, source="I3", owner="inventory")
def returned_quantity(candidate: Candidate) -> Iterator[Finding]:
    """No more comes back than was shipped."""
    shipped = shipped_quantities(candidate.fulfilment)
    for line, quantity in returned_quantities(candidate.fulfilment).items():
        if quantity > shipped.get(line, ZERO):
            sent = as_text(shipped.get(line, ZERO))
            yield Finding(f"line {line}: {as_text(quantity)} returned of {sent} shipped", "returns")


@rule("fulfilment.handled_positive", Section.FULFILMENT, source="I3", owner="inventory")
def handled_positive(candidate: Candidate) -> Iterator[Finding]:
    """Quantities shipped and returned are more than zero."""
    for event in handlings(candidate.fulfilment):
        for line in event.lines:
            if line.quantity <= 0:
                yield Finding(
                    f"line {line.line_id}: quantity {as_text(line.quantity)} is not more than zero", "quantity"
                )


@rule(
    "lifecycle.shipped_line_removed",
    source="S1, I3",
    owner="crm",
    severity=Severity.WARNING,
    plain="fulfilment is None",
)
def shipped_line_removed(candidate: Candidate) -> Iterator[Finding]:
    """A line stays once any of it was shipped, until that has come back."""
    if candidate.order is None or candidate.fulfilment is None:
        return
    known = {line.line_id for line in candidate.order.order_lines}
    returned = returned_quantities(candidate.fulfilment)
    for line, quantity in shipped_quantities(candidate.fulfilment).items():
        if line not in known and quantity > returned.get(line, ZERO):
            yield Finding(
                f"line {line} was removed, and {as_text(quantity - returned.get(line, ZERO))} of it are shipped; put "
                "it back, or take the goods back",
                "order_lines",
            )


@rule(
    "lifecycle.cancelled_but_billed",
    source="S1, I7",
    owner="finance",
    severity=Severity.WARNING,
    plain="settlement is None",
)
def cancelled_but_billed(candidate: Candidate) -> Iterator[Finding]:
    """What was billed for a cancelled or deleted order is credited."""
    if not _is_off(candidate) or candidate.settlement is None:
        return
    open_amount = invoiced_amount(candidate.settlement) - credited_amount(candidate.settlement)
    if open_amount > 0:
        yield Finding(f"{open_amount} of a cancelled order are billed; issue a credit note", "invoices")


@rule(
    "lifecycle.cancelled_but_paid",
    source="S1, S4",
    owner="finance",
    severity=Severity.WARNING,
    plain="settlement is None",
)
def cancelled_but_paid(candidate: Candidate) -> Iterator[Finding]:
    """What was paid for a cancelled or deleted order is refunded."""
    if not _is_off(candidate) or candidate.settlement is None:
        return
    kept = received_amount(candidate.settlement) - refunded_amount(candidate.settlement)
    if kept > 0:
        yield Finding(f"{kept} of a cancelled order are paid; refund them", "payments")


@rule(
    "lifecycle.completed_but_open",
    source="S1",
    owner="crm",
    severity=Severity.WARNING,
    plain="order.order_status != 'completed'",
)
def completed_but_open(candidate: Candidate) -> Iterator[Finding]:
    """A completed order has been shipped in full."""
    order = candidate.order
    if order is None or candidate.is_deleted or order.order_status != "completed":
        return
    shipped = shipped_quantities(candidate.fulfilment)
    missing = [line.line_id for line in order.order_lines if shipped.get(line.line_id, ZERO) < line.quantity]
    if missing:
        yield Finding(f"the order is completed, and line {', '.join(missing)} is not shipped in full", "order_status")


@rule("fulfilment.shipment_ids_unique", Section.FULFILMENT, source="I3, UBL DespatchAdvice/cbc:ID", owner="inventory")
def shipment_ids_unique(candidate: Candidate) -> Iterator[Finding]:
    """Each shipment of an order has a number of its own."""
    shipments = candidate.fulfilment.shipments if candidate.fulfilment is not None else []
    for number in repeated([shipment.shipment_id for shipment in shipments]):
        yield Finding(f"shipment {number} is there twice", "shipments.shipment_id")


@rule("fulfilment.return_ids_unique", Section.FULFILMENT, source="I3", owner="inventory")
def return_ids_unique(candidate: Candidate) -> Iterator[Finding]:
    """Each return of an order has a number of its own."""
    returns = candidate.fulfilment.returns if candidate.fulfilment is not None else []
    for number in repeated([entry.return_id for entry in returns]):
        yield Finding(f"return {number} is there twice", "returns.return_id")


@rule("fulfilment.lines_present", Section.FULFILMENT, source="I3", owner="inventory", severity=Severity.WARNING)
def handled_lines_present(candidate: Candidate) -> Iterator[Finding]:
    """Shipments and returns have lines."""
    for number, event in enumerate(handlings(candidate.fulfilment), 1):
        if not event.lines:
            yield Finding(f"shipment or return {number} of the order is empty", "shipments.lines")


@rule("fulfilment.in_future", Section.FULFILMENT, source="I3", owner="inventory", severity=Severity.WARNING)
def handled_in_future(candidate: Candidate) -> Iterator[Finding]:
    """Nothing is recorded as shipped or returned a day before it happens."""
    latest = candidate.event.committed_at + timedelta(days=1)
    fulfilment = candidate.fulfilment
    for shipment in fulfilment.shipments if fulfilment is not None else ():
        if shipment.shipped_at > latest:
            yield Finding(f"shipment {shipment.shipment_id} leaves at {shipment.shipped_at:%F %T}", "shipped_at")
    for entry in fulfilment.returns if fulfilment is not None else ():
        if entry.returned_at > latest:
            yield Finding(f"return {entry.return_id} comes at {entry.returned_at:%F %T}", "returned_at")


@rule("fulfilment.delivered_after_shipped", Section.FULFILMENT, source="I3", owner="inventory")
def delivered_after_shipped(candidate: Candidate) -> Iterator[Finding]:
    """No shipment arrives before it leaves."""
    for shipment in candidate.fulfilment.shipments if candidate.fulfilment is not None else ():
        if shipment.delivered_at is not None and shipment.delivered_at < shipment.shipped_at:
            yield Finding(
                f"shipment {shipment.shipment_id} left at {shipment.shipped_at:%F %T} and arrived at "
                f"{shipment.delivered_at:%F %T}",
                "shipments.delivered_at",
            )


@rule(
    "fulfilment.returned_after_shipped", Section.FULFILMENT, source="I3", owner="inventory", severity=Severity.WARNING
)
def returned_after_shipped(candidate: Candidate) -> Iterator[Finding]:
    """Nothing comes back before the first shipment has left."""
    fulfilment = candidate.fulfilment
    if fulfilment is None or not fulfilment.shipments:
        return
    first = min(shipment.shipped_at for shipment in fulfilment.shipments)
    for entry in fulfilment.returns:
        if entry.returned_at < first:
            yield Finding(
                f"return {entry.return_id} came at {entry.returned_at:%F %T}, the first shipment left at {first:%F %T}",
                "returns.returned_at",
            )


@rule(
    "fulfilment.shipped_before_order",
    source="I3",
    owner="inventory",
    severity=Severity.WARNING,
    plain="fulfilment is None",
)
def shipped_before_order(candidate: Candidate) -> Iterator[Finding]:
    """Nothing is shipped before the day of the order."""
    if candidate.order is None or candidate.fulfilment is None:
        return
    for shipment in candidate.fulfilment.shipments:
        # The day of the order is local.
        if shipment.shipped_at.date() < candidate.order.issue_date - timedelta(days=1):
            yield Finding(
                f"shipment {shipment.shipment_id} left at {shipment.shipped_at:%F %T}, ordered on "
                f"{candidate.order.issue_date}",
                "shipments.shipped_at",
            )


@rule("section.owner", Section.FULFILMENT, Section.SETTLEMENT, source="S8", owner="ordersync")
def section_owner(candidate: Candidate) -> Iterator[Finding]:
    """Fulfilment and settlement of an order each come from one system."""
    previous = candidate.previous
    if previous is None:
        return
    fulfilment = candidate.section is Section.FULFILMENT
    known = previous.fulfilment_source if fulfilment else previous.settlement_source
    if known is not None and known.system != candidate.event.source.system:
        yield Finding(
            f"{candidate.event.source.system} changed what {known.system} owns; change it there", "source.system"
        )


@rule("section.identity", Section.FULFILMENT, Section.SETTLEMENT, source="S6", owner="ordersync")
def section_identity(candidate: Candidate) -> Iterator[Finding]:
    """Fulfilment and settlement name the same order as their event."""
    facts = candidate.fulfilment if candidate.section is Section.FULFILMENT else candidate.settlement
    if facts is not None and facts.order_id != candidate.order_id:
        yield Finding(f"the facts are about {facts.order_id}, the event about {candidate.order_id}", "order_id")


def _is_off(candidate: Candidate) -> bool:
    order = candidate.order
    return order is not None and (candidate.is_deleted or order.order_status == "cancelled")


def repeated(numbers: list[str]) -> list[str]:
    """Those that are there more than once."""
    return [number for number, count in Counter(numbers).items() if count > 1]

"""Rules about the life of an order: which steps may follow which, on each axis and between them."""

from __future__ import annotations

from collections.abc import Iterator

from streams.rules.catalogue import Finding, RuleDeclarations, Severity
from streams.rules.facts import Candidate, Section
from streams.rules.quantities import ZERO, as_text, handlings, returned_quantities, shipped_quantities

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


@rule("settlement.currency", Section.SETTLEMENT, source="I3", owner="finance")
def settlement_currency(candidate: Candidate) -> Iterator[Finding]:
    """Invoices and payments are in the order's currency."""
    if candidate.settlement is None or candidate.order is None:
        return
    expected = candidate.order.document_currency_code
    for invoice in candidate.settlement.invoices:
        if invoice.document_currency_code != expected:
            yield Finding(
                f"invoice {invoice.invoice_id} is in {invoice.document_currency_code}, the order in {expected}",
                "invoices.document_currency_code",
            )
    for payment in candidate.settlement.payments:
        if payment.document_currency_code != expected:
            yield Finding(
                f"payment {payment.payment_id} is in {payment.document_currency_code}, the order in {expected}",
                "payments.document_currency_code",
            )


@rule("settlement.amounts", Section.SETTLEMENT, source="I3", owner="finance")
def settlement_amounts(candidate: Candidate) -> Iterator[Finding]:
    """Invoices add up, and no amount is negative: credit notes and refunds say so by their type."""
    if candidate.settlement is None:
        return
    for invoice in candidate.settlement.invoices:
        if invoice.tax_exclusive_amount + invoice.tax_amount != invoice.payable_amount:
            yield Finding(
                f"invoice {invoice.invoice_id}: {invoice.tax_exclusive_amount} + tax {invoice.tax_amount} is not "
                f"{invoice.payable_amount}",
                "invoices.payable_amount",
            )
        if invoice.payable_amount < 0:
            yield Finding(f"invoice {invoice.invoice_id} is negative; use a credit note", "invoices.payable_amount")
    for payment in candidate.settlement.payments:
        if payment.paid_amount < 0:
            yield Finding(f"payment {payment.payment_id} is negative; use a refund", "payments.paid_amount")


@rule("settlement.types", Section.SETTLEMENT, source="I2, UN/ECE 1001", owner="finance")
def settlement_types(candidate: Candidate) -> Iterator[Finding]:
    """Invoices are of type 380 or 381, payments are receipts or refunds."""
    if candidate.settlement is None:
        return
    for invoice in candidate.settlement.invoices:
        if invoice.invoice_type_code not in ("380", "381"):
            yield Finding(f"invoice {invoice.invoice_id}: type {invoice.invoice_type_code!r}", "invoice_type_code")
    for payment in candidate.settlement.payments:
        if payment.payment_type_code not in ("receipt", "refund"):
            yield Finding(f"payment {payment.payment_id}: type {payment.payment_type_code!r}", "payment_type_code")


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

"""Rules about invoices, credit notes, receipts and refunds of an order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from schemas.currencies import exponent_of, is_currency
from streams.rules.catalogue import Finding, RuleDeclarations, Severity
from streams.rules.codes import payment_means_codes
from streams.rules.commercial import decimals_of
from streams.rules.facts import Candidate, Section
from streams.rules.lifecycle import repeated
from streams.rules.quantities import ZERO
from streams.rules.statuses import credited_amount, invoiced_amount, owed_amount, received_amount, refunded_amount

DECLARED = RuleDeclarations()
rule = DECLARED.rule


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


@rule("settlement.amount_exponent", Section.SETTLEMENT, source="I3, ISO 4217", owner="finance")
def settlement_exponent(candidate: Candidate) -> Iterator[Finding]:
    """No amount of an invoice or payment is finer than the smallest coin of its currency."""
    settlement = candidate.settlement
    if settlement is None:
        return
    amounts = [
        (f"{name} of invoice {invoice.invoice_id}", amount, invoice.document_currency_code, f"invoices.{name}")
        for invoice in settlement.invoices
        for name, amount in (
            ("tax_exclusive_amount", invoice.tax_exclusive_amount),
            ("tax_amount", invoice.tax_amount),
            ("payable_amount", invoice.payable_amount),
        )
    ]
    amounts += [
        (f"payment {payment.payment_id}", payment.paid_amount, payment.document_currency_code, "payments.paid_amount")
        for payment in settlement.payments
    ]
    for what, amount, currency, where in amounts:
        if is_currency(currency) and decimals_of(amount) > exponent_of(currency):
            yield Finding(f"{what}: {amount} has more decimals than {currency}", where)


@rule("settlement.invoice_ids_unique", Section.SETTLEMENT, source="I3, EN 16931 BT-1", owner="finance")
def invoice_ids_unique(candidate: Candidate) -> Iterator[Finding]:
    """Each invoice and credit note of an order has a number of its own."""
    invoices = candidate.settlement.invoices if candidate.settlement is not None else []
    for number in repeated([invoice.invoice_id for invoice in invoices]):
        yield Finding(f"invoice {number} is there twice", "invoices.invoice_id")


@rule("settlement.payment_ids_unique", Section.SETTLEMENT, source="I3", owner="finance")
def payment_ids_unique(candidate: Candidate) -> Iterator[Finding]:
    """Each payment of an order has a number of its own."""
    payments = candidate.settlement.payments if candidate.settlement is not None else []
    for number in repeated([payment.payment_id for payment in payments]):
        yield Finding(f"payment {number} is there twice", "payments.payment_id")


@rule(
    "settlement.payment_means",
    Section.SETTLEMENT,
    source="I2, EN 16931 BR-CL-16",
    owner="finance",
    severity=Severity.WARNING,
)
def payment_means(candidate: Candidate) -> Iterator[Finding]:
    """Means of payment are codes of UN/CEFACT 4461."""
    for payment in candidate.settlement.payments if candidate.settlement is not None else ():
        if payment.payment_means_code is not None and payment.payment_means_code not in payment_means_codes():
            yield Finding(
                f"payment {payment.payment_id}: {payment.payment_means_code!r} is no means of payment (30 = transfer)",
                "payments.payment_means_code",
            )


@rule("settlement.due_date", Section.SETTLEMENT, source="I3, EN 16931 BT-9", owner="finance", severity=Severity.WARNING)
def due_date(candidate: Candidate) -> Iterator[Finding]:
    """No invoice is due before it was issued."""
    for invoice in candidate.settlement.invoices if candidate.settlement is not None else ():
        if invoice.due_date is not None and invoice.due_date < invoice.issued_at.date() - timedelta(days=1):
            yield Finding(
                f"invoice {invoice.invoice_id} of {invoice.issued_at.date()} is due on {invoice.due_date}",
                "invoices.due_date",
            )


@rule("settlement.in_future", Section.SETTLEMENT, source="I3, I7", owner="finance", severity=Severity.WARNING)
def settled_in_future(candidate: Candidate) -> Iterator[Finding]:
    """Nothing is recorded as billed or paid a day before it happens."""
    latest, settlement = candidate.event.committed_at + timedelta(days=1), candidate.settlement
    for invoice in settlement.invoices if settlement is not None else ():
        if invoice.issued_at > latest:
            yield Finding(f"invoice {invoice.invoice_id} is of {invoice.issued_at:%F %T}", "invoices.issued_at")
    for payment in settlement.payments if settlement is not None else ():
        if payment.paid_at > latest:
            yield Finding(f"payment {payment.payment_id} is of {payment.paid_at:%F %T}", "payments.paid_at")


@rule(
    "settlement.credited", Section.SETTLEMENT, source="I3, EN 16931 BR-55", owner="finance", severity=Severity.WARNING
)
def credited(candidate: Candidate) -> Iterator[Finding]:
    """No more is credited than was billed."""
    settlement = candidate.settlement
    if settlement is not None and credited_amount(settlement) > invoiced_amount(settlement):
        yield Finding(
            f"{credited_amount(settlement)} credited of {invoiced_amount(settlement)} billed", "invoices.payable_amount"
        )


@rule("settlement.refunded", Section.SETTLEMENT, source="I3, S4", owner="finance", severity=Severity.WARNING)
def refunded(candidate: Candidate) -> Iterator[Finding]:
    """No more is refunded than was received."""
    settlement = candidate.settlement
    if settlement is not None and refunded_amount(settlement) > received_amount(settlement):
        yield Finding(
            f"{refunded_amount(settlement)} refunded of {received_amount(settlement)} received", "payments.paid_amount"
        )


@rule("settlement.overbilled", source="I3, I10", owner="finance", severity=Severity.WARNING, plain="settlement is None")
def overbilled(candidate: Candidate) -> Iterator[Finding]:
    """No more is billed than was ordered."""
    order, settlement = candidate.order, candidate.settlement
    if order is None or settlement is None:
        return
    billed = invoiced_amount(settlement) - credited_amount(settlement)
    if billed > order.payable_amount:
        yield Finding(f"{billed} billed of {order.payable_amount} ordered", "invoices.payable_amount")


@rule("settlement.overpaid", source="I3, S4", owner="finance", severity=Severity.WARNING, plain="settlement is None")
def overpaid(candidate: Candidate) -> Iterator[Finding]:
    """No more is paid than is owed."""
    order, settlement = candidate.order, candidate.settlement
    if order is None or settlement is None:
        return
    kept, owed = received_amount(settlement) - refunded_amount(settlement), owed_amount(order, settlement)
    if kept > max(owed, ZERO):
        yield Finding(f"{kept} paid of {owed} owed; refund the rest", "payments.paid_amount")

"""What was billed and what was paid, owned by finance."""

from __future__ import annotations

from schemas.attributes import Amount, CanonicalModel, Day, Instant, OrderId, attribute
from schemas.models.source import CapturedEvent


class Invoice(CanonicalModel, owner="finance", classification="confidential"):
    """An invoice or credit note about the order (UBL `Invoice`, `CreditNote`)."""

    invoice_id: str = attribute("Number of the document")
    invoice_type_code: str = attribute("380 = invoice, 381 = credit note (UN/ECE 1001)")
    issued_at: Instant = attribute("When it was issued", unit="UTC")
    document_currency_code: str = attribute("ISO 4217 code of its amounts")
    due_date: Day | None = attribute("When it is due", default=None)
    tax_exclusive_amount: Amount = attribute("Amount without tax, never negative", unit="document currency")
    tax_amount: Amount = attribute("Tax, never negative", unit="document currency")
    payable_amount: Amount = attribute("Amount with tax, never negative", unit="document currency")


class Payment(CanonicalModel, owner="finance", classification="confidential"):
    """Money received from, or refunded to, the customer."""

    payment_id: str = attribute("Number of the payment")
    payment_type_code: str = attribute("receipt or refund")
    paid_at: Instant = attribute("When the money moved", unit="UTC")
    document_currency_code: str = attribute("ISO 4217 code of its amount")
    paid_amount: Amount = attribute("Amount, never negative", unit="document currency")
    payment_means_code: str | None = attribute("UN/ECE 4461 code of the means of payment", default=None)


class Settlement(CanonicalModel, owner="finance", classification="confidential"):
    """All invoices and payments of one order so far: a full image, so that the latest one is the truth."""

    order_id: OrderId = attribute("The order")
    invoices: list[Invoice] = attribute("All invoices and credit notes, oldest first", default=[])
    payments: list[Payment] = attribute("All receipts and refunds, oldest first", default=[])


class PaymentsCaptured(CapturedEvent):
    """Billing and payment of one order after one source transaction (topic `payments.captured`)."""

    settlement: Settlement | None = attribute("All of it; null when the source deleted it", default=None)

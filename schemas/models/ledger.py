"""Balanced double-entry journal entries, from the streams to the general-ledger warehouse."""

from __future__ import annotations

from schemas.attributes import (
    Amount,
    CanonicalModel,
    Day,
    EventId,
    ExchangeRate,
    Instant,
    OrderId,
    Quantity,
    attribute,
)


class JournalLine(CanonicalModel, owner="finance", classification="confidential"):
    """One account of a journal entry; in each currency at most one of debit and credit is not zero."""

    account_code: str = attribute("Account in the chart of accounts")
    debit_amount: Amount = attribute("Debit", unit="currency_code of the entry")
    credit_amount: Amount = attribute("Credit", unit="currency_code of the entry")
    functional_debit_amount: Amount = attribute("Debit", unit="functional currency")
    functional_credit_amount: Amount = attribute("Credit", unit="functional currency")
    line_id: str | None = attribute("The order line, or the obligation of a contract, that it is about", default=None)
    product_id: str | None = attribute("Product of that line", default=None)
    product_category: str | None = attribute("Product group of that line", default=None)
    quantity: Quantity | None = attribute(
        "Units whose revenue it is; negative where they came back", default=None, unit="unit of the order line"
    )


class JournalEntry(CanonicalModel, owner="finance", classification="confidential"):
    """One balanced entry about one version of one order (topic `gl.postings`, key order_id); never changed."""

    entry_id: EventId = attribute("UUIDv5 of order, version and rule: the same entry has the same id")
    order_id: OrderId = attribute("The order")
    order_version: int = attribute("The version that gave rise to the entry")
    event_id: EventId = attribute("The captured event that gave rise to the entry")
    rule: str = attribute("Accounting rule")
    standard_reference: str = attribute("Paragraph of the standard that the rule rests on")
    posting_date: Day = attribute("Accounting date")
    period: str = attribute("Accounting period, YYYY-MM")
    currency_code: str = attribute("Currency of the amounts, ISO 4217")
    functional_currency_code: str = attribute("Currency of the ledger, ISO 4217")
    exchange_rate: ExchangeRate = attribute("Functional currency for one unit of currency_code")
    exchange_rate_date: Day | None = attribute("Day of that rate", default=None)
    exchange_rate_provider: str | None = attribute("Who published that rate", default=None)
    description: str = attribute("What happened, for people")
    explanation: str | None = attribute("The arithmetic that led to the amounts, one step a line", default=None)
    refers_to_entry_id: EventId | None = attribute("The entry that this one reverses or posts anew", default=None)
    due_date: Day | None = attribute("When the amount that an invoice made due is to be paid", default=None)
    customer_id: str | None = attribute("Customer of the order", default=None)
    customer_segment: str | None = attribute("Customer segment", default=None)
    customer_region: str | None = attribute("Sales region", default=None)
    sales_channel: str | None = attribute("Channel of the order", default=None)
    committed_at: Instant = attribute("Commit in the source that led to the entry", unit="UTC")
    processed_at: Instant = attribute("When the entry was made", unit="UTC")
    lines: list[JournalLine] = attribute("At least two; debits equal credits in both currencies")

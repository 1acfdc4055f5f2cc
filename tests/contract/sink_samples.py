"""Order events and journal entries for sink tests, in any version."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from schemas.attributes import EventId, OrderId
from schemas.models import JournalEntry, JournalLine, OrderEvent
from tests.unit.order_samples import COMMITTED_AT, order_state


def order_event(number: int, version: int = 1, **changes: Any) -> OrderEvent:
    """Version `version` of order `crm:NUMBER`, with shipment, invoice and payment; `changes` are of its state."""
    order_id = OrderId(f"crm:{number}")
    state = order_state(number).model_copy(update={"order_id": order_id, "version": version} | changes)
    return OrderEvent(event_type="OrderChanged", topic="orders.captured", captured_at=COMMITTED_AT, state=state)


def journal_entry(number: int, version: int = 1, **changes: Any) -> JournalEntry:
    """The entry of one version of order `crm:NUMBER`: 12.50 from receivables to revenue, in two currencies."""
    values: dict[str, Any] = {
        "entry_id": EventId(f"{number}-{version}"),
        "order_id": OrderId(f"crm:{number}"),
        "order_version": version,
        "event_id": EventId(f"event-{number}-{version}"),
        "rule": "revenue",
        "standard_reference": "IFRS 15.31",
        "posting_date": date(2026, 11, 21),
        "period": "2026-11",
        "currency_code": "USD",
        "functional_currency_code": "EUR",
        "exchange_rate": Decimal("0.9"),
        "description": "Control passed",
        "committed_at": COMMITTED_AT,
        "processed_at": COMMITTED_AT,
        "lines": [journal_line("1200", debit="12.50"), journal_line("4000", credit="12.50")],
    }
    return JournalEntry(**(values | changes))


def journal_line(account_code: str, *, debit: str = "0", credit: str = "0") -> JournalLine:
    """One line at the rate of 0.9."""
    rate = Decimal("0.9")
    return JournalLine(
        account_code=account_code,
        debit_amount=Decimal(debit),
        credit_amount=Decimal(credit),
        functional_debit_amount=Decimal(debit) * rate,
        functional_credit_amount=Decimal(credit) * rate,
    )

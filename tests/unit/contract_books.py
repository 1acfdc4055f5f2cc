"""Contracts for tests, written as in a contract file, and what their journals bring to each account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from schemas.models import JournalEntry
from streams.rules.accounting.contract.events import ContractFile
from streams.rules.accounting.contract.journal import Journal, journal_of

D = Decimal


def journal(events: Iterable[Mapping[str, Any]] = (), **terms: Any) -> Journal:
    """The journal of a contract signed on 1 January 2026 unless the terms say otherwise."""
    given = {"contract": "test", "signed_on": "2026-01-01", "events": list(events)} | terms
    return journal_of(ContractFile.model_validate(given))


def event(kind: str, on: str = "2026-01-31", **values: Any) -> dict[str, Any]:
    """One event."""
    return {"type": kind, "on": on, **values}


def transfer(obligation: str, quantity: Any = None, on: str = "2026-01-31") -> dict[str, Any]:
    """Control of units passed."""
    return event("transfer", on, obligation=obligation, quantity=quantity)


def by_account(entries: Iterable[JournalEntry], *, functional: bool = False) -> dict[str, Decimal]:
    """Balances that are not zero; debit is positive."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        for line in entry.lines:
            if functional:
                found[line.account_code] += line.functional_debit_amount - line.functional_credit_amount
            else:
                found[line.account_code] += line.debit_amount - line.credit_amount
    return {account: amount for account, amount in sorted(found.items()) if amount}


def entries_of(found: Journal, event_id: str) -> list[JournalEntry]:
    """The entries of one event."""
    return [entry for record in found.records if record.event_id == event_id for entry in record.entries]


def moved(found: Journal, event_id: str) -> dict[str, Decimal]:
    """What one event brought to each account."""
    return by_account(entries_of(found, event_id))


def accounts(**amounts: str) -> dict[str, Decimal]:
    """Written as `a1200="9700"`."""
    return {name.removeprefix("a"): D(amount) for name, amount in amounts.items()}

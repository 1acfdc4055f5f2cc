"""Shows journal entries with rule, paragraph and arithmetic, for people and for machines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.models import JournalEntry
from streams.rules.accounting.accounts import ACCOUNT_NAMES
from streams.rules.accounting.contract.journal import Journal


def show_journal(journal: Journal, console: Console) -> None:
    """Every event of a contract with what it led to, then the balances."""
    for record in journal.records:
        console.print(f"[bold]{record.on} {record.kind}[/] (event {record.event_id})")
        for note in record.notes:
            console.print(f"    {note}", soft_wrap=True)
        for entry in record.entries:
            _show_entry(entry, console)
        console.print()
    show_balances(journal.entries, console)


def show_entries(entries: Sequence[JournalEntry], console: Console) -> None:
    """The entries of an order, then its balances."""
    for entry in entries:
        _show_entry(entry, console)
        console.print()
    show_balances(entries, console)


def _show_entry(entry: JournalEntry, console: Console) -> None:
    console.print(
        f"  {entry.posting_date} [bold]{entry.rule}[/], {entry.standard_reference}: {entry.description}"
        + (f" (refers to {entry.refers_to_entry_id})" if entry.refers_to_entry_id else ""),
        soft_wrap=True,
    )
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    is_foreign = entry.currency_code != entry.functional_currency_code
    for line in entry.lines:
        side = "Dr" if line.debit_amount + line.functional_debit_amount else "   Cr"
        name = ACCOUNT_NAMES.get(line.account_code, "")
        amounts = [f"{_plain(line.debit_amount + line.credit_amount)} {entry.currency_code}"]
        if is_foreign:
            own = line.functional_debit_amount + line.functional_credit_amount
            amounts.append(f"{_plain(own)} {entry.functional_currency_code}")
        table.add_row(f"    {side} {line.account_code} {name}", line.line_id or "", *amounts)
    console.print(table)
    if is_foreign:
        console.print(
            f"      rate {_plain(entry.exchange_rate)} of {entry.exchange_rate_date}, {entry.exchange_rate_provider}"
        )
    for step in (entry.explanation or "").splitlines():
        console.print(f"      {step}", soft_wrap=True)


def show_balances(entries: Iterable[JournalEntry], console: Console) -> None:
    """What the entries bring to each account, by currency."""
    table = Table(title="Balances", title_justify="left", box=None, header_style="bold")
    for heading in ("account", "name", "currency", "debit", "credit"):
        table.add_column(heading, justify="right" if heading in ("debit", "credit") else "left")
    for one in balances_as_json(entries):
        amount = Decimal(one["balance"])
        table.add_row(
            one["account_code"],
            one["account_name"],
            one["currency_code"],
            _plain(amount) if amount > 0 else "",
            _plain(-amount) if amount < 0 else "",
        )
    console.print(table)


def balances_as_json(entries: Iterable[JournalEntry]) -> list[dict[str, str]]:
    """Balance by account and currency, debit positive; those that are zero are left out."""
    found: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for entry in entries:
        for line in entry.lines:
            found[line.account_code, entry.currency_code] += line.debit_amount - line.credit_amount
    return [
        {
            "account_code": account,
            "account_name": ACCOUNT_NAMES.get(account, ""),
            "currency_code": currency,
            "balance": _plain(amount),
        }
        for (account, currency), amount in sorted(found.items())
        if amount
    ]


def entries_as_json(entries: Sequence[JournalEntry]) -> dict[str, Any]:
    """Entries and balances."""
    return {
        "entries": [entry.model_dump(mode="json") for entry in entries],
        "balances": balances_as_json(entries),
    }


def journal_as_json(journal: Journal) -> dict[str, Any]:
    """Allocation, every event with its entries, and balances."""
    return {
        "allocation": journal.allocation,
        "events": [
            {
                "event_id": record.event_id,
                "type": record.kind,
                "on": str(record.on),
                "notes": list(record.notes),
                "entries": [entry.model_dump(mode="json") for entry in record.entries],
            }
            for record in journal.records
        ],
        "balances": balances_as_json(journal.entries),
    }


def show_rows(title: str, rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """The rows of a view as a table."""
    table = Table(title=title.replace("_", " "), title_justify="left", box=None, header_style="bold")
    for heading in rows[0] if rows else ():
        table.add_column(heading.replace("_", " "))
    for row in rows:
        table.add_row(*(_plain(value) if isinstance(value, Decimal) else str(value or "") for value in row.values()))
    console.print(table if rows else f"{title}: nothing")


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text and len(text.split(".")[1]) > 2 else text

"""Tables of the ledger, and journal entries as their rows; pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable
from typing import Any

from consumers.postgres.bulk import Table
from schemas.models import JournalEntry

Row = tuple[Any, ...]

JOURNAL_ENTRY = Table(
    "journal_entry",
    ("entry_id",),
    (
        "order_id",
        "order_version",
        "event_id",
        "rule",
        "standard_reference",
        "posting_date",
        "period",
        "currency_code",
        "functional_currency_code",
        "exchange_rate",
        "description",
        "committed_at",
        "processed_at",
        "line_count",
    ),
)
JOURNAL_LINE = Table(
    "journal_line",
    ("entry_id", "line_number"),
    (
        "account_code",
        "debit_amount",
        "credit_amount",
        "functional_debit_amount",
        "functional_credit_amount",
    ),
)


def entry_rows(entries: Sequence[JournalEntry]) -> Iterator[Row]:
    """Rows of `journal_entry`."""
    for entry in entries:
        yield (
            entry.entry_id,
            entry.order_id,
            entry.order_version,
            entry.event_id,
            entry.rule,
            entry.standard_reference,
            entry.posting_date,
            entry.period,
            entry.currency_code,
            entry.functional_currency_code,
            entry.exchange_rate,
            entry.description,
            entry.committed_at,
            entry.processed_at,
            len(entry.lines),
        )


def line_rows(entries: Sequence[JournalEntry]) -> Iterator[Row]:
    """Rows of `journal_line`, numbered from 1 in each entry."""
    for entry in entries:
        for number, line in enumerate(entry.lines, 1):
            yield (
                entry.entry_id,
                number,
                line.account_code,
                line.debit_amount,
                line.credit_amount,
                line.functional_debit_amount,
                line.functional_credit_amount,
            )


def chart_of_accounts(source: Traversable) -> list[Row]:
    """The accounts of a CSV file with the columns code, name, type and normal_side."""
    rows = csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    return [(row["code"], row["name"], row["type"], row["normal_side"]) for row in rows]

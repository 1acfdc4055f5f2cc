"""Tables of the ledger, and journal entries as their rows in COPY's text format; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from consumers.postgres.bulk import Table
from consumers.postgres.text import NULL, text
from consumers.warehouse.chart import ChartOfAccounts
from schemas.models import JournalEntry

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
        "currency_code",
        "functional_currency_code",
        "exchange_rate",
        "exchange_rate_date",
        "exchange_rate_provider",
        "description",
        "explanation",
        "refers_to_entry_id",
        "due_date",
        "customer_id",
        "customer_segment",
        "customer_region",
        "sales_channel",
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
        "line_id",
        "product_id",
        "product_category",
        "quantity",
    ),
)


def entry_text(entries: Iterable[JournalEntry]) -> Iterator[str]:
    """Rows of `journal_entry`, each ending with a line feed."""
    for entry in entries:
        yield "\t".join(
            (
                _text(entry.entry_id),
                _text(entry.order_id),
                str(entry.order_version),
                _text(entry.event_id),
                _word(entry.rule),
                _word(entry.standard_reference),
                _time(entry.posting_date),
                _word(entry.currency_code),
                _word(entry.functional_currency_code),
                str(entry.exchange_rate),
                _time(entry.exchange_rate_date),
                _word(entry.exchange_rate_provider),
                _word(entry.description),
                _text(entry.explanation),
                _text(entry.refers_to_entry_id),
                _time(entry.due_date),
                _text(entry.customer_id),
                _word(entry.customer_segment),
                _word(entry.customer_region),
                _word(entry.sales_channel),
                _time(entry.committed_at),
                _time(entry.processed_at),
                f"{len(entry.lines)}\n",
            )
        )


def line_text(entries: Iterable[JournalEntry], chart: ChartOfAccounts) -> Iterator[str]:
    """Rows of `journal_line`, numbered from 1 in each entry, on the accounts that the chart assigns."""
    account_for = chart.account_for
    for entry in entries:
        entry_id, region = _text(entry.entry_id), entry.customer_region
        for number, line in enumerate(entry.lines, 1):
            account = account_for(line.account_code, line.product_category, region)
            yield (
                f"{entry_id}\t{number}\t{_word(account)}\t{_amount(line.debit_amount)}\t{_amount(line.credit_amount)}\t"
                f"{_amount(line.functional_debit_amount)}\t{_amount(line.functional_credit_amount)}\t"
                f"{_word(line.line_id)}\t{_word(line.product_id)}\t{_word(line.product_category)}\t{_quantity(line.quantity)}\n"
            )


def _amount(amount: Decimal) -> str:
    return str(amount) if amount else "0"


def _quantity(quantity: Decimal | None) -> str:
    return NULL if quantity is None else str(quantity)


@lru_cache(maxsize=4096)
def _word(value: str | None) -> str:
    """A text that comes again and again: a product, a group, an account."""
    return _text(value)


def _text(value: str | None) -> str:
    return NULL if value is None else text(value)


def _time(value: date | datetime | None) -> str:
    return NULL if value is None else value.isoformat()

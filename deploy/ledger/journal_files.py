"""Journal entries that no order leads to, such as operating expenses: from a CSV file into the ledger, each once."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path
from uuid import uuid5

from consumers.sink import Batch
from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink
from schemas.attributes import EventId, OrderId
from schemas.errors import ConfigurationError, InvalidMessage
from schemas.models import JournalEntry, JournalLine
from schemas.models.source import EVENT_NAMESPACE
from schemas.registry import InMemorySchemas
from schemas.settings import DatabaseSettings

COLUMNS = ("journal", "date", "account", "debit", "credit", "currency", "description")
_RULE = "journal_file"
_REFERENCE = "IAS 1.27"


def read_journal(path: Path) -> list[JournalEntry]:
    """The entries of a CSV with the columns of `COLUMNS`; lines of one journal number, in sequence, are one entry.

    Amounts are in the ledger's functional currency. The id of an entry follows from its journal number.

    Raises:
        ConfigurationError: the file is missing or wrong; the message says in which line.
    """
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    except OSError as exc:
        raise ConfigurationError(f"{path}: {exc.strerror}") from exc
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ConfigurationError(f"{path}: the columns of a journal file are {', '.join(COLUMNS)}")
    return [
        _entry(path, number, [row for _, row in rows])
        for number, rows in groupby(enumerate(reader, 2), key=lambda numbered: numbered[1]["journal"])
    ]


def post_journal(database: DatabaseSettings, entries: list[JournalEntry]) -> None:
    """Append the entries that the ledger does not have yet, all or none.

    Raises:
        ConfigurationError: an entry does not balance or names an unknown account.
        Transient: the database is away.
    """
    with closing(WarehouseSink(WarehouseSettings(database=database), InMemorySchemas())) as sink:
        sink.prepare()
        try:
            sink.write(Batch([sink.shape(entries)], {}, None))
        except InvalidMessage as exc:
            raise ConfigurationError(f"nothing was posted: {exc}") from exc


def _entry(path: Path, number: str, rows: list[dict[str, str]]) -> JournalEntry:
    try:
        day = date.fromisoformat(rows[0]["date"])
        lines = [_line(row) for row in rows]
    except (ValueError, InvalidOperation, TypeError) as exc:
        raise ConfigurationError(f"{path}, journal {number}: a date or an amount cannot be read ({exc})") from exc
    if any(row["date"] != rows[0]["date"] or row["currency"] != rows[0]["currency"] for row in rows):
        raise ConfigurationError(f"{path}, journal {number}: all its lines have the same date and currency")
    at = datetime.combine(day, time(), UTC)
    entry_id = EventId(str(uuid5(EVENT_NAMESPACE, f"{_RULE}/{number}")))
    return JournalEntry(
        entry_id=entry_id,
        order_id=OrderId(f"journal:{number}"),
        order_version=1,
        event_id=entry_id,
        rule=_RULE,
        standard_reference=_REFERENCE,
        posting_date=day,
        period=f"{day:%Y-%m}",
        currency_code=rows[0]["currency"],
        functional_currency_code=rows[0]["currency"],
        exchange_rate=Decimal(1),
        description=rows[0]["description"],
        committed_at=at,
        processed_at=at,
        lines=lines,
    )


def _line(row: Mapping[str, str]) -> JournalLine:
    debit, credit = Decimal(row["debit"] or 0), Decimal(row["credit"] or 0)
    return JournalLine(
        account_code=row["account"],
        debit_amount=debit,
        credit_amount=credit,
        functional_debit_amount=debit,
        functional_credit_amount=credit,
    )

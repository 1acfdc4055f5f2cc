"""Reads the ledger between two of its commit positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import Any, Final

import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from consumers.warehouse.export.star import StarTable

ROWS_AT_ONCE: Final = 100_000
"""Rows in memory, and in one row group of a file."""

_HORIZON: Final = (
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, "
    "(SELECT system_identifier::text FROM pg_control_system()) || '/' || current_database()"
)
_SINCE: Final = "transaction_id >= {since}::text::xid8 AND transaction_id < {position}::text::xid8"
_PERIODS: Final = sql.SQL(f"SELECT period FROM journal_entry WHERE {_SINCE} GROUP BY period ORDER BY period")
_TOTALS: Final = sql.SQL(
    "SELECT count(*), coalesce(sum(functional_debit_amount), 0) FROM journal_line "
    "JOIN journal_entry USING (entry_id, period) WHERE transaction_id < {position}::text::xid8"
)


@dataclass(frozen=True, slots=True)
class Horizon:
    """A place in the ledger's history: every transaction with a lower number has ended."""

    position: int
    ledger: str
    """Which ledger: numbers of another server say nothing here."""


@dataclass(frozen=True, slots=True)
class LedgerReading:
    """One connection to the ledger; entries are never changed, so a range that is behind the horizon stays as it is."""

    session: psycopg.Connection[tuple[Any, ...]]

    def horizon(self) -> Horizon:
        """Up to where everything is decided now. A transaction that stays open, in any database, holds it back."""
        row = self.session.execute(_HORIZON).fetchone()
        assert row is not None
        return Horizon(*row)

    def periods(self, since: int, position: int) -> list[str]:
        """The accounting periods that something was posted to in between."""
        query = _PERIODS.format(since=sql.Literal(since), position=sql.Literal(position))
        return [period for (period,) in self.session.execute(query)]

    def totals(self, position: int) -> tuple[int, Any]:
        """Lines before a position, and the sum of their debits in functional currency."""
        row = self.session.execute(_TOTALS.format(position=sql.Literal(position))).fetchone()
        assert row is not None
        return row[0], row[1]

    def appended(self, table: StarTable, period: str, since: int, position: int) -> Iterator[pa.Table]:
        """What was posted to a period in between, always in the same order and the same portions."""
        condition = sql.SQL(f"WHERE entry.period = {{period}} AND {_SINCE}").format(
            period=sql.Literal(period), since=sql.Literal(since), position=sql.Literal(position)
        )
        return self._rows(table, sql.SQL(table.source), condition)

    def dimension(self, table: StarTable, position: int) -> Iterator[pa.Table]:
        """A dimension as of a position."""
        source = sql.SQL(table.source).format(position=sql.Literal(position))
        return self._rows(table, source, sql.SQL(""))

    def _rows(self, table: StarTable, source: sql.Composable, condition: sql.Composable) -> Iterator[pa.Table]:
        query = sql.SQL("COPY (SELECT {} FROM {} {} ORDER BY {}) TO STDOUT (FORMAT csv)").format(
            sql.SQL(table.selected), source, condition, sql.SQL(table.order)
        )
        reading = csv.ReadOptions(column_names=table.schema.names, use_threads=False)
        parsing = csv.ParseOptions(newlines_in_values=True)
        converting = csv.ConvertOptions(
            column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        )
        with self.session.cursor() as cursor, cursor.copy(query) as copy:
            rows = iter(copy)
            while portion := b"".join(islice(rows, ROWS_AT_ONCE)):
                yield csv.read_csv(BytesIO(portion), reading, parsing, converting)

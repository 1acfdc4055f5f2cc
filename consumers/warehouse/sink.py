"""Appends journal entries to the general ledger, each once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import islice

from confluent_kafka import Message
from psycopg import sql

from consumers.postgres.bulk import Table, names
from consumers.postgres.database import Rows
from consumers.postgres.sink import PostgresSink
from consumers.reading import read_each
from consumers.sink import Reading
from consumers.warehouse.chart import ChartOfAccounts
from consumers.warehouse.grants import become_writer, grant_writer
from consumers.warehouse.rows import JOURNAL_ENTRY, JOURNAL_LINE, entry_text, line_text
from consumers.warehouse.settings import WarehouseSettings
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import JournalEntry
from schemas.topics import POSTINGS

NAME = "warehouse"
_ROWS_AT_ONCE = 2_000

_CREATE_ADDED = (
    'CREATE TEMPORARY TABLE added_entry (entry_id text COLLATE "C", period text COLLATE "C") ON COMMIT DELETE ROWS; '
    'CREATE TEMPORARY TABLE posting_day (told date, opened date, period text COLLATE "C", is_open boolean) '
    "ON COMMIT DELETE ROWS"
)
_OPEN_PERIODS = sql.SQL(
    "INSERT INTO posting_day SELECT told, opened, to_char(opened, 'YYYY-MM'), "
    "open_period(to_char(opened, 'YYYY-MM')) IS NULL "
    "FROM (SELECT posting_date AS told, open_day(posting_date) AS opened "
    "FROM staged_journal_entry GROUP BY posting_date) AS days"
)
# An entry that the ledger has in any period, it keeps; what is about a closed period is posted to the open one.
_ADD_ENTRIES = sql.SQL(
    "WITH added AS (INSERT INTO journal_entry ({columns}, effective_date, period) "
    "SELECT {staged}, told, posting_day.period "
    "FROM staged_journal_entry AS staged JOIN posting_day ON told = staged.posting_date "
    "WHERE NOT EXISTS (SELECT FROM journal_entry AS held WHERE held.entry_id = staged.entry_id) "
    "RETURNING entry_id, period) "
    "INSERT INTO added_entry SELECT * FROM added"
).format(
    columns=JOURNAL_ENTRY.listed,
    staged=sql.SQL(", ").join(
        sql.SQL("opened") if column == "posting_date" else sql.SQL("staged.{}").format(sql.Identifier(column))
        for column in JOURNAL_ENTRY.columns
    ),
)
_ADD_LINES = sql.SQL(
    "INSERT INTO journal_line ({columns}, period) SELECT {columns}, period "
    "FROM staged_journal_line JOIN added_entry USING (entry_id)"
).format(columns=names(JOURNAL_LINE.columns))
_ADD_ACCOUNT = (
    "INSERT INTO account (account_code, account_name, account_type, normal_side, control_code, cash_flow) "
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (account_code) DO NOTHING"
)


class WarehouseSink(PostgresSink[JournalEntry]):
    """From `gl.postings`. The ledger refuses entries that do not balance, and any change of what it has."""

    def __init__(self, settings: WarehouseSettings, schemas: SchemaIds) -> None:
        topic = settings.topic(POSTINGS)
        here = files("consumers.warehouse")
        super().__init__(NAME, (topic,), settings.database, here / "tables.sql")
        self._views = here / "views.sql"
        self._codec = TopicCodec(topic, JournalEntry, schemas)
        self._role = settings.writer_role
        self._chart = ChartOfAccounts.load(settings.accounts, settings.account_assignments)
        self._prepared = False

    def prepare(self) -> None:
        """Create tables, views, chart of accounts and the writing role."""
        super().prepare()
        self._database.migrate(self._views)
        accounts = [
            (one.code, one.name, one.type, one.normal_side, one.control, one.cash_flow)
            for one in self._chart.accounts.values()
        ]
        with self._database.transaction(f"{self.name}: filling the chart of accounts") as cursor:
            cursor.executemany(_ADD_ACCOUNT, accounts)
            if self._role is not None:
                grant_writer(cursor, self._role)
        self._database.close()
        self._prepared = True

    def read(self, messages: Sequence[Message]) -> Reading[JournalEntry]:
        """Every entry, in order."""
        entries, refused = read_each(self._codec, messages)
        return Reading(entries, refused, [entry.committed_at for entry in entries])

    def stage(self, cursor: Rows, values: Sequence[JournalEntry]) -> tuple[sql.SQL | sql.Composed, ...]:
        """Entries and lines; then those are appended that the ledger does not have."""
        # An entry that came twice in one run is the same entry.
        entries = list({entry.entry_id: entry for entry in reversed(values)}.values())
        _copy(cursor, JOURNAL_ENTRY, entry_text(entries))
        _copy(cursor, JOURNAL_LINE, line_text(entries, self._chart))
        return _OPEN_PERIODS, _ADD_ENTRIES, _ADD_LINES

    def set_up_session(self, cursor: Rows) -> None:
        """Become the writer, once it exists, then create the temporary tables."""
        if not self._prepared:
            return
        if self._role is not None:
            become_writer(cursor, self._role)
        cursor.execute(_CREATE_ADDED)
        JOURNAL_ENTRY.create_staged(cursor)
        JOURNAL_LINE.create_staged(cursor)


def _copy(cursor: Rows, table: Table, rows: Iterable[str]) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table.staged, table.listed)
    remaining = iter(rows)
    with cursor.copy(statement) as copy:
        while block := "".join(islice(remaining, _ROWS_AT_ONCE)):
            copy.write(block)

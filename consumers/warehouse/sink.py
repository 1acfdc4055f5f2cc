"""Appends journal entries to the general ledger, each once."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from confluent_kafka import Message
from psycopg import sql

from consumers.postgres.bulk import names
from consumers.postgres.database import Rows
from consumers.postgres.sink import PostgresSink
from consumers.reading import read_each
from consumers.sink import Reading
from consumers.warehouse.grants import become_writer, grant_writer
from consumers.warehouse.rows import JOURNAL_ENTRY, JOURNAL_LINE, chart_of_accounts, entry_rows, line_rows
from consumers.warehouse.settings import WarehouseSettings
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import JournalEntry
from schemas.topics import POSTINGS

NAME = "warehouse"

_CREATE_ADDED = "CREATE TEMPORARY TABLE added_entry (entry_id text PRIMARY KEY) ON COMMIT DELETE ROWS"
# An entry that came twice in one run is the same entry; one that the ledger has, it keeps.
_ADD_ENTRIES = sql.SQL(
    "WITH added AS (INSERT INTO journal_entry ({columns}) SELECT DISTINCT ON (entry_id) {columns} "
    "FROM staged_journal_entry ORDER BY entry_id ON CONFLICT (entry_id) DO NOTHING RETURNING entry_id) "
    "INSERT INTO added_entry SELECT entry_id FROM added"
).format(columns=JOURNAL_ENTRY.listed)
_ADD_LINES = sql.SQL(
    "INSERT INTO journal_line ({columns}) SELECT DISTINCT ON ({key}) {columns} "
    "FROM staged_journal_line JOIN added_entry USING (entry_id) ORDER BY {key}"
).format(columns=JOURNAL_LINE.listed, key=names(JOURNAL_LINE.key))
_ADD_ACCOUNT = (
    "INSERT INTO account (account_code, account_name, account_type, normal_side) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT (account_code) DO NOTHING"
)


class WarehouseSink(PostgresSink[JournalEntry]):
    """From `gl.postings`. The ledger refuses entries that do not balance, and any change of what it has."""

    def __init__(self, settings: WarehouseSettings, schemas: SchemaIds) -> None:
        topic = settings.topic(POSTINGS)
        super().__init__(NAME, (topic,), settings.database, files("consumers.warehouse") / "tables.sql")
        self._codec = TopicCodec(topic, JournalEntry, schemas)
        self._role = settings.writer_role
        self._prepared = False

    def prepare(self) -> None:
        """Create tables, chart of accounts and the writing role."""
        super().prepare()
        accounts = chart_of_accounts(files("consumers.warehouse") / "accounts.csv")
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

    def stage(self, cursor: Rows, values: Sequence[JournalEntry]) -> tuple[sql.Composed, ...]:
        """Entries and lines; then those are appended that the ledger does not have."""
        JOURNAL_ENTRY.stage(cursor, entry_rows(values))
        JOURNAL_LINE.stage(cursor, line_rows(values))
        return _ADD_ENTRIES, _ADD_LINES

    def set_up_session(self, cursor: Rows) -> None:
        """Become the writer, once it exists, then create the temporary tables."""
        if not self._prepared:
            return
        if self._role is not None:
            become_writer(cursor, self._role)
        cursor.execute(_CREATE_ADDED)
        JOURNAL_ENTRY.create_staged(cursor)
        JOURNAL_LINE.create_staged(cursor)

"""Appends journal entries to the general ledger, each once, and keeps beside it what orders still promise."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from confluent_kafka import Message
from psycopg import sql

from consumers.postgres.bulk import Table
from consumers.postgres.database import Rows
from consumers.postgres.sink import PostgresSink, Staging
from consumers.postgres.text import copied
from consumers.reading import read_each
from consumers.sink import Reading
from consumers.warehouse import statements
from consumers.warehouse.chart import ChartOfAccounts
from consumers.warehouse.grants import become_writer, grant_writer
from consumers.warehouse.promises import PROMISED_LINE, PROMISED_ORDER, line_rows, order_rows
from consumers.warehouse.rows import JOURNAL_ENTRY, JOURNAL_LINE, entry_text, line_text
from consumers.warehouse.settings import WarehouseSettings
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import JournalEntry, OrderState
from schemas.topics import ORDER_STATE, POSTINGS

NAME = "warehouse"


class WarehouseSink(PostgresSink[JournalEntry | OrderState]):
    """From `gl.postings` and `orders.state`.

    The ledger refuses entries that do not balance, and any change of what it has. Of the states it keeps what is
    promised and not transferred yet: the backlog, for which no entry is made.
    """

    def __init__(self, settings: WarehouseSettings, schemas: SchemaIds) -> None:
        postings, self._states_topic = settings.topic(POSTINGS), settings.topic(ORDER_STATE)
        here = files("consumers.warehouse")
        super().__init__(NAME, (postings, self._states_topic), settings.database, here / "tables.sql")
        self._views = [here / "views.sql", here / "planning.sql"]
        self._entries = TopicCodec(postings, JournalEntry, schemas)
        self._states = TopicCodec(self._states_topic, OrderState, schemas)
        self._role = settings.writer_role
        self._chart = ChartOfAccounts.load(settings.accounts, settings.account_assignments)
        self._prepared = False

    def prepare(self) -> None:
        """Have the tables; from then on every session is that of the writing role."""
        super().prepare()
        self._database.close()
        self._prepared = True

    def define(self) -> None:
        """Create tables, views, chart of accounts and the writing role."""
        super().define()
        self._database.migrate(*self._views)
        accounts = [
            (one.code, one.name, one.type, one.normal_side, one.control, one.cash_flow)
            for one in self._chart.accounts.values()
        ]
        with self._database.transaction(f"{self.name}: filling the chart of accounts") as cursor:
            cursor.executemany(statements.ADD_ACCOUNT, accounts)
            if self._role is not None:
                grant_writer(cursor, self._role)

    def decode(self, messages: Sequence[Message]) -> Reading[JournalEntry | OrderState]:
        """Every entry, in order, and the latest state of each order."""
        postings = [message for message in messages if message.topic() != self._states_topic]
        latest = {message.key(): message for message in messages if message.topic() == self._states_topic}
        entries, refused = read_each(self._entries, postings)
        # A tombstone takes a state out of the topic; what was promised is told by the version before it.
        told = [message for message in latest.values() if message.value() is not None]
        states, unread = read_each(self._states, told)
        return Reading([*entries, *states], [*refused, *unread], [entry.committed_at for entry in entries])

    def shape(self, values: Sequence[JournalEntry | OrderState]) -> Staging:
        """Entries with their lines, and promises; then those are applied that are new."""
        # An entry that came twice in one run is the same entry.
        entries = list({one.entry_id: one for one in reversed(values) if isinstance(one, JournalEntry)}.values())
        states = [one for one in values if isinstance(one, OrderState)]
        rows: list[tuple[Table, bytes]] = []
        applying: tuple[sql.SQL | sql.Composed, ...] = ()
        if entries:
            rows.append((JOURNAL_ENTRY, "".join(entry_text(entries)).encode()))
            rows.append((JOURNAL_LINE, "".join(line_text(entries, self._chart)).encode()))
            applying += statements.POST
        if states:
            latest = list({one.order_id: one for one in sorted(states, key=lambda state: state.version)}.values())
            rows.append((PROMISED_ORDER, copied(order_rows(latest))))
            rows.append((PROMISED_LINE, copied(line_rows(latest))))
            applying += statements.RENEW_PROMISES
        return Staging(rows, applying)

    def set_up_session(self, cursor: Rows) -> None:
        """Become the writer, once it exists, then create the temporary tables."""
        if not self._prepared:
            return
        if self._role is not None:
            become_writer(cursor, self._role)
        cursor.execute(statements.CREATE_ADDED)
        for table in (JOURNAL_ENTRY, JOURNAL_LINE, PROMISED_ORDER, PROMISED_LINE):
            table.create_staged(cursor)

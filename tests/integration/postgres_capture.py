"""Reads a source's log in tests until a marker written by the test itself comes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

import psycopg

from producers.cdc.changes import (
    ChangeKind,
    Marker,
    Position,
    Relation,
    RowChange,
    RowValues,
    SourceTransaction,
    TableName,
)
from producers.cdc.portions import KeyRange
from producers.cdc.postgres.catalog import Table, read_tables, require_mapped
from producers.cdc.postgres.pgoutput import XLOG_HEADER_BYTES, Decoder
from producers.cdc.postgres.publication import ensure_publication
from producers.cdc.postgres.replication import CreatedSlot, ReplicationConnection, ReplicationStream
from producers.cdc.postgres.session import connect
from producers.cdc.postgres.subtrees import SubtreeReader
from producers.cdc.postgres.transactions import TransactionAssembler
from producers.cdc.postgres.types import TypeCatalog
from producers.cdc.postgres.values import PostgresRowReader
from producers.cdc.tables import TablePlan, TablePlans
from schemas.mapping import SourceMapping, TableMapping
from schemas.settings import DatabaseSettings

DEADLINE_SECONDS = 30.0
END = "test.end"


@dataclass
class Reading:
    """A stream with its assembler."""

    connection: ReplicationConnection
    stream: ReplicationStream
    assembler: TransactionAssembler

    def until_end(self) -> list[SourceTransaction | Marker]:
        """Everything up to the marker that `Source.mark_end` wrote."""
        parts: list[SourceTransaction | Marker] = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            parts += self.assembler.feed(self.stream.receive(1.0), XLOG_HEADER_BYTES)
            if any(isinstance(part, Marker) and part.prefix == END for part in parts):
                return parts
        raise AssertionError(f"the end marker did not come within {DEADLINE_SECONDS:.0f} s; got {parts}")


class Source:
    """A source database under test: runs SQL, prepares publication and slot, reads rows back."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.conninfo = settings.conninfo()
        self.slot = f"slot_{settings.dbname}"
        self.publication = "ordersync"
        self._stack = ExitStack()
        self.sql = self._stack.enter_context(psycopg.connect(self.conninfo, autocommit=True))
        self.catalog = self._stack.enter_context(connect(self.conninfo))
        self.reader = PostgresRowReader(TypeCatalog(self.catalog))
        self._plans: dict[Relation, RowValues] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, *statements: str) -> None:
        """Each statement in a transaction of its own."""
        for statement in statements:
            self.sql.execute(statement.encode())

    def in_one_transaction(self, *statements: str) -> None:
        with self.sql.transaction():
            self.run(*statements)

    def publish(self, *tables: str, columns: Iterable[str] = ()) -> list[Table]:
        """Check the tables and publish them."""
        mapped = {TableName("public", table): tuple(columns) for table in tables}
        version = self.catalog.info.server_version
        checked = require_mapped(read_tables(self.catalog), mapped, version)
        ensure_publication(self.catalog, self.publication, checked, mapped)
        return checked

    def create_slot(self) -> tuple[ReplicationConnection, CreatedSlot]:
        connection = self._stack.enter_context(ReplicationConnection(self.conninfo))
        return connection, connection.create_slot(self.slot)

    def start(self, position: Position | None = None) -> Reading:
        """Stream on a new connection."""
        connection = self._stack.enter_context(ReplicationConnection(self.conninfo))
        stream = connection.start(self.slot, self.publication, position)
        return Reading(connection, stream, TransactionAssembler(Decoder(), ignored_origins={"ordersync"}))

    def mark_end(self) -> None:
        self.sql.execute("SELECT pg_logical_emit_message(true, %s, '')", (END,))

    def values(self, change: RowChange) -> dict[str, object]:
        """The new row of a change as Python values."""
        assert change.new is not None
        if change.relation not in self._plans:
            self._plans[change.relation] = self.reader.row_values(change.relation)
        return self._plans[change.relation](change.new)

    def snapshot_rows(self, name: str | None, table: Table) -> list[RowChange]:
        plan = lone_plan(table)
        with SubtreeReader(self.conninfo, {table.name: table}, name) as snapshot:
            ((_, rows),) = snapshot.rows(plan, KeyRange()).tables
        assert plan.relation is not None
        return [RowChange(ChangeKind.READ, plan.relation, row, None) for row in rows]


def lone_plan(table: Table) -> TablePlan:
    """A table by itself, with all of its columns, as the mapping of a root without children gives it."""
    key = table.primary_key or tuple(column.name for column in table.columns)
    mapping = SourceMapping(
        "test",
        "One table",
        ZoneInfo("UTC"),
        {"t": TableMapping("t", table.name.schema, table.name.table, key, None)},
        (),
    )
    relation = table.relation()
    plan = TablePlans(mapping, {table.name: relation}).by_alias["t"]
    return replace(plan, relation=relation)


def changes_of(parts: Iterable[SourceTransaction | Marker]) -> list[RowChange]:
    """All row changes, in order."""
    return [change for part in parts if isinstance(part, SourceTransaction) for change in part.changes]


def transactions_of(parts: Iterable[SourceTransaction | Marker]) -> list[SourceTransaction]:
    """The transactions that have changes, in order."""
    return [part for part in parts if isinstance(part, SourceTransaction) and part.changes]

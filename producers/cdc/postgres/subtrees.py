"""Reads portions of trees of tables, each portion as it was at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from producers.cdc.changes import TableName
from producers.cdc.portions import KeyRange, Keys, Orphans, Portion, Reading, Rows
from producers.cdc.postgres.catalog import Table
from producers.cdc.postgres.copying import copied_rows
from producers.cdc.postgres.errors import SnapshotGone, mapped, mapped_errors
from producers.cdc.postgres.session import connect
from producers.cdc.postgres.subtree_queries import SubtreeQueries
from producers.cdc.postgres.visibility import PostgresSnapshotView
from producers.cdc.tables import KeyValues, TablePlan


class SubtreeReader:
    """One connection; used by one thread at a time.

    With a snapshot name it reads everything in that exported snapshot (opened while the connection that created the
    slot is still idle); without one each portion is read as it is then.
    """

    def __init__(self, conninfo: str, tables: Mapping[TableName, Table], snapshot_name: str | None = None) -> None:
        """Raises SnapshotGone if the exported snapshot has ended, Transient if the server is away."""
        self._queries = SubtreeQueries(tables)
        self._in_snapshot = snapshot_name is not None
        self._connection = connect(conninfo, application_name="ordersync-cdc-reading")
        try:
            if snapshot_name is not None:
                self._begin()
                self._take(snapshot_name)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End transaction and connection, so that vacuum is not held back any longer."""
        self._connection.close()

    def read(self, top: TablePlan, portion: Portion, count: int) -> Reading:
        """The next `count` rows of the top table in the portion (all, if they are chosen by key), and all below.

        Raises Transient if the connection ends; the reader is unusable then.
        """
        with self._moment(top):
            last_key = None if isinstance(portion, Keys) else self._next_key(top, portion, count)
            if last_key is not None and not isinstance(portion, Keys):
                portion = replace(portion, up_to=last_key)
            return Reading(portion, self._rows(top, portion), last_key, self._view())

    def next_key(self, top: TablePlan, portion: KeyRange | Orphans, count: int) -> KeyValues | None:
        """The key of the `count`-th row of the portion, None if fewer are left."""
        with self._moment(top):
            return self._next_key(top, portion, count)

    def rows(self, top: TablePlan, portion: Portion) -> Reading:
        """Exactly the portion, whatever its size."""
        with self._moment(top):
            return Reading(portion, self._rows(top, portion), None, self._view())

    def mark(self, prefix: str, token: str) -> None:
        """Write a message into the log behind what was read: the high watermark."""
        # Flushed at once where the server can: otherwise it waits for somebody's commit.
        flushed = ", true" if self._connection.info.server_version >= 170000 else ""
        with mapped_errors("writing a watermark into the source's log"):
            self._connection.execute(
                f"SELECT pg_catalog.pg_logical_emit_message(false, %s, %s{flushed})".encode(), (prefix, token)
            )

    def _next_key(self, top: TablePlan, portion: KeyRange | Orphans, count: int) -> KeyValues | None:
        row = self._connection.execute(self._queries.next_key(top, portion, count)).fetchone()
        return None if row is None else tuple(str(value).encode() for value in row)

    def _rows(self, top: TablePlan, portion: Portion) -> list[Rows]:
        return [
            Rows(
                plan, copied_rows(self._connection, self._queries.rows(plan, top, portion), len(plan.relation.columns))
            )
            for plan in top.subtree
            if plan.relation is not None
        ]

    def _view(self) -> PostgresSnapshotView:
        ((text,),) = self._connection.execute("SELECT pg_catalog.pg_current_snapshot()::text").fetchall()
        return PostgresSnapshotView.parse(text)

    @contextmanager
    def _moment(self, top: TablePlan) -> Iterator[None]:
        with mapped_errors(f"reading {top.alias} and what belongs to it"):
            if self._in_snapshot:
                yield
                return
            self._begin()
            yield
            self._connection.execute("COMMIT")

    def _begin(self) -> None:
        with mapped_errors("beginning to read"):
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def _take(self, snapshot_name: str) -> None:
        try:
            self._connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot_name)))
        except (psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue) as exc:
            raise SnapshotGone(
                f"snapshot {snapshot_name!r} has ended with the connection that created its slot: drop the slot and "
                "create it anew"
            ) from exc
        except psycopg.Error as exc:
            raise mapped(exc, "taking the exported snapshot") from exc

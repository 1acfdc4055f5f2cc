"""Reads whole tables inside the snapshot that a new slot exported, in the form of streamed rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg import sql

from producers.cdc.changes import Relation, Row
from producers.cdc.postgres.catalog import Table
from producers.cdc.postgres.errors import SnapshotGone, mapped, mapped_errors
from producers.cdc.postgres.session import connect
from schemas.errors import ConfigurationError, InvalidMessage

CHUNK_ROWS: Final = 10_000
_ESCAPES: Final = {
    b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\",
}  # fmt: skip

Key = tuple[bytes, ...]
"""Primary key of a row as raw text values, in the key's column order."""


@dataclass(frozen=True, slots=True)
class SnapshotChunk:
    """Some rows of a table in key order; reading again after `last_key` goes on behind them.

    `last_key` is None for a table without primary key, which can only be read as a whole.
    """

    relation: Relation
    rows: list[Row]
    last_key: Key | None


class SnapshotReader:
    """One read-only transaction on the exported snapshot; several may read different tables in parallel.

    Open it while the connection that created the slot is still idle. Without a snapshot name it sees the
    database as it is now (resync).
    """

    def __init__(self, conninfo: str, snapshot_name: str | None = None) -> None:
        """Raises SnapshotGone if the exported snapshot has ended, Transient if the server is away."""
        self._connection = connect(conninfo, application_name="ordersync-cdc-snapshot")
        try:
            self._begin(snapshot_name)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connection(self) -> psycopg.Connection:
        """The connection inside the snapshot, for reading the catalog as it was then."""
        return self._connection

    def close(self) -> None:
        """End the transaction and the connection, so that vacuum is not held back any longer."""
        self._connection.close()

    def _begin(self, snapshot_name: str | None) -> None:
        with mapped_errors("beginning a snapshot"):
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot_name is None:
            return
        try:
            self._connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot_name)))
        except (psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue) as exc:
            raise SnapshotGone(
                f"snapshot {snapshot_name!r} has ended with the connection that created its slot: drop the slot and "
                "create it anew"
            ) from exc
        except psycopg.Error as exc:
            raise mapped(exc, "taking the exported snapshot") from exc

    def chunks(
        self,
        table: Table,
        relation: Relation,
        *,
        after: Key | None = None,
        up_to: Key | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> Iterator[SnapshotChunk]:
        """All rows with `after` < primary key <= `up_to`, in key order, without holding more than one chunk.

        `relation` decides which columns are read (`Table.relation()`). Nothing else can be read through this
        reader meanwhile. Raises Transient if the connection ends; the reader is unusable then.
        """
        keys = relation.indexes_of(table.primary_key)
        command = _copy_command(table, relation, after, up_to)
        width = len(relation.columns)
        rows: list[Row] = []
        with (
            mapped_errors(f"reading table {table.name} in the snapshot"),
            self._connection.cursor() as cursor,
            cursor.copy(command) as copy,
        ):
            for line in copy:
                rows.append(_row(bytes(line), width))
                if len(rows) >= chunk_rows:
                    yield SnapshotChunk(relation, rows, _key(rows[-1], keys))
                    rows = []
        if rows:
            yield SnapshotChunk(relation, rows, _key(rows[-1], keys))


def _copy_command(table: Table, relation: Relation, after: Key | None, up_to: Key | None) -> sql.Composed:
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in relation.columns)
    query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(*table.name))
    bounds = [_bound(table, operator, key) for operator, key in ((">", after), ("<=", up_to)) if key is not None]
    if bounds:
        query += sql.SQL(" WHERE ") + sql.SQL(" AND ").join(bounds)
    if table.primary_key:
        query += sql.SQL(" ORDER BY ") + sql.SQL(", ").join(map(sql.Identifier, table.primary_key))
    return sql.SQL("COPY ({}) TO STDOUT").format(query)


def _bound(table: Table, operator: str, key: Key) -> sql.Composed:
    if not table.primary_key or len(key) != len(table.primary_key):
        raise ConfigurationError(
            f"table {table.name} has the primary key ({', '.join(table.primary_key)}), which does not fit a range "
            f"of {len(key)} values: read it as a whole"
        )
    types = [column.type_name for name in table.primary_key if (column := table.column(name)) is not None]
    values = sql.SQL(", ").join(
        sql.SQL("{}::{}").format(sql.Literal(value.decode()), sql.SQL(type_name))
        for value, type_name in zip(key, types, strict=True)
    )
    names = sql.SQL(", ").join(map(sql.Identifier, table.primary_key))
    comparison = sql.SQL("({}) > ({})") if operator == ">" else sql.SQL("({}) <= ({})")
    return comparison.format(names, values)


def _key(row: Row, keys: tuple[int, ...]) -> Key | None:
    return tuple(value for value in map(row.__getitem__, keys) if isinstance(value, bytes)) or None


def _row(line: bytes, width: int) -> Row:
    """One line of COPY's text format (with its newline). Raises InvalidMessage if it does not fit."""
    values = line[:-1].split(b"\t")
    if len(values) != width and not (width == 0 and values == [b""]):
        raise InvalidMessage(f"a snapshot row has {len(values)} values for {width} columns")
    if b"\\" not in line:
        return tuple(values)
    return tuple([None if value == b"\\N" else _unescaped(value) if b"\\" in value else value for value in values])


def _unescaped(value: bytes) -> bytes:
    head, *parts = value.split(b"\\")
    unescaped = [head]
    parts_left = iter(parts)
    for part in parts_left:
        if part:
            unescaped += (_ESCAPES[part[:1]], part[1:])
        else:
            # An empty part is the second half of an escaped backslash: what follows it is plain.
            unescaped += (b"\\", next(parts_left))
    return b"".join(unescaped)

"""Tables of a live source database, checked against what a mapping needs of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import LiteralString

import psycopg

from producers.cdc.changes import Column, Relation, ReplicaIdentity, TableName
from producers.cdc.postgres.errors import mapped_errors
from producers.cdc.postgres.values import key_form
from schemas.errors import ConfigurationError

_TABLES: LiteralString = """
    SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relreplident::text,
           c.relpersistence::text, greatest(c.reltuples, 0)::bigint,
           coalesce((SELECT array_agg(a.attname::text ORDER BY k.place)
                       FROM pg_catalog.pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
                       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                      WHERE i.indrelid = c.oid AND i.indisprimary), '{}'),
           coalesce((SELECT array_agg(leaf.oid::regclass::text ORDER BY leaf.oid)
                       FROM pg_catalog.pg_class leaf
                      WHERE leaf.relkind = 'r' AND leaf.relreplident <> 'f'
                        AND (leaf.oid = c.oid OR c.relkind = 'p' AND leaf.oid IN
                             (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid) WHERE isleaf))
                        AND NOT EXISTS
                            (SELECT FROM pg_catalog.pg_index i
                              WHERE i.indrelid = leaf.oid
                                AND CASE leaf.relreplident WHEN 'd' THEN i.indisprimary
                                                           WHEN 'i' THEN i.indisreplident ELSE false END)
                    ), '{}')
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
_COLUMNS: LiteralString = """
    SELECT a.attrelid::bigint, a.attname::text, a.atttypid::bigint, a.atttypmod, a.attgenerated::text,
           pg_catalog.format_type(a.atttypid, a.atttypmod),
           coalesce(i.indkey::int2[] @> ARRAY[a.attnum], false)
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
           AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
     WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attrelid, a.attnum
"""
_IDENTITIES = {
    "d": ReplicaIdentity.DEFAULT,
    "n": ReplicaIdentity.NOTHING,
    "f": ReplicaIdentity.FULL,
    "i": ReplicaIdentity.INDEX,
}


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a live table; `generated` is '' or 's' (stored) or 'v' (virtual)."""

    name: str
    type_id: int
    modifier: int
    generated: str
    type_name: str
    is_key: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A live table; `unidentified` names the tables or partitions whose updates could not be sent."""

    table_id: int
    name: TableName
    kind: str
    persistence: str
    columns: tuple[TableColumn, ...]
    primary_key: tuple[str, ...]
    replica_identity: ReplicaIdentity
    estimated_rows: int
    unidentified: tuple[str, ...]

    def column(self, name: str) -> TableColumn | None:
        """The column of this name, None if there is none."""
        return next((column for column in self.columns if column.name == name), None)

    def relation(self, *, generated_columns: bool = False) -> Relation:
        """The shape in which the table's rows are read in a snapshot: as the stream sends them.

        `generated_columns`: whether the publication sends stored generated columns.
        """
        columns = tuple(
            Column(column.name, column.type_id, column.modifier, self._sent_as_key(column), key_form(column.type_id))
            for column in self.columns
            if not column.generated or (generated_columns and column.generated == "s")
        )
        return Relation(self.table_id, self.name, columns, self.replica_identity)

    def _sent_as_key(self, column: TableColumn) -> bool:
        return self.replica_identity is ReplicaIdentity.FULL or column.is_key


MappedTables = Mapping[TableName, Iterable[str]]
"""The tables that a mapping names, each with the columns that it needs."""


def read_tables(connection: psycopg.Connection) -> dict[TableName, Table]:
    """Every user table and view of the database. Raises as `mapped_errors` does."""
    with mapped_errors("reading the catalog of the source database"):
        rows = connection.execute(_TABLES).fetchall()
        columns: dict[int, list[TableColumn]] = {row[0]: [] for row in rows}
        for table_id, *column in connection.execute(_COLUMNS, (list(columns),)):
            columns[table_id].append(_table_column(column))
    tables = [_table(row, columns[row[0]]) for row in rows]
    return {table.name: table for table in tables}


def misfits(tables: Mapping[TableName, Table], mapped: MappedTables, server_version: int) -> dict[TableName, list[str]]:
    """What keeps mapped tables from being captured, each problem with the way to mend it.

    The missing table or column, the table without replica identity (publishing it would make the source's own updates
    fail), views, unlogged tables, generated columns that this version does not send.
    """
    found = {name: _problems(tables, name, columns, server_version) for name, columns in mapped.items()}
    return {name: problems for name, problems in found.items() if problems}


def require_mapped(tables: Mapping[TableName, Table], mapped: MappedTables, server_version: int) -> list[Table]:
    """The mapped tables, if all of them can be captured. Raises ConfigurationError that lists each problem."""
    found = misfits(tables, mapped, server_version)
    if found:
        raise misfit_error(found)
    return [tables[name] for name in mapped]


def misfit_error(found: Mapping[TableName, Sequence[str]]) -> ConfigurationError:
    """The error that lists what does not fit."""
    problems = "\n  ".join(problem for problems in found.values() for problem in problems)
    return ConfigurationError(f"the source database does not fit the mapping:\n  {problems}")


def _problems(
    tables: Mapping[TableName, Table], name: TableName, columns: Iterable[str], server_version: int
) -> list[str]:
    table = tables.get(name)
    if table is None:
        return [f"table {name} does not exist{_similar(str(name), map(str, tables))}"]
    if table.kind not in "rp":
        return [f"{name} is a view or foreign table; logical replication sends tables only: map what it reads"]
    problems = []
    if table.persistence != "p":
        problems.append(f"table {name} is not logged: ALTER TABLE {name} SET LOGGED")
    problems += [
        f"{unidentified} has no replica identity, so its updates and deletes cannot be sent: add a primary key, "
        f"or ALTER TABLE {unidentified} REPLICA IDENTITY FULL (or USING INDEX a unique index on NOT NULL columns)"
        for unidentified in table.unidentified
    ]
    for wanted in columns:
        problem = _column_problem(table, wanted, server_version)
        if problem is not None:
            problems.append(problem)
    return problems


def _column_problem(table: Table, wanted: str, server_version: int) -> str | None:
    column = table.column(wanted)
    if column is None:
        similar = _similar(wanted, (column.name for column in table.columns))
        return f"table {table.name} has no column {wanted}{similar}"
    if column.generated == "v":
        return f"column {table.name}.{wanted} is a virtual generated column, which is never sent: map its sources"
    if column.generated == "s" and server_version < 180000:
        return (
            f"column {table.name}.{wanted} is generated, which PostgreSQL sends from version 18 on: "
            "map the columns that it is computed from"
        )
    return None


def needs_generated_columns(tables: Iterable[Table], mapped: MappedTables) -> bool:
    """Whether a mapped column is a stored generated one, so that the publication must send these."""
    return any(
        column is not None and column.generated == "s"
        for table in tables
        for column in map(table.column, mapped[table.name])
    )


def _similar(name: str, candidates: Iterable[str]) -> str:
    matches = get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f" (did you mean {matches[0]}?)" if matches else ""


def _table_column(row: list[object]) -> TableColumn:
    name, type_id, modifier, generated, type_name, is_key = row
    return TableColumn(str(name), int(str(type_id)), int(str(modifier)), str(generated), str(type_name), bool(is_key))


def _table(row: tuple[object, ...], columns: list[TableColumn]) -> Table:
    table_id, schema, name, kind, identity, persistence, rows, primary_key, unidentified = row
    assert isinstance(primary_key, list)
    assert isinstance(unidentified, list)
    return Table(
        table_id=int(str(table_id)),
        name=TableName(str(schema), str(name)),
        kind=str(kind),
        persistence=str(persistence),
        columns=tuple(columns),
        primary_key=tuple(primary_key),
        replica_identity=_IDENTITIES[str(identity)],
        estimated_rows=int(str(rows)),
        unidentified=tuple(unidentified),
    )

"""Assembles the rows of one aggregate from its tables: a merge of streams that are sorted by the root's key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from psycopg import sql

from consumers.reconcile.rows import Snapshot, text_array
from schemas.mapping import AggregateMapping, Image, SourceMapping, TableMapping

NativeKey = tuple[str, ...]
"""The root's key columns as text."""
_Group = tuple[NativeKey, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class AssembledImage:
    """One root row with all rows below it."""

    key: NativeKey
    image: Image


class AggregateReader:
    """Reads the images of one aggregate of one source."""

    def __init__(self, mapping: SourceMapping, aggregate: AggregateMapping) -> None:
        self._root = mapping.tables[aggregate.root]
        self._below = _parents_first(mapping, aggregate)
        self._queries = {
            table.alias: TableQuery.of(mapping, aggregate, table)
            for table in (self._root, *self._below)
            if not table.is_virtual
        }

    @property
    def queries(self) -> Iterable[TableQuery]:
        """How the rows of each table are read."""
        return self._queries.values()

    def images(self, snapshot: Snapshot, keys: Sequence[NativeKey] | None = None) -> Iterator[AssembledImage]:
        """All images, or those of `keys`, sorted by key; holds one of them at a time.

        Raises:
            ConfigurationError: the source lacks a table or column that the mapping names.
            Transient: the source is away.
        """
        wanted = None if keys is None else frozenset(keys)
        streams = {alias: _Stream(query.groups(snapshot, keys)) for alias, query in self._queries.items()}
        while heads := [stream.head for stream in streams.values() if stream.head is not None]:
            key = min(heads)
            rows = {alias: stream.take(key) for alias, stream in streams.items()}
            if (wanted is None or key in wanted) and (root := self._root_row(rows)) is not None:
                yield AssembledImage(key, self._assembled(root, rows))

    def _root_row(self, rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any] | None:
        if not self._root.is_virtual:
            # Rows whose root is gone belong to no order.
            return next(iter(rows[self._root.alias]), None)
        for table in self._below:
            if table.parent is not None and table.parent.table == self._root.alias and rows[table.alias]:
                first = rows[table.alias][0]
                return {name: first[column] for name, column in zip(self._root.key, table.parent.columns, strict=True)}
        return None

    def _assembled(self, root: dict[str, Any], rows: Mapping[str, list[dict[str, Any]]]) -> Image:
        image = Image(root)
        images: dict[str, dict[tuple[Any, ...], Image]] = {}
        for table in self._below:
            assert table.parent is not None
            own = images[table.alias] = {}
            for row in rows[table.alias]:
                child = own[tuple(row[column] for column in table.key)] = Image(row)
                if table.parent.table == self._root.alias:
                    parent: Image | None = image
                else:
                    parent = images[table.parent.table].get(tuple(row[column] for column in table.parent.columns))
                if parent is not None:
                    parent.children.setdefault(table.alias, []).append(child)
        return image


@dataclass(frozen=True, slots=True)
class TableQuery:
    """The rows of one table with the root's key in front, sorted by it."""

    table: TableMapping
    columns: tuple[str, ...]
    source: sql.Composed
    keys: tuple[sql.Composed, ...]

    @classmethod
    def of(cls, mapping: SourceMapping, aggregate: AggregateMapping, table: TableMapping) -> TableQuery:
        """The query of `table`; it joins what stands between the table and the root."""
        needed = set(aggregate.columns.get(table.alias, ())) | set(table.key)
        if table.parent is not None:
            needed.update(table.parent.columns)
        for other in mapping.tables.values():
            if other.parent is not None and other.parent.table == table.alias:
                needed.update(table.key)
        source = _relation(table)
        top = table
        while top.parent is not None and top.parent.table != aggregate.root:
            above = mapping.tables[top.parent.table]
            pairs = zip(above.key, top.parent.columns, strict=True)
            condition = sql.SQL(" AND ").join(
                sql.SQL("{} = {}").format(sql.Identifier(above.alias, key), sql.Identifier(top.alias, column))
                for key, column in pairs
            )
            source += sql.SQL(" JOIN ") + _relation(above) + sql.SQL(" ON ") + condition
            top = above
        key_columns = table.key if top.parent is None else top.parent.columns
        keys = tuple(sql.Composed([sql.Identifier(top.alias, column)]) for column in key_columns)
        return cls(table, tuple(sorted(needed)), source, keys)

    @property
    def schema(self) -> str:
        """The schema of the table."""
        assert self.table.schema is not None
        return self.table.schema

    @property
    def table_name(self) -> str:
        """The table's name within it."""
        assert self.table.name is not None
        return self.table.name

    def named_columns(self) -> list[tuple[str, sql.Composable]]:
        """Every column that is read, by name."""
        return [(column, sql.Identifier(self.table.alias, column)) for column in self.columns]

    def groups(self, snapshot: Snapshot, keys: Sequence[NativeKey] | None) -> Iterator[_Group]:
        """Rows by key; a superset of `keys` where these have several columns."""
        width = len(self.keys)
        rows = snapshot.rows(self._statement(keys), [self.table.qualified_name])
        for key, group in groupby(rows, key=itemgetter(slice(width))):
            yield key, [dict(zip(self.columns, row[width:], strict=True)) for row in group]

    def _statement(self, keys: Sequence[NativeKey] | None) -> sql.Composed:
        texts = [sql.SQL('({}::text COLLATE "C")').format(key) for key in self.keys]
        columns = [column for _, column in self.named_columns()]
        conditions = [sql.SQL("{} IS NOT NULL").format(key) for key in self.keys]
        for number, key in enumerate(self.keys if keys is not None else ()):
            values = sorted({native[number] for native in keys or ()})
            conditions.append(sql.SQL("{} = ANY({})").format(key, text_array(values)))
        return sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
            sql.SQL(", ").join([*texts, *columns]),
            self.source,
            sql.SQL(" AND ").join(conditions),
            sql.SQL(", ").join(texts),
        )


class _Stream:
    """Groups of rows in key order, one ahead."""

    def __init__(self, groups: Iterator[_Group]) -> None:
        self._groups = groups
        self._next = next(groups, None)

    @property
    def head(self) -> NativeKey | None:
        """The key of the next group; None at the end."""
        return None if self._next is None else self._next[0]

    def take(self, key: NativeKey) -> list[dict[str, Any]]:
        """The rows of `key`, if it is next."""
        if self._next is None or self._next[0] != key:
            return []
        rows = self._next[1]
        self._next = next(self._groups, None)
        return rows


def _relation(table: TableMapping) -> sql.Composed:
    assert table.schema is not None and table.name is not None
    return sql.SQL("{} AS {}").format(sql.Identifier(table.schema, table.name), sql.Identifier(table.alias))


def _parents_first(mapping: SourceMapping, aggregate: AggregateMapping) -> list[TableMapping]:
    tables = [mapping.tables[alias] for alias in aggregate.columns if alias != aggregate.root]
    return sorted(tables, key=lambda table: _depth(mapping, table))


def _depth(mapping: SourceMapping, table: TableMapping) -> int:
    return 0 if table.parent is None else 1 + _depth(mapping, mapping.tables[table.parent.table])

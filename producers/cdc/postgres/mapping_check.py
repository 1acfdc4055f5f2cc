"""Compares a mapping with a live database: everything that would stop or lame its capture, found beforehand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from producers.cdc.changes import TableName
from producers.cdc.postgres.catalog import MappedTables, Table, misfits, read_tables
from producers.cdc.postgres.errors import mapped_errors
from producers.cdc.postgres.readiness import unreadable
from producers.cdc.postgres.types import TypeCatalog
from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape, shapes_of
from schemas.mapping import SourceMapping
from schemas.mapping.file import ListFile, MappingFile, RecordFile

_PUBLISHED: LiteralString = """
    SELECT p.puballtables, n.nspname::text, c.relname::text
      FROM pg_catalog.pg_publication p
      LEFT JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
      LEFT JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
      LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE p.pubname = %s
"""
_COLUMN: Final = re.compile(r"(?:(day|instant|money|number)\(\s*)?([a-z_][a-z0-9_]*)\s*(?:\)|,.*\))?", re.ASCII)


class Kind(StrEnum):
    """What a column's values are to an expression."""

    NUMBER = "a number"
    INTEGER = "an integer"
    TEXT = "a text"
    DAY = "a date"
    TIME = "a time"
    TRUTH = "true or false"
    OTHER = "something else"


_BUILT_IN: Final = {
    **dict.fromkeys((20, 21, 23, 26, 28), Kind.INTEGER),
    **dict.fromkeys((700, 701, 790, 1700), Kind.NUMBER),
    **dict.fromkeys((18, 19, 25, 1042, 1043), Kind.TEXT),
    **dict.fromkeys((1114, 1184), Kind.TIME),
    1082: Kind.DAY,
    16: Kind.TRUTH,
}
_NUMBERS: Final = frozenset({Kind.NUMBER, Kind.INTEGER})
_MOMENTS: Final = frozenset({Kind.TIME, Kind.DAY, Kind.TEXT})
_FITTING: Final[dict[type, frozenset[Kind]]] = {
    Decimal: _NUMBERS,
    str: frozenset({Kind.TEXT, Kind.INTEGER}),
    date: frozenset({Kind.DAY}),
    datetime: frozenset({Kind.TIME}),
    bool: frozenset({Kind.TRUTH}),
    int: frozenset({Kind.INTEGER}),
}
_TAKEN: Final = {"day": _MOMENTS, "instant": _MOMENTS, "money": _NUMBERS, "number": _NUMBERS | {Kind.TEXT}}


@dataclass(frozen=True, slots=True)
class MappingReport:
    """`problems` keep the capture from working; `notes` are what it does itself at its start, if its role may."""

    problems: list[str]
    notes: list[str]


def check_mapping(
    connection: psycopg.Connection, mapping: SourceMapping, path: Path, publication: str
) -> MappingReport:
    """Tables, columns, identities, privileges, publication, and types against the attributes that they become.

    Called by `ordersync mappings check`; changes nothing. Raises as `mapped_errors` does.
    """
    mapped = mapped_tables(mapping)
    tables = read_tables(connection)
    found = misfits(tables, mapped, connection.info.server_version)
    problems = [problem for listed in found.values() for problem in listed]
    problems += unreadable(connection, [tables[name] for name in mapped if name in tables])
    problems += _type_problems(mapping, path, tables, TypeCatalog(connection))
    return MappingReport(problems, _publication_notes(connection, publication, mapped))


def mapped_tables(mapping: SourceMapping) -> dict[TableName, frozenset[str]]:
    """The source's tables with the columns that the mapping needs of each."""
    mapped: dict[TableName, frozenset[str]] = {}
    for alias, table in mapping.tables.items():
        if table.schema is not None and table.name is not None:
            name = TableName(table.schema, table.name)
            mapped[name] = mapped.get(name, frozenset()) | mapping.columns_of(alias)
    return mapped


def _publication_notes(connection: psycopg.Connection, publication: str, mapped: MappedTables) -> list[str]:
    with mapped_errors(f"reading publication {publication!r}"):
        rows = connection.execute(_PUBLISHED, (publication,)).fetchall()
    if not rows:
        return [f"publication {publication} does not exist yet: the capture creates it, if its role owns the tables"]
    if rows[0][0]:
        return []
    missing = sorted(set(mapped) - {TableName(schema, table) for _, schema, table in rows})
    if not missing:
        return []
    names = ", ".join(map(str, missing))
    return [f"publication {publication} does not send {names}: the capture adds them, if its role owns the tables"]


def _type_problems(
    mapping: SourceMapping, path: Path, tables: dict[TableName, Table], types: TypeCatalog
) -> Iterator[str]:
    file = MappingFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    check = _TypeCheck(mapping, tables, types)
    for entry, aggregate in zip(file.aggregates, mapping.aggregates, strict=True):
        yield from check.record(entry, aggregate.model, entry.root, aggregate.topic.name)


class _TypeCheck:
    """Looks at expressions that are a column, alone or as the first argument of a function that wants a type."""

    def __init__(self, mapping: SourceMapping, tables: dict[TableName, Table], types: TypeCatalog) -> None:
        self._mapping = mapping
        self._tables = tables
        self._types = types

    def record(self, entry: RecordFile, model: type[CanonicalModel], alias: str | None, where: str) -> Iterator[str]:
        """Problems of a record whose row is one of the table `alias` (None: an element of a JSON value)."""
        shapes = {shape.name: shape for shape in shapes_of(model)}
        for name, expression in entry.fields.items():
            if alias is not None and name in shapes:
                yield from self._field(shapes[name], expression, alias, f"{where}.{name}")
        for name, nested in (*entry.records.items(), *entry.lists.items()):
            record = shapes[name].record
            if record is not None:
                yield from self.record(nested, record, _row_of(nested, alias), f"{where}.{name}")

    def _field(self, shape: FieldShape, expression: str, alias: str, where: str) -> Iterator[str]:
        match = _COLUMN.fullmatch(expression.strip())
        table = self._mapping.tables[alias]
        if match is None or table.schema is None or table.name is None:
            return
        function, name = match.groups()
        live = self._tables.get(TableName(table.schema, table.name))
        column = None if live is None else live.column(name)
        wanted = _TAKEN[function] if function else _FITTING.get(shape.leaf)
        if column is None or wanted is None or (kind := self._kind(column.type_id)) in wanted:
            return
        needs = " or ".join(sorted(wanted))
        yield (
            f"column {table.qualified_name}.{name} is of type {column.type_name} ({kind}), but {where} = {expression} "
            f"needs {needs}"
        )

    def _kind(self, type_id: int) -> Kind:
        built_in = _BUILT_IN.get(type_id)
        if built_in is not None:
            return built_in
        found = self._types(type_id)
        if found is None or found.element:
            return Kind.OTHER
        if found.kind == "d":
            return self._kind(found.base)
        return Kind.TEXT if found.kind == "e" else Kind.OTHER


def _row_of(nested: Any, alias: str | None) -> str | None:
    """The table whose rows a nested record is made of."""
    if isinstance(nested, ListFile):
        return None if nested.each is not None else nested.table or alias
    return alias

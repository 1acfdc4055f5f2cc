"""What of a mapping is plain: columns, constants, texts put together, look-ups and totals, as data.

An adapter that can take values straight from its source's rows to Avro asks for it; every other expression stays with
the compiled mapping, which is the reference for these too.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape

Level = Literal["row", "root", "parent"]


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """A column of the row itself, of its parent's or of the root's."""

    level: Level
    name: str


@dataclass(frozen=True, slots=True)
class PlainConstant:
    """The same value for each row."""

    value: str | int | bool | None


@dataclass(frozen=True, slots=True)
class PlainText:
    """The texts of all parts one after the other; None if a column among them is None."""

    parts: tuple[PlainColumn | str, ...]


@dataclass(frozen=True, slots=True)
class PlainTotal:
    """The sum of one attribute over a list of the same record."""

    items: str
    attribute: str


@dataclass(frozen=True, slots=True)
class PlainLookup:
    """The entry for a column's text."""

    entries: Mapping[str, Any]
    column: PlainColumn


Plain = PlainColumn | PlainConstant | PlainText | PlainTotal | PlainLookup


@dataclass(frozen=True, slots=True)
class PlainRecord:
    """One record: for each attribute in wire order what it is made of."""

    model: type[CanonicalModel]
    fields: tuple[tuple[FieldShape, Plain | PlainRecord | PlainList], ...]


@dataclass(frozen=True, slots=True)
class PlainList:
    """A record for each row of a child table, sorted by its columns `order_by`, nulls first."""

    table: str
    order_by: tuple[str, ...]
    record: PlainRecord


def plain_source(source: str, lookups: Mapping[str, Mapping[str, Any]]) -> Plain | None:
    """The expression (which was checked before) as data; None where it is not plain."""
    return _plain(ast.parse(source.strip(), mode="eval").body, lookups)


def _plain(node: ast.expr, lookups: Mapping[str, Mapping[str, Any]]) -> Plain | None:
    if isinstance(node, ast.Constant):
        return None if isinstance(node.value, float) else PlainConstant(node.value)  # type: ignore[arg-type]
    column = _column(node)
    if column is not None:
        return column
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    match node.func.id, node.args:
        case (("concat" | "text"), arguments):
            return _text(arguments)
        case "total", [ast.Name(items), ast.Constant(attribute)]:
            return PlainTotal(items, str(attribute))
        case "lookup", [ast.Constant(table), argument]:
            found = _column(argument)
            return None if found is None else PlainLookup(lookups[str(table)], found)
        case _:
            return None


def _column(node: ast.expr) -> PlainColumn | None:
    match node:
        case ast.Name(name):
            return PlainColumn("row", name)
        case ast.Attribute(ast.Name("root" | "parent" as level), name):
            return PlainColumn(level, name)
        case ast.Call(ast.Name("column"), [ast.Constant(str() as name)]):
            return PlainColumn("row", name)
        case _:
            return None


def _text(arguments: list[ast.expr]) -> PlainText | None:
    parts: list[PlainColumn | str] = []
    for argument in arguments:
        part = _column(argument)
        if part is not None:
            parts.append(part)
        elif isinstance(argument, ast.Constant) and isinstance(argument.value, (str, int)):
            parts.append(str(argument.value))
        else:
            return None
    return PlainText(tuple(parts)) if any(isinstance(part, PlainColumn) for part in parts) else None

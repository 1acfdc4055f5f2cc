"""Prepares the native way from kept rows to the Avro section of an event, for mappings that are plain.

What the native part cannot do, or finds odd in a row, is left to the compiled mapping and the codec: they are the
reference (`tests/unit/test_capture_sections.py` holds both equal), and say what is wrong where something is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

from producers.cdc.aggregates import Node, NodeId
from producers.cdc.changes import Held, RowReader
from producers.cdc.native import extension
from producers.cdc.tables import TablePlan
from schemas.avro import FieldShape
from schemas.codec import scalars
from schemas.mapping import AggregateMapping
from schemas.mapping.plain import (
    Plain,
    PlainColumn,
    PlainConstant,
    PlainList,
    PlainLookup,
    PlainRecord,
    PlainText,
    PlainTotal,
)

SectionBuilder = Callable[[Node], "tuple[str, bytes] | None"]
"""Key and Avro section of a root's node; None where the reference has to decide."""

_LEVELS: Final = {"row": 0, "parent": 1, "root": 2}
_TEXTUAL: Final = frozenset({Held.WORDS, Held.PADDED_WORDS, Held.INTEGER})


class _Taken(IntEnum):
    TEXT = 0
    DECIMAL = 1
    LONG = 2
    DAY = 3
    INSTANT = 4
    BOOLEAN = 5


class _Code(IntEnum):
    COLUMN = 0
    LITERAL = 1
    CONCAT = 2
    TOTAL = 3
    LOOKUP = 4
    RECORD = 5
    LIST = 6


_TAKEN: Final[dict[type, _Taken]] = {
    str: _Taken.TEXT,
    Decimal: _Taken.DECIMAL,
    int: _Taken.LONG,
    date: _Taken.DAY,
    datetime: _Taken.INSTANT,
    bool: _Taken.BOOLEAN,
}
_FITS: Final[dict[_Taken, frozenset[Held]]] = {
    _Taken.TEXT: _TEXTUAL,
    _Taken.DECIMAL: frozenset({Held.INTEGER, Held.NUMERIC}),
    _Taken.LONG: frozenset({Held.INTEGER}),
    _Taken.DAY: frozenset({Held.DATE}),
    _Taken.INSTANT: frozenset({Held.MOMENT}),
    _Taken.BOOLEAN: frozenset({Held.TRUTH}),
}


class _NotPlain(Exception):
    """Something of the aggregate only the reference can do."""


def section_builder(
    aggregate: AggregateMapping, plan: TablePlan, reader: RowReader, node: Callable[[NodeId], Node]
) -> SectionBuilder | None:
    """The native builder of an aggregate with this root; None where it cannot be built natively."""
    native = extension()
    if native is None or aggregate.plain is None or plan.relation is None:
        return None
    try:
        compiler = _Compiler(reader)
        level = _Tables((plan,), plan)
        key = compiler.text(aggregate.plain_key, level)
        record = compiler.record(aggregate.plain, level)
    except _NotPlain:
        return None
    section = native.Section(record, key, len(plan.relation.columns), node, Node)
    build: SectionBuilder = section.build
    return build


@dataclass(frozen=True, slots=True)
class _Tables:
    """The tables whose rows an expression sees: its own, then those above."""

    chain: tuple[TablePlan, ...]
    root: TablePlan

    def at(self, level: str) -> TablePlan:
        if level == "root":
            return self.root
        if level == "row":
            return self.chain[0]
        if len(self.chain) < 2:
            raise _NotPlain
        return self.chain[1]


@dataclass(slots=True)
class _Lists:
    """The lists of a record by name, with the attributes of their items that are totalled."""

    numbers: dict[str, int] = field(default_factory=dict)
    sums: dict[str, list[str]] = field(default_factory=dict)
    records: dict[str, PlainRecord] = field(default_factory=dict)


class _Compiler:
    def __init__(self, reader: RowReader) -> None:
        self._reader = reader

    def record(self, record: PlainRecord, tables: _Tables, summed: tuple[str, ...] = ()) -> tuple[object, ...]:
        known = _Lists()
        for shape, part in record.fields:
            if isinstance(part, PlainList):
                known.numbers[shape.name] = len(known.numbers)
                known.sums[shape.name] = []
                known.records[shape.name] = part.record
        for _, part in record.fields:
            if isinstance(part, PlainTotal) and part.attribute not in known.sums[part.items]:
                known.sums[part.items].append(part.attribute)
        lists = tuple(
            self._list(part, tables, tuple(known.sums[shape.name]))
            for shape, part in record.fields
            if isinstance(part, PlainList)
        )
        fields = tuple(self._field(shape, part, tables, known, summed) for shape, part in record.fields)
        if missing := set(summed) - {shape.name for shape, part in record.fields if isinstance(part, PlainColumn)}:
            raise _NotPlain(missing)
        return (fields, lists)

    def text(self, source: Plain | None, tables: _Tables) -> tuple[object, ...]:
        """The parts of a text, as the native part takes them."""
        parts: tuple[PlainColumn | str, ...]
        match source:
            case PlainText(parts=found):
                parts = found
            case PlainColumn():
                if self._held(source, tables) not in (Held.WORDS, Held.PADDED_WORDS):
                    raise _NotPlain
                parts = (source,)
            case _:
                raise _NotPlain
        return tuple(
            part.encode() if isinstance(part, str) else self._part(part, tables, _TEXTUAL | {Held.DATE})
            for part in parts
        )

    def _list(self, items: PlainList, tables: _Tables, summed: tuple[str, ...]) -> tuple[object, ...]:
        above = tables.chain[0]
        plan = next((child for child in above.children if child.alias == items.table), None)
        if plan is None or plan.relation is None:
            raise _NotPlain
        inside = _Tables((plan, *tables.chain), tables.root)
        sortable = frozenset(Held) - {Held.TRUTH}
        order = tuple(self._part(PlainColumn("row", name), inside, sortable) for name in items.order_by)
        prefix = None if plan.leaf else plan.prefix
        record = self.record(items.record, inside, summed)
        return (plan.number, prefix, len(plan.relation.columns), order, record, len(summed))

    def _field(
        self,
        shape: FieldShape,
        part: Plain | PlainRecord | PlainList,
        tables: _Tables,
        known: _Lists,
        summed: tuple[str, ...],
    ) -> tuple[object, ...]:
        precision, scale = (shape.decimal.precision, shape.decimal.scale) if shape.decimal else (0, 0)
        taken = _TAKEN.get(shape.leaf, _Taken.TEXT)
        code, content = self._content(shape, part, tables, known, taken)
        number = summed.index(shape.name) if shape.name in summed else -1
        return (code.value, taken.value, shape.is_optional, precision, scale, number, content)

    def _content(
        self,
        shape: FieldShape,
        part: Plain | PlainRecord | PlainList,
        tables: _Tables,
        known: _Lists,
        taken: _Taken,
    ) -> tuple[_Code, object]:
        match part:
            case PlainList():
                return _Code.LIST, known.numbers[shape.name]
            case PlainRecord():
                return _Code.RECORD, self.record(part, tables)
            case PlainConstant():
                return _Code.LITERAL, literal(shape, part.value)
            case PlainTotal():
                item = next(found for found, _ in known.records[part.items].fields if found.name == part.attribute)
                if item.decimal is None or shape.leaf is not Decimal:
                    raise _NotPlain
                place = known.sums[part.items].index(part.attribute)
                return _Code.TOTAL, (known.numbers[part.items], place, item.decimal.scale)
            case PlainLookup():
                column = self._part(part.column, tables, _TEXTUAL)
                entries = {key.encode(): literal(shape, value) for key, value in part.entries.items()}
                return _Code.LOOKUP, (column, entries)
            case PlainText():
                if shape.leaf is not str:
                    raise _NotPlain
                return _Code.CONCAT, self.text(part, tables)
            case PlainColumn():
                if shape.leaf not in _TAKEN:
                    raise _NotPlain
                return _Code.COLUMN, self._part(part, tables, _FITS[taken])

    def _part(self, column: PlainColumn, tables: _Tables, fitting: frozenset[Held]) -> tuple[int, int, int]:
        held = self._held(column, tables)
        if held not in fitting:
            raise _NotPlain
        relation = tables.at(column.level).relation
        assert relation is not None
        return (_LEVELS[column.level], relation.index_of(column.name), held.value)

    def _held(self, column: PlainColumn, tables: _Tables) -> Held:
        relation = tables.at(column.level).relation
        if relation is None:
            raise _NotPlain
        held = self._reader.held(relation.columns[relation.index_of(column.name)].type_id)
        if held is None:
            raise _NotPlain
        return held


def literal(shape: FieldShape, value: Any) -> bytes:
    """The Avro form of a constant as that attribute."""
    if value is None:
        if shape.is_optional:
            return b"\0"
        if shape.is_list:
            return b"\0"
        raise _NotPlain
    branch = b"\2" if shape.is_optional else b""
    match value:
        case bool() if shape.leaf is bool:
            return branch + (b"\1" if value else b"\0")
        case bool():
            raise _NotPlain
        case str() | int() if shape.leaf is str:
            octets = str(value).encode()
            return branch + scalars.varint(len(octets)) + octets
        case int() if shape.leaf is int and abs(value) < 1 << 62:
            return branch + scalars.varint(value)
        case int() if shape.decimal is not None:
            found = scalars.decimal_to_bytes(Decimal(value), shape.decimal.scale, shape.decimal.precision)
            if found:
                return branch + found
    raise _NotPlain

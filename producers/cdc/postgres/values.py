"""Python values of PostgreSQL's text output, by type: chosen once per relation, applied per column.

The text is that of a session with the settings of `session.py` (ISO dates, UTC, hexadecimal bytea).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from producers.cdc.changes import UNCHANGED, Held, KeyForm, Relation, Row, RowValues
from producers.cdc.postgres.arrays import parse_array
from schemas.errors import ConfigurationError, InvalidValue

Converter = Callable[[bytes], object]
"""Reads one value's text; raises ValueError, ArithmeticError or RecursionError if it has no meaning."""


class PgType(NamedTuple):
    """One row of `pg_type`: what is needed to find the converter of a type that is not built in.

    `kind` is `typtype` (b base, d domain, e enum, c composite, r range), `element` the element type of an
    array (0 otherwise), `base` the type beneath a domain (0 otherwise).
    """

    type_id: int
    name: str
    kind: str
    base: int = 0
    element: int = 0
    delimiter: str = ","


TypeLookup = Callable[[int], PgType | None]
"""Finds a type by its OID; None if the catalog has no such type (any more)."""


def text(value: bytes) -> str:
    """Text, and every type without a meaning of its own here (ranges, intervals, addresses)."""
    return value.decode()


def padded_text(value: bytes) -> str:
    """`char(n)`: the padding is not part of the value."""
    return value.decode().rstrip(" ")


def boolean(value: bytes) -> bool:
    """`t` or `f`."""
    if value == b"t":
        return True
    if value == b"f":
        return False
    raise ValueError("neither t nor f")


def number(value: bytes) -> Decimal:
    """numeric and float, digit by digit; NaN and Infinity stay Decimals that no money field accepts."""
    return Decimal(value.decode("ascii"))


def money(value: bytes) -> Decimal:
    """The `money` type as printed under `lc_monetary=C`: `-$1,234.50`."""
    return Decimal(value.decode("ascii").replace("$", "").replace(",", ""))


def calendar_date(value: bytes) -> date:
    """A date of the years 1 to 9999."""
    return date.fromisoformat(_common_era(value))


def instant(value: bytes) -> datetime:
    """timestamptz as aware UTC."""
    moment = datetime.fromisoformat(_common_era(value))
    if moment.tzinfo is None:
        raise ValueError("no offset from UTC")
    return moment.astimezone(UTC)


def clock_time(value: bytes) -> time:
    """time without time zone; `24:00:00` has no meaning here."""
    return time.fromisoformat(value.decode("ascii"))


def binary(value: bytes) -> bytes:
    """bytea in hexadecimal form."""
    if value[:2] != b"\\x":
        raise ValueError("not in hexadecimal form")
    return bytes.fromhex(value[2:].decode("ascii"))


def document(value: bytes) -> object:
    """json and jsonb; fractions become Decimal, because money inside must not pass through a float."""
    return json.loads(value, parse_float=Decimal)


def identifier(value: bytes) -> UUID:
    """A UUID."""
    return UUID(value.decode("ascii"))


def _common_era(value: bytes) -> str:
    moment = value.decode("ascii")
    if moment.endswith("infinity"):
        raise ValueError("no point of time; store NULL or a date instead")
    if moment.endswith(" BC"):
        raise ValueError("before the common era")
    return moment


_BUILT_IN: Final[Mapping[int, Converter]] = {
    16: boolean,
    17: binary,
    18: text,
    19: text,
    20: int,
    21: int,
    23: int,
    25: text,
    26: int,
    28: int,
    114: document,
    700: number,
    701: number,
    790: money,
    1042: padded_text,
    1043: text,
    1082: calendar_date,
    1083: clock_time,
    1184: instant,
    1700: number,
    2950: identifier,
    3802: document,
}
_HELD: Final[Mapping[int, Held]] = {
    16: Held.TRUTH,
    20: Held.INTEGER,
    21: Held.INTEGER,
    23: Held.INTEGER,
    25: Held.WORDS,
    700: Held.NUMERIC,
    701: Held.NUMERIC,
    1042: Held.PADDED_WORDS,
    1043: Held.WORDS,
    1082: Held.DATE,
    1184: Held.MOMENT,
    1700: Held.NUMERIC,
}
_TIMESTAMP: Final = 1114


def key_form(type_id: int) -> KeyForm:
    """What of a key of this type PostgreSQL's own equality overlooks: the scale of a numeric, the padding of a char."""
    return _KEY_FORMS.get(type_id, KeyForm.AS_SENT)


_KEY_FORMS: Final[Mapping[int, KeyForm]] = {
    700: KeyForm.NUMBER,
    701: KeyForm.NUMBER,
    1042: KeyForm.PADDED,
    1700: KeyForm.NUMBER,
}


class PostgresRowReader:
    """The `RowReader` of PostgreSQL: built-in types at once, others through the catalog's `pg_type`.

    `local_timezone` is the zone in which the source writes its `timestamp` (without time zone) columns.
    """

    def __init__(self, types: TypeLookup, *, local_timezone: tzinfo = UTC) -> None:
        self._types = types
        self._local_timezone = local_timezone

    def converter(self, type_id: int) -> Converter:
        """The converter of a type: through domains to their base, arrays to their elements, enums as text."""
        built_in = _BUILT_IN.get(type_id)
        if built_in is not None:
            return built_in
        if type_id == _TIMESTAMP:
            return self._local_timestamp
        pg_type = self._types(type_id)
        if pg_type is None:
            return text
        if pg_type.kind == "d":
            return self.converter(pg_type.base)
        if pg_type.element:
            return self._array(self.converter(pg_type.element), pg_type.delimiter)
        return text

    def held(self, type_id: int) -> Held | None:
        """See `RowReader`: through domains to their base, enums as text."""
        if type_id in _HELD:
            return _HELD[type_id]
        pg_type = None if type_id in _BUILT_IN or type_id == _TIMESTAMP else self._types(type_id)
        if pg_type is None:
            return None
        if pg_type.kind == "d":
            return self.held(pg_type.base)
        return Held.WORDS if pg_type.kind == "e" else None

    def row_values(self, relation: Relation, columns: Collection[str] | None = None) -> RowValues:
        """See `RowReader`: conversion of the wanted columns of this relation's rows."""
        present = {column.name: index for index, column in enumerate(relation.columns)}
        wanted = list(present) if columns is None else list(columns)
        missing = [name for name in wanted if name not in present]
        if missing:
            raise ConfigurationError(
                f"table {relation.name} no longer sends the column {', '.join(missing)}; it has "
                f"{', '.join(present)}: mend the mapping, or bring the column back"
            )
        plan = [(name, present[name], self.converter(relation.columns[present[name]].type_id)) for name in wanted]

        def values(row: Row) -> dict[str, object]:
            try:
                return {
                    name: convert(value) if value.__class__ is bytes else value
                    for name, index, convert in plan
                    for value in (row[index],)
                }
            except (ValueError, ArithmeticError, RecursionError):
                raise _named(relation, plan, row) from None

        return values

    def _local_timestamp(self, value: bytes) -> datetime:
        moment = datetime.fromisoformat(_common_era(value))
        return moment.replace(tzinfo=self._local_timezone).astimezone(UTC)

    def _array(self, element: Converter, delimiter: str) -> Converter:
        return lambda value: parse_array(value.decode(), element, delimiter)


def _named(relation: Relation, plan: list[tuple[str, int, Converter]], row: Row) -> InvalidValue:
    """The error of the first column that cannot be read; found by trying again, off the quick path."""
    for name, index, convert in plan:
        value = row[index]
        if value is None or value is UNCHANGED:
            continue
        try:
            convert(value)
        except (ValueError, ArithmeticError, RecursionError) as exc:
            shown = value[:60].decode(errors="backslashreplace")
            return InvalidValue(
                f"column {relation.name}.{name} holds {shown!r}, which cannot be used: {exc or type(exc).__name__}",
                field=name,
            )
    raise AssertionError(f"no column of {relation.name} fails when read alone")

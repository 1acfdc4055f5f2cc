"""Brings the value of a mapping expression to the type of its canonical attribute, or refuses it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from schemas.avro import FieldShape
from schemas.errors import InvalidValue


def coercion(shape: FieldShape, zone: ZoneInfo) -> Callable[[Any], Any]:
    """The function that checks and converts one value of the attribute `shape`; times without a zone are in `zone`."""
    convert = _conversion(shape, zone)

    def coerce(value: Any) -> Any:
        if value is None:
            if shape.is_optional:
                return None
            raise InvalidValue("is empty, but required", rule="mapping")
        return convert(value)

    return coerce


def _conversion(shape: FieldShape, zone: ZoneInfo) -> Callable[[Any], Any]:
    def to_decimal(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise InvalidValue(f"{value!r} is not an exact number; number(...) makes one of a text", rule="mapping")
        result = Decimal(value)
        if not result.is_finite():
            raise InvalidValue(f"{value} is not a finite number", rule="mapping")
        return result

    def to_text(value: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise InvalidValue(f"{value!r} is not a text; text(...) makes one", rule="mapping")

    def to_datetime(value: Any) -> datetime:
        if not isinstance(value, datetime):
            raise InvalidValue(f"{value!r} is not a time; instant(...) makes one of a date", rule="mapping")
        aware = value if value.tzinfo is not None else value.replace(tzinfo=zone)
        return aware.astimezone(UTC)

    def to_date(value: Any) -> date:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        raise InvalidValue(f"{value!r} is not a date; day(...) makes one of a time", rule="mapping")

    def to_exact(kind: type) -> Callable[[Any], Any]:
        def convert(value: Any) -> Any:
            if type(value) is kind:
                return value
            raise InvalidValue(f"{value!r} is not of type {kind.__name__}", rule="mapping")

        return convert

    conversions: dict[type, Callable[[Any], Any]] = {
        Decimal: to_decimal,
        str: to_text,
        datetime: to_datetime,
        date: to_date,
    }
    return conversions.get(shape.leaf) or to_exact(shape.leaf)

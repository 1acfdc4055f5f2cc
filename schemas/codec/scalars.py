"""Avro's primitive and logical types to bytes and back; the functions that compiled codecs call."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from reprlib import Repr
from typing import Any, NoReturn

from schemas.errors import InvalidValue, UndecodableMessage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_FIRST_MICROS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_MICROS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LONG_BITS = 64
LEAST, MOST = -(2**63), 2**63 - 1
"""The range of Avro's long."""

MAX_PRECISION = 38
"""Digits of the widest decimal: what 128 bits hold."""
_EXACT = Context(prec=MAX_PRECISION, traps=[Inexact, InvalidOperation])

_SHORT = Repr()
_SHORT.maxother = 60


def malformed(what: str) -> NoReturn:
    """Refuse a message; decoders call this."""
    raise UndecodableMessage(f"not Avro of the schema that its header names: {what}", rule="avro")


def refuse(value: Any, where: str, expected: str) -> NoReturn:
    """Refuse to write `value` as the field `where` (`Model.field`); encoders call this."""
    rule = "decimal" if isinstance(value, Decimal) else "avro"
    raise InvalidValue(
        f"{where}: {_SHORT.repr(value)} ({type(value).__name__}) cannot be written, it is not {expected}",
        rule=rule,
        field=where.rpartition(".")[2],
    )


def varint(number: int) -> bytes:
    """Avro's zig-zag variable-length form of a number from `LEAST` to `MOST`."""
    rest = (number << 1) ^ (number >> (_LONG_BITS - 1))
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


SHORT_VARINTS = tuple(varint(number) for number in range(4096))
"""Lengths and small numbers, ready made."""


def varint_rest(data: bytes, index: int, first: int) -> tuple[int, int]:
    """The unsigned value whose first byte `first` (more than 127) was read before `index`, and the place after it."""
    value, shift = first & 127, 7
    while True:
        byte = data[index]
        index += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >> _LONG_BITS:
                raise UndecodableMessage("a number of more than 64 bits", rule="avro")
            return value, index
        shift += 7
        if shift >= 70:
            raise UndecodableMessage("a number of more than ten bytes", rule="avro")


def read_long(data: bytes, index: int) -> tuple[int, int]:
    """The long at `index`, and the place after it."""
    value = data[index]
    index += 1
    if value > 127:
        value, index = varint_rest(data, index, value)
    return (value >> 1) ^ -(value & 1), index


@lru_cache(maxsize=32_768)
def decimal_from_bytes(data: bytes, scale: int, precision: int) -> Decimal:
    """The decimal that Avro stores as a big-endian two's-complement integer of `scale` decimals."""
    if not data:
        malformed("a decimal without bytes")
    unscaled = int.from_bytes(data, "big", signed=True)
    if abs(unscaled) >= 10**precision:
        malformed(f"a decimal of more than {precision} digits")
    return Decimal(unscaled).scaleb(-scale, _EXACT)


@lru_cache
def _smallest(scale: int) -> Decimal:
    return Decimal(1).scaleb(-scale)


@lru_cache(maxsize=32_768)
def decimal_to_bytes(value: Decimal, scale: int, precision: int) -> bytes:
    """The Avro form of `value`, its length before it; empty if it is not finite or does not fit."""
    if not value.is_finite():
        return b""
    try:
        unscaled = int(value.quantize(_smallest(scale), context=_EXACT).scaleb(scale, _EXACT))
    except (Inexact, InvalidOperation):
        return b""
    if abs(unscaled) >= 10**precision:
        return b""
    data = unscaled.to_bytes((unscaled.bit_length() + 8) // 8, "big", signed=True)
    return SHORT_VARINTS[len(data)] + data


def datetime_from_micros(micros: int) -> datetime:
    """Aware UTC time from microseconds since 1970.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    return _EPOCH + timedelta(microseconds=micros)


def datetime_to_micros(value: datetime) -> int:
    """Microseconds since 1970 of an aware time.

    Raises:
        OverflowError: in UTC it lies outside the years 1 to 9999, so that no reader could show it.
    """
    micros = (value - _EPOCH) // _MICROSECOND
    if not _FIRST_MICROS <= micros <= _LAST_MICROS:
        raise OverflowError(f"{value} lies outside the years 1 to 9999 in UTC")
    return micros


@lru_cache(maxsize=4096)
def date_from_days(days: int) -> date:
    """The date that many days after 1970-01-01."""
    return date.fromordinal(days + _EPOCH_ORDINAL)


def date_to_days(value: date) -> int:
    """Days since 1970-01-01."""
    return value.toordinal() - _EPOCH_ORDINAL

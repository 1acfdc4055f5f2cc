"""Avro's primitive and logical types to bytes and back; the functions that compiled codecs call."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

from schemas.errors import InvalidValue, UndecodableMessage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_LONG_BITS = 64


def varint(number: int) -> bytes:
    """Avro's zig-zag variable-length form of a long."""
    rest = (number << 1) ^ (number >> (_LONG_BITS - 1))
    if not 0 <= rest < 1 << _LONG_BITS:
        raise InvalidValue(f"{number} does not fit 64 bits", rule="long")
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
def decimal_from_bytes(data: bytes, scale: int) -> Decimal:
    """The decimal that Avro stores as a big-endian two's-complement integer of `scale` decimals."""
    return Decimal(int.from_bytes(data, "big", signed=True)).scaleb(-scale, _WIDE)


@lru_cache(maxsize=32_768)
def decimal_to_bytes(value: Decimal, scale: int, precision: int) -> bytes:
    """The Avro form of `value`, its length before it.

    Raises:
        InvalidValue: not a number, more decimals than `scale`, or more digits than `precision`.
    """
    if not value.is_finite():
        raise InvalidValue(f"{value} is not an amount; mend it in the source", rule="decimal")
    scaled = value.scaleb(scale, _WIDE)
    unscaled = int(scaled)
    if unscaled != scaled or abs(unscaled) >= 10**precision:
        raise InvalidValue(
            f"{value} does not fit a decimal of {precision} digits with {scale} decimals; round it where it arises",
            rule="decimal",
        )
    data = unscaled.to_bytes((unscaled.bit_length() + 8) // 8, "big", signed=True)
    return SHORT_VARINTS[len(data)] + data


def datetime_from_micros(micros: int) -> datetime:
    """Aware UTC time from microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def datetime_to_micros(value: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (value - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=4096)
def date_from_days(days: int) -> date:
    """The date that many days after 1970-01-01."""
    return date.fromordinal(days + _EPOCH_ORDINAL)


def date_to_days(value: date) -> int:
    """Days since 1970-01-01."""
    return value.toordinal() - _EPOCH_ORDINAL

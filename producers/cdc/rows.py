"""Rows as the assembly keeps them: the mapped columns of a row in one byte string.

A value is its length in one byte and then its bytes; a long one has the mark 253 and its length in four bytes, and a
NULL is the mark 251. So a row is one object in memory and on disk, and is read without making one for each value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NewType

from producers.cdc.changes import UNCHANGED, KeyForm, RawValue
from producers.cdc.native import extension

KeptRow = NewType("KeptRow", bytes)
"""The values of `TablePlan.relation.columns`, in this form."""

_NULL: Final = 251
_UNCHANGED: Final = 252
_LONG: Final = 253
_SHORT: Final = 250


def kept_slowly(values: Sequence[RawValue]) -> KeptRow:
    """The row of these values; the reference of `kept`."""
    out = bytearray()
    for value in values:
        if value is None:
            out.append(_NULL)
        elif value is UNCHANGED:
            out.append(_UNCHANGED)
        else:
            assert isinstance(value, bytes)
            if len(value) <= _SHORT:
                out.append(len(value))
            else:
                out.append(_LONG)
                out += len(value).to_bytes(4, "little")
            out += value
    return KeptRow(bytes(out))


_native = extension()
kept: Callable[[Sequence[RawValue]], KeptRow] = kept_slowly if _native is None else _native.kept
"""The row of these values."""


def values_of(row: KeptRow) -> tuple[RawValue, ...]:
    """The values of a kept row."""
    found: list[RawValue] = []
    at, end = 0, len(row)
    while at < end:
        length = row[at]
        at += 1
        if length == _NULL:
            found.append(None)
            continue
        if length == _UNCHANGED:
            found.append(UNCHANGED)
            continue
        if length == _LONG:
            length = int.from_bytes(row[at : at + 4], "little")
            at += 4
        found.append(row[at : at + length])
        at += length
    return tuple(found)


def key_value(value: bytes, form: KeyForm) -> bytes:
    """The part of a key's value that stands for all values equal to it."""
    if form is KeyForm.PADDED:
        return value.rstrip(b" ")
    if form is KeyForm.NUMBER and not set(value[1:]) - _NUMERAL and value[:1] in _FIRST:
        if b"." in value:
            value = value.rstrip(b"0").removesuffix(b".") or value[:1]
        return b"0" if value == b"-0" else value
    return value


_NUMERAL: Final = frozenset(b"0123456789.")
_FIRST: Final = frozenset(b"%c" % digit for digit in b"-0123456789.") | {b""}

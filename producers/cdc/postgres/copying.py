"""Rows as PostgreSQL's COPY writes them in its text format."""

from __future__ import annotations

from typing import Final

from producers.cdc.changes import Row
from schemas.errors import InvalidMessage

_ESCAPES: Final = {
    b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\",
}  # fmt: skip


def copied_row(line: bytes, width: int) -> Row:
    """One line of COPY's text format (with its newline). Raises InvalidMessage if it does not fit."""
    values = line[:-1].split(b"\t")
    if len(values) != width and not (width == 0 and values == [b""]):
        raise InvalidMessage(f"a snapshot row has {len(values)} values for {width} columns")
    if b"\\" not in line:
        return tuple(values)
    return tuple([None if value == b"\\N" else _unescaped(value) if b"\\" in value else value for value in values])


def _unescaped(value: bytes) -> bytes:
    head, *parts = value.split(b"\\")
    unescaped = [head]
    parts_left = iter(parts)
    for part in parts_left:
        if part:
            unescaped += (_ESCAPES[part[:1]], part[1:])
        else:
            # An empty part is the second half of an escaped backslash: what follows it is plain.
            unescaped += (b"\\", next(parts_left))
    return b"".join(unescaped)

"""Bytes that are hashed: the same for the same content, and for no other. Used by every hash chain. Pure.

What may be of any length stands after its length, so that no two contents give the same bytes. Numbers are big-endian,
8 bytes, signed; what is null has the length -1 and no bytes.
"""

from __future__ import annotations

from struct import Struct

_NUMBER = Struct(">q")

number = _NUMBER.pack
"""The bytes of one number."""

_NULL = (number(-1), b"")


def sized(part: bytes | None) -> tuple[bytes, bytes]:
    """The length of a part, and the part."""
    return _NULL if part is None else (number(len(part)), part)


def sized_text(part: str | None) -> tuple[bytes, bytes]:
    """The length of a text in UTF-8, and its bytes."""
    return _NULL if part is None else sized(part.encode())

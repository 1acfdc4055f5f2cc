"""Reads the generation out of the group metadata that librdkafka gives and takes as opaque bytes."""

from __future__ import annotations

import struct

from streams.transport.batch import UNKNOWN_GENERATION

_MAGIC = b"CGMDv2:"
_GENERATION = struct.Struct("<i")


def encoded(group: str, generation: int, member: str) -> bytes:
    """The bytes of a dynamic member, as librdkafka 2.x writes them (no group instance id)."""
    return b"%b%b%b\0%b\0\x01" % (_MAGIC, _GENERATION.pack(generation), group.encode(), member.encode())


def generation_number(metadata: bytes, group: str, member: str) -> int:
    """The group's generation, or `UNKNOWN_GENERATION` if the form is not the one known.

    Fencing does not depend on it: the bytes go back to the library as they came. Only the shortcut that keeps
    state over a rebalance (`Assignment.kept`) needs the number, so an unknown form costs time, not truth.
    """
    if not metadata.startswith(_MAGIC) or len(metadata) < len(_MAGIC) + _GENERATION.size:
        return UNKNOWN_GENERATION
    (number,) = _GENERATION.unpack_from(metadata, len(_MAGIC))
    return number if encoded(group, number, member) == metadata else UNKNOWN_GENERATION

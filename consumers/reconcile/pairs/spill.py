"""Keeps what two systems say on the local disk, in portions by order that fit into memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from struct import Struct
from typing import BinaryIO
from zlib import crc32

PORTIONS = 128
"""Of 1,000,000 orders some 8,000 are in one portion: about 16 MB for each side."""
_LENGTHS = Struct(">II")

Piece = tuple[str, bytes]
"""An order, and something that a system says of it."""


class Spill:
    """One system's pieces; the directory belongs to whoever made it, and holds what the system held."""

    def __init__(self, directory: Path, name: str) -> None:
        self._paths = [directory / f"{name}-{number}" for number in range(PORTIONS)]

    def write(self, pieces: Iterable[Piece]) -> None:
        """Take in every piece, in whatever order they come."""
        with ExitStack() as opened:
            files: list[BinaryIO] = [opened.enter_context(path.open("wb")) for path in self._paths]
            for order_id, payload in pieces:
                key = order_id.encode()
                file = files[crc32(key) % PORTIONS]
                file.write(_LENGTHS.pack(len(key), len(payload)))
                file.write(key)
                file.write(payload)

    def portion(self, number: int) -> dict[str, list[bytes]]:
        """The pieces of the orders of one portion; the same order is in the same portion of every spill."""
        found: dict[str, list[bytes]] = defaultdict(list)
        for order_id, payload in _pieces(self._paths[number].read_bytes()):
            found[order_id].append(payload)
        return found


def _pieces(content: bytes) -> Iterator[Piece]:
    start = 0
    while start < len(content):
        key_length, length = _LENGTHS.unpack_from(content, start)
        start += _LENGTHS.size
        yield content[start : start + key_length].decode(), content[start + key_length : start + key_length + length]
        start += key_length + length

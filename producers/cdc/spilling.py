"""Keeps what a large source transaction changes on disk beside the rows, until it becomes durable with its position.

Each transaction that spills has a generation. Its values lie under keys of their own, where only this process looks for
them. When the position behind the transaction is written, the same batch notes the generation; its values are then
moved in the place of the former ones, a few at a time. A crash before that note leaves values that the next start
removes, a crash after it a move that the next start completes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from rocksdict import Rdict, WriteBatch

_SPILLED: Final = b"s"
MOVING: Final = b"g"
"""Key under which the generation stands that is being moved."""
_GENERATION_BYTES: Final = 4
_VALUES_PER_BATCH: Final = 1_000
_REMOVED: Final = b""
"""No value of a row is empty."""


class Spill:
    """The spilled values of one database. Used by the assembly's state, in its thread."""

    def __init__(self, db: Rdict) -> None:
        """Complete or remove what a crash left."""
        self._db = db
        self._active: list[int] = []
        self._last = 0
        moving = db.get(MOVING)
        if moving is not None:
            self.move(int.from_bytes(moving, "big"))
        for keys in self._batches(_SPILLED):
            batch = WriteBatch(raw_mode=True)
            for key in keys:
                batch.delete(key)
            db.write(batch)

    def begin(self) -> int:
        """A new generation."""
        self._last += 1
        self._active.insert(0, self._last)
        return self._last

    def put(self, generation: int, values: Mapping[bytes, bytes | None]) -> None:
        """Spill values by their keys; None removes what stands there. They may be spilled again."""
        batch = WriteBatch(raw_mode=True)
        prefix = _prefix(generation)
        for key, value in values.items():
            batch.put(prefix + key, _REMOVED if value is None else value)
        self._db.write(batch)

    def get(self, key: bytes) -> tuple[bytes | None] | None:
        """The newest spilled value in a tuple, None if there is none."""
        for generation in self._active:
            value = self._db.get(_prefix(generation) + key)
            if value is not None:
                return (None,) if value == _REMOVED else (value,)
        return None

    def ids(self, prefix: bytes) -> set[bytes]:
        """Spilled keys that begin so, without their first byte."""
        return {
            key[_GENERATION_BYTES + 2 :]
            for generation in self._active
            for key in _keys(self._db, _prefix(generation) + prefix)
        }

    def move(self, generation: int) -> None:
        """Put the values of a generation in their places, after the note of it is durable."""
        prefix = _prefix(generation)
        for keys in self._batches(prefix):
            batch = WriteBatch(raw_mode=True)
            for key in keys:
                value = self._db.get(key)
                if value == _REMOVED:
                    batch.delete(key[len(prefix) :])
                else:
                    batch.put(key[len(prefix) :], value)
                batch.delete(key)
            self._db.write(batch)
        done = WriteBatch(raw_mode=True)
        done.delete(MOVING)
        self._db.write(done)
        if generation in self._active:
            self._active.remove(generation)

    def _batches(self, prefix: bytes) -> Iterator[list[bytes]]:
        """By one iterator, which sees the keys as they were: another one would pass by all that was deleted before."""
        keys = _keys(self._db, prefix)
        while found := list(islice(keys, _VALUES_PER_BATCH)):
            yield found


def moving(generation: int) -> bytes:
    """The value of the note `MOVING`."""
    return generation.to_bytes(_GENERATION_BYTES, "big")


def _prefix(generation: int) -> bytes:
    return _SPILLED + generation.to_bytes(_GENERATION_BYTES, "big")


def _keys(db: Rdict, prefix: bytes) -> Iterator[bytes]:
    iterator = db.iter()
    iterator.seek(prefix)
    while iterator.valid() and iterator.key().startswith(prefix):
        yield iterator.key()
        iterator.next()

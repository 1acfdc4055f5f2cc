"""What local state is kept in: bytes by group and key, in memory or on the local disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

Group = bytes
"""Entries that are scanned and cleared together; no group's name begins with another's."""


Change = tuple[Group, bytes, bytes | None]
"""One entry to write: its group, key and value; a value of None removes it."""


class KeyValues(Protocol):
    """Local state of one worker. It may lag behind Kafka, never run ahead of it, and may be lost at any time.

    Writes are seen in their order: after a crash, what is left is the state after some earlier `write`.
    Any method may be called from any thread. A disk that fails raises `DamagedStore`, a `Fatal`.
    """

    outlives_process: bool

    def get(self, group: Group, key: bytes) -> bytes | None:
        """The value of one entry."""
        ...

    def get_many(self, group: Group, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of these entries, at less cost than one by one."""
        ...

    def write(self, changes: Iterable[Change]) -> None:
        """Make all changes, in this order, or none."""
        ...

    def scan(self, group: Group) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of a group, by key."""
        ...

    def last(self, group: Group, key: bytes) -> bytes | None:
        """The value of the greatest key of the group that is not greater than `key`."""
        ...

    def clear(self, prefix: bytes) -> None:
        """Remove the group of that name, and all whose names begin so."""
        ...

    def begin_bulk(self) -> None:
        """Much is about to be written: put off what only makes reading quick."""
        ...

    def end_bulk(self) -> None:
        """The end of what `begin_bulk` began."""
        ...

    def flush(self) -> None:
        """Write down what a crash would lose; nothing depends on it but the time of the next start."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class MemoryKeyValues:
    """State that ends with the process; each start reads it again from Kafka."""

    outlives_process = False

    def __init__(self) -> None:
        self._groups: dict[Group, dict[bytes, bytes]] = {}

    def get(self, group: Group, key: bytes) -> bytes | None:
        """See `KeyValues`."""
        entries = self._groups.get(group)
        return None if entries is None else entries.get(key)

    def get_many(self, group: Group, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `KeyValues`."""
        return list(map(self._groups.get(group, {}).get, keys))

    def write(self, changes: Iterable[Change]) -> None:
        """See `KeyValues`."""
        for group, key, value in changes:
            if value is None:
                self._groups.get(group, {}).pop(key, None)
            else:
                self._groups.setdefault(group, {})[key] = value

    def scan(self, group: Group) -> Iterator[tuple[bytes, bytes]]:
        """See `KeyValues`."""
        yield from sorted(self._groups.get(group, {}).items())

    def last(self, group: Group, key: bytes) -> bytes | None:
        """See `KeyValues`."""
        entries = self._groups.get(group, {})
        found = max((known for known in list(entries) if known <= key), default=None)
        return None if found is None else entries.get(found)

    def clear(self, prefix: bytes) -> None:
        """See `KeyValues`."""
        for group in [group for group in list(self._groups) if group.startswith(prefix)]:
            self._groups.pop(group, None)

    def begin_bulk(self) -> None:
        """Nothing to put off."""

    def end_bulk(self) -> None:
        """Nothing was put off."""

    def flush(self) -> None:
        """Nothing outlives the process."""

    def close(self) -> None:
        """Forget all."""
        self._groups.clear()

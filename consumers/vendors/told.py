"""What each vendor was told last of each order: a local copy of the ends of `vendors.updates`, rebuilt from it."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from consumers.topic_history import TopicHistory
from schemas.attributes import OrderId, VendorId
from schemas.codec import TopicCodec
from schemas.errors import Fatal, Transient
from schemas.models import VendorUpdate

_TABLES = """
CREATE TABLE IF NOT EXISTS told (
    partition INTEGER NOT NULL, order_id TEXT NOT NULL, vendor_id TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (partition, order_id, vendor_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reached (partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS copied (partition INTEGER PRIMARY KEY, vendors TEXT NOT NULL, next_offset INTEGER NOT NULL)
"""
_KEEP = "INSERT INTO told VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
_REACH = (
    "INSERT INTO reached VALUES (?, ?) ON CONFLICT DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)"
)
_COPIED = (
    "INSERT INTO copied VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET (vendors, next_offset) = (excluded.vendors, ?3)"
)
_MOST_WORKERS = 64
_PORTION = 5_000

Told = tuple[int, VendorUpdate, bytes]
"""Partition, update, and the update as it stands on the topic."""


class ToldUpdates:
    """The last update of each vendor and order, for one worker.

    Lies in a file of the worker's directory that no other process uses at the same time. It may be lost, old or copied:
    `catch_up` brings it to the end of the topic before anything is compared with it.
    """

    def __init__(self, directory: Path, history: TopicHistory, codec: TopicCodec[VendorUpdate]) -> None:
        self._directory = directory
        self._history = history
        self._codec = codec
        self._lock: IO[bytes] | None = None
        self._file: sqlite3.Connection | None = None

    def catch_up(self, numbers: Iterable[int]) -> None:
        """Read what was written to these partitions since; called when they are assigned.

        Raises:
            Transient: the brokers are away, or another worker's transaction is still open.
            Fatal: the file cannot be used.
        """
        file = self._opened()
        for number in numbers:
            low, end = self._history.settled_range(number)
            start = self._reached(number)
            if not low <= start <= end:
                # The topic was made anew, or this file is of another one.
                with file:
                    for table in ("told", "reached", "copied"):
                        file.execute(f"DELETE FROM {table} WHERE partition = ?", (number,))
                start = low
            self._read(number, start, end)

    def of(self, number: int, order_id: OrderId) -> dict[VendorId, VendorUpdate]:
        """The last update of each vendor that ever heard of the order."""
        rows = self._opened().execute(
            "SELECT vendor_id, value FROM told WHERE partition = ? AND order_id = ?", (number, order_id)
        )
        return {VendorId(vendor): self._codec.decode(value) for vendor, value in rows}

    def keep(self, told: Iterable[Told], ends: Mapping[int, int]) -> None:
        """Note what was committed to the topic just now, and the offsets after it."""
        file = self._opened()
        with file:
            file.executemany(_KEEP, [(number, one.order_id, one.vendor_id, value) for number, one, value in told])
            file.executemany(_REACH, list(ends.items()))

    def vendors(self, number: int) -> set[VendorId]:
        """Everybody who ever heard of an order of the partition."""
        rows = self._opened().execute("SELECT DISTINCT vendor_id FROM told WHERE partition = ?", (number,))
        return {VendorId(vendor) for (vendor,) in rows}

    def copied(self, number: int) -> tuple[set[VendorId], int]:
        """Whose own topics have all of the partition, and up to which offset; nobody and 0 where that is not known."""
        query = "SELECT vendors, next_offset FROM copied WHERE partition = ?"
        row = self._opened().execute(query, (number,)).fetchone()
        return (set(), 0) if row is None else (set(json.loads(row[0])), int(row[1]))

    def keep_copied(self, vendors: Iterable[VendorId], ends: Mapping[int, int]) -> None:
        """Note that the own topics of these vendors have all up to these offsets."""
        file, named = self._opened(), json.dumps(sorted(vendors))
        with file:
            file.executemany(_COPIED, [(number, named, end) for number, end in ends.items()])

    def close(self) -> None:
        """Leave the file to others."""
        file, self._file = self._file, None
        lock, self._lock = self._lock, None
        if file is not None:
            file.close()
        if lock is not None:
            lock.close()

    def _read(self, number: int, start: int, end: int) -> None:
        portion: list[Told] = []
        for message in self._history.records(number, start, end):
            value = message.value()
            if value:
                portion.append((number, self._codec.decode(value), value))
            if len(portion) == _PORTION:
                self.keep(portion, {number: (message.offset() or 0) + 1})
                portion = []
        self.keep(portion, {number: end})

    def _reached(self, number: int) -> int:
        row = self._opened().execute("SELECT next_offset FROM reached WHERE partition = ?", (number,)).fetchone()
        return 0 if row is None else int(row[0])

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            path, self._lock = self._free_place()
            try:
                # Called by one thread at a time, not always the same.
                self._file = sqlite3.connect(path, check_same_thread=False)
                self._file.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_TABLES};")
            except sqlite3.Error as exc:
                raise Fatal(f"{path} cannot be used ({exc}); remove it, it is written anew from Kafka") from exc
        return self._file

    def _free_place(self) -> tuple[Path, IO[bytes]]:
        """The first file that no other process holds: a frozen worker keeps its own, its successor takes another."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for number in range(_MOST_WORKERS):
                path = self._directory / f"told-{self._codec.topic}-{number}.sqlite3"
                lock = path.with_suffix(".lock").open("ab")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    lock.close()
                else:
                    return path, lock
        except OSError as exc:
            raise Fatal(f"{self._directory} cannot be used ({exc}); name another with ORDERSYNC_DATA_DIR") from exc
        raise Transient(f"{_MOST_WORKERS} workers hold their files in {self._directory}; give each its own directory")

"""Makes what RocksDB has written durable in a thread of its own, so that the stream does not wait for the disk.

RocksDB's own synchronous write holds up the whole process, for some milliseconds ten times a second. Its log is a file
like any other: once the bytes are written to it, whoever has the file synchronized makes them durable.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from producers.cdc.changes import Position
from schemas.errors import Fatal


class LogSync:
    """Used by the streaming, in its thread; closed with it. One synchronization at a time, the latest wish next."""

    def __init__(self, directory: Path) -> None:
        """`directory` holds the logs (`*.log`) of one RocksDB."""
        self._directory = directory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log-sync")
        self._running: tuple[Position, Future[None]] | None = None
        self._wanted: Position | None = None

    @property
    def pending(self) -> bool:
        """Whether something that was asked for is not known to be durable yet."""
        return self._running is not None or self._wanted is not None

    def request(self, position: Position) -> None:
        """Everything written until now belongs to `position`: make it durable as soon as that can be done."""
        self._wanted = position
        self._next()

    def reached(self) -> Position | None:
        """A position that has become durable since the last call. Raises Fatal if the disk refuses."""
        if self._running is None or not self._running[1].done():
            return None
        position, done = self._running
        self._running = None
        self._next()
        _require(done, self._directory)
        return position

    def wait(self) -> Position | None:
        """Return when everything that was asked for is durable; gives its position. Raises Fatal as `reached` does."""
        position = None
        while self._running is not None:
            self._running[1].exception()
            position = self.reached()
        return position

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True)

    def _next(self) -> None:
        if self._running is None and self._wanted is not None:
            self._running = self._wanted, self._thread.submit(synchronize, self._directory)
            self._wanted = None


def synchronize(directory: Path) -> None:
    """Have the operating system put every log of a RocksDB on disk, and their names. Raises OSError."""
    for path in sorted(directory.glob("*.log")):
        try:
            _synchronize(path)
        except FileNotFoundError:
            # RocksDB removes a log once its rows are durable in another file.
            continue
    _synchronize(directory)


def _synchronize(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _require(done: Future[None], directory: Path) -> None:
    error = done.exception()
    if error is not None:
        raise Fatal(
            f"the assembled rows in {directory} cannot be made durable: {error}. Nothing after the last confirmed "
            "position is lost: mend the disk and start the worker again"
        ) from error

"""The index's file: opened or made anew, written by one thread, read by many."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import deploy.console.index
from schemas.errors import Fatal, Transient

_FORMAT: Final = "1"
_STALE_SECONDS: Final = 6 * 24 * 60 * 60
"""Tombstones live for seven days: an index that was away for longer may have missed one."""
_CACHE_KIB: Final = 32 * 1024
_BUSY_SECONDS: Final = 5.0

Place = tuple[str, int]


class IndexStore:
    """One SQLite file in write-ahead mode: readers never wait for the writer.

    It may be lost at any moment and is then read again from the topics, which is why it is not synced to the disk with
    each write.
    """

    def __init__(self, directory: Path, cluster_id: str, *, anew: bool = False) -> None:
        """Open what belongs to this cluster and format and is young enough; anything else is made anew.

        Raises:
            Fatal: the directory cannot be written.
        """
        self._path = directory / "index.sqlite"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if anew:
                self._remove()
            kept = self._kept(cluster_id)
            if kept is None:
                self._remove()
            self._writer = kept or self._opened()
            self._writer.executescript((files(deploy.console.index) / "tables.sql").read_text())
            self._note(cluster_id)
        except (OSError, sqlite3.Error) as exc:
            raise Fatal(f"the console's index in {directory} cannot be used ({exc}); remove it") from exc
        self._readers = threading.local()
        self._open_readers: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the files back; no reader may be at work."""
        with self._lock:
            for reader in self._open_readers:
                reader.close()
        self._writer.close()

    def positions(self) -> dict[Place, int]:
        """By topic and partition the offset to go on from."""
        rows = self._writer.execute('SELECT topic, partition, "offset" FROM position')
        return {(topic, partition): offset for topic, partition, offset in rows}

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction of the one writing thread."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            yield self._writer
            self._writer.execute("UPDATE origin SET value = ? WHERE name = 'written_at'", (str(time.time()),))
            self._writer.execute("COMMIT")
        except sqlite3.Error as exc:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise Fatal(f"the console's index cannot be written: {exc}; is the disk full?") from exc
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def rows(self, query: str, values: Sequence[Any] = (), *, seconds: float | None = None) -> list[sqlite3.Row]:
        """What a query of ours finds, in whichever thread.

        Raises:
            Transient: it took longer than `seconds`.
        """
        reader = self._reader()
        if seconds is not None:
            until = time.monotonic() + seconds
            reader.set_progress_handler(lambda: int(time.monotonic() > until), 1_000)
        try:
            return reader.execute(query, values).fetchall()
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise Transient("the question is too wide to be answered quickly; ask for more of the word") from exc
            raise
        finally:
            if seconds is not None:
                reader.set_progress_handler(None, 0)

    def row(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query of ours."""
        return next(iter(self.rows(query, values)), None)

    def number(self, query: str, values: Sequence[Any] = ()) -> int:
        """The one number that a query of ours gives."""
        found = self.row(query, values)
        return 0 if found is None else int(found[0] or 0)

    def _reader(self) -> sqlite3.Connection:
        made: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if made is None:
            made = sqlite3.connect(
                f"file:{self._path}?mode=ro", uri=True, timeout=_BUSY_SECONDS, check_same_thread=False
            )
            made.row_factory = sqlite3.Row
            made.execute(f"PRAGMA cache_size = -{_CACHE_KIB // 4}")
            self._readers.connection = made
            with self._lock:
                self._open_readers.append(made)
        return made

    def _opened(self) -> sqlite3.Connection:
        made = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._path.chmod(0o600)
        for setting in ("journal_mode = WAL", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            made.execute(f"PRAGMA {setting}")
        return made

    def _kept(self, cluster_id: str) -> sqlite3.Connection | None:
        """What is there, where it may be gone on with; a damaged file is as good as none."""
        try:
            kept = self._opened()
        except sqlite3.DatabaseError:
            return None
        try:
            found = dict(kept.execute("SELECT name, value FROM origin"))
        except sqlite3.DatabaseError:
            found = {}
        is_ours = found.get("format") == _FORMAT and found.get("cluster") == cluster_id
        if is_ours and time.time() - float(found.get("written_at", 0)) < _STALE_SECONDS:
            return kept
        kept.close()
        return None

    def _note(self, cluster_id: str) -> None:
        told = {"format": _FORMAT, "cluster": cluster_id, "written_at": str(time.time())}
        self._writer.executemany("INSERT OR REPLACE INTO origin VALUES (?, ?)", told.items())

    def _remove(self) -> None:
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> Iterable[Path]:
        return (self._path.with_name(self._path.name + ending) for ending in ("", "-wal", "-shm"))

"""The vectors of names, kept in a file, because making one takes some milliseconds and a catalogue has many."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from producers.documents.likeness.encoder import Vectors

_log = logging.getLogger(__name__)
_TABLE = """
CREATE TABLE IF NOT EXISTS vectors (
    kind TEXT NOT NULL, key BLOB NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID
"""
_KEPT = np.dtype("<f2")
"""Half the digits are enough to tell what is near, and half the file."""
_WAIT_SECONDS = 10.0


class KeptVectors:
    """One file for all kinds of names. A name stands in it as a digest with its model's name, not as itself.

    Whoever loses the file loses time only: it is filled again. One that cannot be read is thrown away.
    """

    def __init__(self, path: Path, model: str, dimensions: int) -> None:
        self._path = path
        self._model = model
        self._dimensions = dimensions

    def of(
        self, kind: str, names: Iterable[str], make: Callable[[Sequence[str]], Vectors], most_new: int
    ) -> tuple[list[str], Vectors]:
        """Those names whose vectors are kept, and at most `most_new` more, with a row for each.

        Vectors of names that are no longer among `names` are forgotten. Blocks: call it in a thread.
        """
        by_key = {self._key(name): name for name in names}
        kept = self._read(kind)
        new = [key for key in by_key if key not in kept][:most_new]
        if new:
            made = make([by_key[key] for key in new]).astype(_KEPT)
            kept |= {key: row.tobytes() for key, row in zip(new, made, strict=True)}
        gone = [key for key in kept if key not in by_key]
        if new or gone:
            self._write(kind, {key: kept[key] for key in new}, gone)
        known = [key for key in by_key if key in kept]
        rows = np.frombuffer(b"".join(kept[key] for key in known), _KEPT).reshape(-1, self._dimensions)
        return [by_key[key] for key in known], rows.astype(np.float32)

    def _key(self, name: str) -> bytes:
        text = f"{self._model}\0{name}".encode("utf-8", "replace")
        return hashlib.blake2b(text, digest_size=16).digest()

    def _read(self, kind: str) -> dict[bytes, bytes]:
        try:
            with closing(self._open()) as connection:
                wanted = "SELECT key, vector FROM vectors WHERE kind = ? AND length(vector) = ?"
                return dict(connection.execute(wanted, (kind, self._dimensions * _KEPT.itemsize)))
        except sqlite3.OperationalError as exc:
            _log.warning("%s cannot be read now, likenesses are found without it: %s", self._path, exc)
        except sqlite3.DatabaseError as exc:
            _log.warning("%s is broken and begun anew: %s", self._path, exc)
            self._path.unlink(missing_ok=True)
        return {}

    def _write(self, kind: str, made: Mapping[bytes, bytes], gone: Sequence[bytes]) -> None:
        try:
            with closing(self._open()) as connection, connection:
                connection.executemany("DELETE FROM vectors WHERE kind = ? AND key = ?", [(kind, key) for key in gone])
                rows = [(kind, key, vector) for key, vector in made.items()]
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
        except sqlite3.DatabaseError as exc:
            _log.warning("%s cannot be written, likenesses are found anew next time: %s", self._path, exc)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        try:
            connection.execute(_TABLE)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

"""A folder that is watched: what is put into it is taken once it is whole, and moved aside when it is decided."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from producers.documents.limits import Limits
from schemas.errors import ConfigurationError, Transient

_DONE = "done"
_UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart", ".lock")


class WatchedFolder:
    """Files directly in the folder; those whose names begin with a dot or end like unfinished ones are left alone."""

    def __init__(self, path: Path, settle_seconds: float, limits: Limits) -> None:
        """Raises ConfigurationError where the folder cannot be used."""
        self._path = path
        self._settle_seconds = settle_seconds
        self._limits = limits
        self._seen: dict[Path, tuple[int, int]] = {}
        try:
            (path / _DONE).mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigurationError(f"folder {path} cannot be used: {exc.strerror}") from exc

    def waiting(self) -> Iterator[Path]:
        """Files that are whole: unchanged since the last look, and for as long as is asked."""
        seen: dict[Path, tuple[int, int]] = {}
        try:
            for path in sorted(self._path.iterdir()):
                if (
                    path.name.startswith(".")
                    or path.name.endswith(_UNFINISHED)
                    or path.is_symlink()
                    or not path.is_file()
                ):
                    continue
                status = path.stat()
                mark = seen[path] = (status.st_size, status.st_mtime_ns)
                is_old = time.time() - status.st_mtime >= self._settle_seconds
                if is_old and self._seen.get(path) == mark:
                    yield path
        except FileNotFoundError:
            # Somebody took a file away while it was looked at: the next look sees the rest.
            return
        except OSError as exc:
            raise Transient(f"folder {self._path} cannot be read: {exc.strerror}") from exc
        finally:
            self._seen = seen

    def content(self, path: Path) -> bytes:
        """Of a file, no more than one byte beyond what is allowed. Raises Transient where it cannot be read."""
        longest = max(self._limits.document_bytes, self._limits.mailbox_bytes if path.suffix == ".mbox" else 0)
        try:
            with path.open("rb") as file:
                return file.read(longest + 1)
        except OSError as exc:
            raise Transient(f"{path} cannot be read: {exc.strerror}") from exc

    def put_aside(self, path: Path) -> None:
        """The file is decided; its original is kept by its hash. Raises Transient."""
        try:
            target = self._path / _DONE / path.name
            number = 1
            while target.exists():
                target = self._path / _DONE / f"{path.stem}-{number}{path.suffix}"
                number += 1
            path.rename(target)
        except OSError as exc:
            raise Transient(f"{path} cannot be moved to {_DONE}: {exc.strerror}") from exc

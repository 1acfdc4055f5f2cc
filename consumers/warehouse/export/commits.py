"""The export's own log: one file for each export that is complete, and the range of the one that is under way."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from schemas.errors import ConfigurationError

_LOG = "_ordersync"
"""Engines pass over names that begin with an underscore."""


@dataclass(frozen=True, slots=True)
class Range:
    """Positions of one ledger, the first included, the last not."""

    ledger: str
    since: int
    position: int


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file, relative to the export's directory."""

    path: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One complete export."""

    range: Range
    files: tuple[ExportedFile, ...]


class CommitLog:
    """Lives in `_ordersync` of the export's directory."""

    def __init__(self, directory: Path) -> None:
        self.staging = directory / _LOG / "staging"
        self._commits = directory / _LOG / "commits"
        self._pending = directory / _LOG / "pending.json"
        self._lock = directory / _LOG / "lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory for the length of a block.

        Raises:
            ConfigurationError: another export runs here.
        """
        self._commits.mkdir(parents=True, exist_ok=True)
        self.staging.mkdir(exist_ok=True)
        with self._lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise ConfigurationError(f"another export to {self._lock.parents[1]} runs: wait for its end") from exc
            yield

    def last(self) -> Range | None:
        """The range of the last complete export."""
        names = sorted(path for path in self._commits.glob("*.json"))
        return _range(_read(names[-1])["range"]) if names else None

    def pending(self) -> Range | None:
        """The range of the export that was begun and did not end."""
        return _range(_read(self._pending)) if self._pending.exists() else None

    def begin(self, wanted: Range) -> None:
        """Note the range, so that a repetition exports the same."""
        self._write(self._pending, asdict(wanted))

    def commit(self, made: Commit) -> None:
        """The files are in place: the export is complete."""
        self._write(self._commits / f"{made.range.position:020d}.json", asdict(made))
        self._pending.unlink(missing_ok=True)

    def commits(self) -> Iterator[dict[str, Any]]:
        """Every complete export, in order."""
        for path in sorted(self._commits.glob("*.json")):
            yield _read(path)

    def _write(self, path: Path, value: dict[str, Any]) -> None:
        staged = self.staging / path.name
        with staged.open("wb") as file:
            file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        put_in_place(staged, path)


def put_in_place(staged: Path, path: Path) -> None:
    """Give a file that is on disk its name, durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def _range(value: dict[str, Any]) -> Range:
    return Range(**value)

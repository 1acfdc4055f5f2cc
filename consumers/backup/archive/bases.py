"""Base backups of database servers: made by `pg_basebackup`, proved by their manifests, handed on in pieces."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from consumers.backup.archive.manifests import log_of, verify_base
from consumers.backup.policy import Dataset
from consumers.backup.vault.holdings import MANIFEST
from consumers.backup.vault.targets import LogSpan
from schemas.errors import BackupRefused, ConfigurationError
from schemas.settings import DatabaseSettings

_log = logging.getLogger(__name__)
_RETRY = timedelta(minutes=1)

BASE = "base.tar"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file of a base backup."""

    database: str
    taken_at: datetime
    """When the backup was begun; with the name of the database its identity."""
    file: str
    number: int
    is_last: bool
    content: bytes
    log: LogSpan | None = None
    """With the last piece of the manifest."""


class PostgresPrograms:
    """The server's programs, in a directory or where the system finds them."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def path(self, name: str) -> str:
        """Where a program is.

        Raises:
            ConfigurationError: it is not there.
        """
        found = shutil.which(name, path=None if self._directory is None else str(self._directory))
        if found is None:
            raise ConfigurationError(
                f"{name} is not in {self._directory or 'any directory of PATH'}; install PostgreSQL's client programs "
                "of the server's version, and name their directory with ORDERSYNC_POSTGRES_PROGRAMS"
            )
        return found

    def base_backup(self, database: DatabaseSettings, directory: Path) -> list[str]:
        """Copies the server that holds `database`, with the log that makes the copy consistent."""
        conninfo = database.model_copy(update={"password": None}).conninfo(application_name="ordersync archive")
        argv = [self.path("pg_basebackup"), f"--dbname={conninfo}", f"--pgdata={directory}", "--format=tar"]
        return [*argv, "--wal-method=fetch", "--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password"]


class BaseBackups:
    """At most one at a time; `advance` never waits for a program."""

    def __init__(
        self,
        datasets: tuple[Dataset, ...],
        servers: Mapping[str, DatabaseSettings],
        programs: PostgresPrograms,
        spool: Path,
    ) -> None:
        """Raises `ConfigurationError` where it is not known how to reach a database of the policy."""
        if missing := [one.name for one in datasets if one.name not in servers]:
            raise ConfigurationError(
                f"the policy backs up {', '.join(missing)}; say where with ORDERSYNC_DATABASES__"
                f"{missing[0].upper()}__HOST, __DBNAME and so on"
            )
        self._datasets = datasets
        self._servers = servers
        self._programs = programs
        self._spool = spool
        self._prover = ThreadPoolExecutor(1, thread_name_prefix="base-backup")
        self._running: _Running | None = None
        self._ready: Iterator[Piece] | None = None
        self._not_before: datetime | None = None

    def advance(self, now: datetime, last_taken: Callable[[str], datetime | None], piece_bytes: int) -> Piece | None:
        """The next piece, if there is one now; starts a backup that is due, or the proof of one that was made.

        `last_taken` tells when the newest complete backup of a database was begun.

        Raises:
            ConfigurationError: a program is missing.
        """
        if self._ready is not None:
            piece = next(self._ready, None)
            if piece is not None:
                return piece
            self._ready = None
            shutil.rmtree(self._spool, ignore_errors=True)
        if self._running is not None:
            self._follow(self._running, now, piece_bytes)
        elif self._not_before is None or now >= self._not_before:
            self._begin_due(now, last_taken)
        return None

    def close(self) -> None:
        """End what runs; the next start begins it anew."""
        if self._running is not None:
            self._running.process.terminate()
            self._running.told()
        self._prover.shutdown()
        shutil.rmtree(self._spool, ignore_errors=True)

    def _begin_due(self, now: datetime, last_taken: Callable[[str], datetime | None]) -> None:
        for dataset in self._datasets:
            last, every = last_taken(dataset.name), timedelta(hours=dataset.every_hours or 0)
            if last is None or now - last >= every:
                shutil.rmtree(self._spool, ignore_errors=True)
                self._spool.mkdir(mode=0o700, parents=True)
                database = self._servers[dataset.name]
                argv = self._programs.base_backup(database, self._spool)
                self._running = _Running(dataset.name, now, _started(argv, database))
                return

    def _follow(self, running: _Running, now: datetime, piece_bytes: int) -> None:
        code = running.process.poll()
        if code is None or (running.proof is not None and not running.proof.done()):
            return
        if code == 0 and running.proof is None:
            self._require_plain(running.database)
            # Hashing takes as long as reading: the topics do not wait for it.
            running.proof = self._prover.submit(verify_base, self._spool / BASE, self._spool / MANIFEST)
            return
        self._running = None
        told = running.told()
        problem = None if running.proof is None else running.proof.exception()
        if problem is not None and not isinstance(problem, BackupRefused):
            raise problem
        if code != 0 or problem is not None:
            self._not_before = now + _RETRY
            _log.error(
                "%s: the base backup failed, and is tried again in a minute: %s", running.database, problem or told
            )
            return
        self._ready = _pieces(running.database, running.taken_at, self._spool, piece_bytes)

    def _require_plain(self, database: str) -> None:
        if strange := sorted({one.name for one in self._spool.iterdir()} - {BASE, MANIFEST}):
            raise ConfigurationError(
                f"{database}: the server has tablespaces of its own ({', '.join(strange)}), which are not backed up; "
                "move their tables, or leave the database out of the policy with a reason"
            )


@dataclass(slots=True)
class _Running:
    database: str
    taken_at: datetime
    process: subprocess.Popen[bytes]
    proof: Future[int] | None = None

    def told(self) -> str:
        """What the program said; its pipe is closed."""
        with self.process:
            assert self.process.stderr is not None
            return self.process.stderr.read().decode(errors="replace").strip()


def _started(argv: list[str], database: DatabaseSettings) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    if database.password is not None:
        # Not on the command line, which every user of the machine can read.
        environment["PGPASSWORD"] = database.password.get_secret_value()
    return subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _pieces(database: str, taken_at: datetime, directory: Path, piece_bytes: int) -> Iterator[Piece]:
    for name in (BASE, MANIFEST):
        with (directory / name).open("rb") as file:
            content, number = file.read(piece_bytes), 0
            while True:
                following = file.read(piece_bytes)
                log = log_of(directory / MANIFEST) if name == MANIFEST and not following else None
                yield Piece(database, taken_at, name, number, not following, content, log)
                if not following:
                    break
                content, number = following, number + 1

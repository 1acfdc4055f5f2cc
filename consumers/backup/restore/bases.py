"""Databases, back into a data directory that a server can be started on: a base backup, and the log up to a moment."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consumers.backup.archive.bases import BASE
from consumers.backup.archive.manifests import verify_base
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.holdings import MANIFEST, BaseBackup, BasePiece, WalPiece
from consumers.backup.vault.needs import base_before
from schemas.errors import BackupRefused, ConfigurationError

Told = Callable[[str, int, int], None]
"""Takes what is done, how many of it are done and how many there are."""


@dataclass(frozen=True, slots=True)
class DatabasePlan:
    """What a database is restored from."""

    base: BaseBackup
    at: datetime | None
    """The moment that the server goes on to; None where it stands at the base backup."""
    log: tuple[WalPiece, ...] = ()

    @property
    def moment(self) -> datetime:
        """What is restored."""
        return self.at or self.base.taken_at

    @property
    def bytes(self) -> int:
        """To be read from the copies."""
        return self.base.bytes + sum(piece.file.length for piece in self.log)


def plan_for(catalogue: Catalogue, database: str, at: datetime | None = None) -> DatabasePlan:
    """The base backup and the log for a moment, or for the newest one; without a log, the base backup before it.

    Raises:
        ConfigurationError: the backup does not reach there.
    """
    base = _newest(catalogue, database) if at is None else base_before(catalogue, database, at)
    if base is None:
        known = ", ".join(sorted(catalogue.bases)) or "none"
        when = "" if at is None else f" that had ended by {at.isoformat()}"
        raise ConfigurationError(f"there is no base backup of {database!r}{when}; databases in the backup: {known}")
    run, span = catalogue.log_of(base), base.log
    if run is None or span is None:
        return DatabasePlan(base, None)
    through = run.through_at
    moment = through if at is None else at
    if through is None or moment is None or moment > through:
        raise ConfigurationError(
            f"the log of {database!r} is complete through {through}, not {moment}; ask for that time or before"
        )
    return DatabasePlan(base, moment, tuple(run.needed(span, moment)))


def _newest(catalogue: Catalogue, database: str) -> BaseBackup | None:
    """The last base backup that a moment can be reached from, or the last one."""
    complete = catalogue.complete_bases(database)
    for base in reversed(complete):
        run, span = catalogue.log_of(base), base.log
        if run is not None and span is not None and run.consistent_at(span) is not None:
            return base
    return complete[-1] if complete else None


def unpack(
    reader: ArchiveReader,
    plan: DatabasePlan,
    directory: Path,
    told: Told = lambda _doing, _done, _total: None,
) -> None:
    """Write the data directory; it has its name only when it was proved.

    Called by `backup restore-database`. A server that is started on it replays the log, stops at the moment and takes
    writes then. An interrupted call leaves a directory with `.new` at the end; the next one takes over what it holds.

    Raises:
        ConfigurationError: the directory exists or cannot be written.
        BackupRefused: a piece is missing or altered, or the files are not those of the manifest.
    """
    base = plan.base
    if directory.exists():
        raise ConfigurationError(f"{directory} exists; a database is restored into a new directory only")
    fresh, fetched = directory.with_name(f"{directory.name}.new"), directory.with_name(f"{directory.name}.fetched")
    done = 0

    def count(number: int) -> None:
        nonlocal done
        done += number
        told("bytes restored", done, plan.bytes)

    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        fetched.mkdir(mode=0o700, exist_ok=True)
        for name in (BASE, MANIFEST):
            _fetch(reader, base, name, fetched, count)
        _prove(fetched)
        with tarfile.open(fetched / BASE) as tar:
            tar.extractall(fresh, filter="data")
        shutil.copyfile(fetched / MANIFEST, fresh / MANIFEST)
        if plan.at is not None:
            _write_log(reader, plan.log, fresh / "pg_wal", count)
            _aim(fresh, plan.at)
        # PostgreSQL starts only on a directory that is its owner's alone.
        fresh.chmod(0o700)
        fresh.rename(directory)
        shutil.rmtree(fetched)
    except (OSError, tarfile.TarError) as exc:
        raise ConfigurationError(f"{base.database} cannot be unpacked into {fresh}: {exc}") from exc


def _prove(fetched: Path) -> None:
    try:
        verify_base(fetched / BASE, fetched / MANIFEST)
    except BackupRefused:
        # It may have been altered here, and is fetched anew.
        shutil.rmtree(fetched)
        raise


def _fetch(reader: ArchiveReader, base: BaseBackup, name: str, directory: Path, count: Callable[[int], None]) -> None:
    """The whole file, after the pieces that an interrupted call fetched; the manifest proves them with the rest."""
    pieces, journal = base.files.get(name, []), directory / f"{name}.pieces"
    sizes = _begun(pieces, journal)
    with (directory / name).open("r+b" if sizes else "wb") as file, journal.open("r+" if sizes else "w") as noted:
        file.seek(sum(sizes))
        file.truncate()
        noted.writelines(f"{piece.file.sha256} {size}\n" for piece, size in zip(pieces, sizes, strict=False))
        noted.truncate()
        count(sum(piece.file.length for piece in pieces[: len(sizes)]))
        for piece in pieces[len(sizes) :]:
            content = reader.piece(piece)
            file.write(content)
            file.flush()
            noted.write(f"{piece.file.sha256} {len(content)}\n")
            noted.flush()
            count(piece.file.length)


def _begun(pieces: Iterable[BasePiece], journal: Path) -> list[int]:
    """The sizes of the first pieces that are there."""
    lines = journal.read_text().splitlines(keepends=True) if journal.exists() else []
    sizes: list[int] = []
    for piece, line in zip(pieces, lines, strict=False):
        digest, _, size = line.partition(" ")
        # A line that was cut off is of a piece that may be, too.
        if digest != piece.file.sha256 or not line.endswith("\n"):
            break
        sizes.append(int(size))
    return sizes


def _write_log(
    reader: ArchiveReader, pieces: Iterable[WalPiece], directory: Path, count: Callable[[int], None]
) -> None:
    """The server's own files of the log; what the last one lacks is zeros, where the log ends."""
    for piece in pieces:
        holds, content = piece.holds, memoryview(reader.piece(piece))
        if len(content) != holds.end_lsn - holds.first_lsn:
            raise BackupRefused(f"{piece.file.path} is not as long as the log that it holds", reason="truncated")
        lsn = holds.first_lsn
        while content:
            number, start = divmod(lsn, holds.segment_bytes)
            part = content[: holds.segment_bytes - start]
            path = directory / _log_file(holds.timeline, number, holds.segment_bytes)
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.truncate(holds.segment_bytes)
                file.seek(start)
                file.write(part)
            content, lsn = content[len(part) :], lsn + len(part)
        count(piece.file.length)


def _log_file(timeline: int, number: int, segment_bytes: int) -> str:
    """As PostgreSQL calls it."""
    high, low = divmod(number, (1 << 32) // segment_bytes)
    return f"{timeline:08X}{high:08X}{low:08X}"


def _aim(directory: Path, at: datetime) -> None:
    """Let the server stop at the moment and open then; its whole log lies in its own directory."""
    settings = [
        "restore_command = 'false'",
        f"recovery_target_time = '{at.astimezone(UTC).isoformat(sep=' ')}'",
        "recovery_target_inclusive = on",
        "recovery_target_timeline = 'current'",
        "recovery_target_action = 'promote'",
    ]
    with (directory / "postgresql.auto.conf").open("a") as file:
        file.write("\n# Restored by `ordersync backup restore-database`; without effect once the server has opened.\n")
        file.writelines(f"{line}\n" for line in settings)
    (directory / "recovery.signal").touch()

"""Base backups of databases, back into a data directory that a server can be started on."""

from __future__ import annotations

import shutil
import tarfile
from datetime import datetime
from pathlib import Path

from consumers.backup.archive.bases import BASE
from consumers.backup.archive.manifests import verify_base
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.holdings import MANIFEST, BaseBackup
from schemas.errors import ConfigurationError


def base_of(catalogue: Catalogue, database: str, at: datetime | None = None) -> BaseBackup:
    """The newest complete base backup, or the last that was begun before a moment.

    Raises:
        ConfigurationError: there is none.
    """
    found = [one for one in catalogue.complete_bases(database) if at is None or one.taken_at <= at]
    if not found:
        known = ", ".join(sorted(catalogue.bases)) or "none"
        when = "" if at is None else f" that was begun before {at.isoformat()}"
        raise ConfigurationError(f"there is no base backup of {database!r}{when}; databases in the backup: {known}")
    return found[-1]


def unpack(reader: ArchiveReader, base: BaseBackup, directory: Path) -> None:
    """Write the data directory; it has its name only when it was proved.

    Called by `backup restore-database`. An interrupted call leaves a directory with `.new` at the end, which the next
    one removes.

    Raises:
        ConfigurationError: the directory exists or cannot be written.
        BackupRefused: a piece is missing or altered, or the files are not those of the manifest.
    """
    if directory.exists():
        raise ConfigurationError(f"{directory} exists; a database is restored into a new directory only")
    fresh = directory.with_name(f"{directory.name}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        archive = fresh / BASE
        for name in (BASE, MANIFEST):
            with (fresh / name).open("wb") as file:
                file.writelines(reader.piece(piece) for piece in base.files.get(name, ()))
        verify_base(archive, fresh / MANIFEST)
        with tarfile.open(archive) as tar:
            tar.extractall(fresh, filter="data")
        archive.unlink()
        # PostgreSQL starts only on a directory that is its owner's alone.
        fresh.chmod(0o700)
        fresh.rename(directory)
    except (OSError, tarfile.TarError) as exc:
        raise ConfigurationError(f"{base.database} cannot be unpacked into {fresh}: {exc}") from exc

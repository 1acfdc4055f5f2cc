"""Verifies each copy on its own, mends one copy from another, and gives the sets' keys to new recipients."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pyrage.x25519 import Identity

from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.vault.catalogue import Catalogue, newest_version, verified_file
from consumers.backup.vault.client import Client
from consumers.backup.vault.copies import Copies, Copy, Source
from consumers.backup.vault.encryption import unwrap, wrap, wrap_name
from consumers.backup.vault.layout import AUDIT, SNAPSHOTS, TARGETS, TIMESTAMPS, numbered, wrap_path
from consumers.backup.vault.targets import CataloguedFile
from schemas.errors import BackupRefused, ConfigurationError

_PARALLEL_READS = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was signed."""

    path: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What one copy is worth."""

    name: str
    commit: int
    files: int
    bytes: int
    records_read: int
    """Decrypted, decoded and counted; 0 without an identity."""
    expired_offsets: int
    """Offsets that topics deleted before they were read: told, but not recoverable."""
    findings: Sequence[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether everything is there, to the byte."""
        return not self.findings


Told = Callable[[str, int, int], None]
"""Takes what is done, how many of it are done and how many there are."""


def verify_copy(
    copy: Copy,
    root: bytes,
    state_dir: Path,
    holder: Identity | None = None,
    told: Told = lambda _doing, _done, _total: None,
) -> CopyReport:
    """Signatures, chain, every file's digest and, with an identity, every record. Source: B4.

    Each copy has a memory of its own below `state_dir`, so that one which falls back behind is noticed.

    Raises:
        Transient: the copy is away.
    """
    catalogue = Catalogue()
    try:
        Client(copy, root, state_dir / copy.name).load(catalogue)
    except BackupRefused as exc:
        return CopyReport(copy.name, 0, 0, 0, 0, 0, [Finding("metadata", exc.reason, str(exc))])
    files = list(catalogue.files)
    findings = [finding for finding, _ in _altered_files(copy, files, told)]
    records = 0
    if holder is not None and not findings:
        try:
            records = _read_all(ArchiveReader(copy, catalogue, holder))
        except BackupRefused as exc:
            findings.append(Finding("segments", exc.reason, str(exc)))
    expired = sum(gap.end - gap.first for gaps in catalogue.gaps.values() for gap in gaps if gap.reason == "expired")
    total = sum(file.length for file in files)
    return CopyReport(copy.name, catalogue.head.version, len(files), total, records, expired, findings)


def mend(copies: Copies, catalogue: Catalogue, told: Callable[[str, str], None] = lambda _copy, _path: None) -> int:
    """Give each copy the files that it lacks or has altered, from one that has them as signed; gives how many.

    `catalogue` must have been verified with a copy that is sound. Signed metadata and wrapped keys are only added:
    each reader proves them anyway.

    Raises:
        BackupRefused: no copy has a file as it was signed.
        Transient: a copy is away.
    """
    mended = 0
    for copy in copies.copies:
        for finding, file in _altered_files(copy, list(catalogue.files)):
            good = _from_another(copies, copy, file)
            if finding.reason == "missing":
                copy.put_new(file.path, good)
            else:
                copy.replace(file.path, good)
            told(copy.name, file.path)
            mended += 1
        for path in _growing(copies, catalogue):
            if copy.get(path) is None:
                content = copies.get(path)
                if content is not None and copy.put_new(path, content):
                    told(copy.name, path)
                    mended += 1
    return mended


def rewrap(copies: Copies, catalogue: Catalogue, holder: Identity, recipient: str) -> int:
    """Wrap each set's key for one more recipient; nothing is encrypted anew. Gives how many sets.

    Raises:
        BackupRefused: `holder` cannot open a set.
        ConfigurationError: `recipient` is not an age public key.
    """
    own = wrap_name(str(holder.to_public()))
    done = 0
    for set_id, expected in catalogue.sets.items():
        path = wrap_path(set_id, wrap_name(recipient))
        if copies.get(path) is not None:
            continue
        wrapped = copies.get(wrap_path(set_id, own))
        if wrapped is None:
            raise BackupRefused(f"the key of set {set_id} was not wrapped for this identity", reason="no_wrap")
        try:
            fresh = wrap(unwrap(wrapped, holder, expected), recipient)
        except ValueError as exc:
            raise ConfigurationError(str(exc)) from exc
        copies.put_new(path, fresh)
        done += 1
    return done


def _read_all(reader: ArchiveReader) -> int:
    catalogue = reader.catalogue
    for bases in catalogue.bases.values():
        for base in bases.values():
            for piece in base.pieces:
                reader.piece(piece)
    for runs in catalogue.wal.values():
        for run in runs:
            for part in run.pieces:
                reader.piece(part)
    for known in catalogue.snapshots.values():
        for snapshot in known:
            for state in snapshot.pieces:
                deque(reader.snapshot(state), maxlen=0)
    return sum(len(batch) for held in catalogue.segments.values() for segment in held for batch in reader.read(segment))


def _altered_files(
    source: Source, files: list[CataloguedFile], told: Told = lambda _doing, _done, _total: None
) -> Iterator[tuple[Finding, CataloguedFile]]:
    def look(file: CataloguedFile) -> Finding | None:
        try:
            verified_file(source, file)
        except BackupRefused as exc:
            return Finding(file.path, exc.reason, str(exc))
        return None

    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        for number, (file, finding) in enumerate(zip(files, pool.map(look, files), strict=True), 1):
            told(f"{source.name}: files", number, len(files))
            if finding is not None:
                yield finding, file


def _from_another(copies: Copies, lacking: Copy, file: CataloguedFile) -> bytes:
    for copy in copies.copies:
        if copy is not lacking:
            try:
                return verified_file(copy, file)
            except BackupRefused:
                continue
    raise BackupRefused(f"no copy has {file.path} as it was signed", reason="lost")


def _growing(copies: Copies, catalogue: Catalogue) -> Iterator[str]:
    """Files beside the catalogued ones that every copy should have."""
    for folder in (TARGETS, SNAPSHOTS, TIMESTAMPS, AUDIT):
        yield from (numbered(folder, number) for number in range(1, newest_version(copies, folder, 0) + 1))
    yield from (path for path in copies.names("metadata/root"))
    for set_id in catalogue.sets:
        yield from copies.names(f"sets/{set_id}/wraps")

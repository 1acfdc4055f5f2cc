"""The catalogue: all commits together, and what follows from them for each partition."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from consumers.backup.vault.commits import (
    START,
    BaseTarget,
    CataloguedFile,
    Commit,
    Gap,
    Link,
    SegmentTarget,
    SetTarget,
    SignedCommit,
    SurroundingsTarget,
    verified_chain,
)
from consumers.backup.vault.copies import Source
from consumers.backup.vault.layout import TARGETS, metadata_path, number_in, numbered
from consumers.sink import Partition
from schemas.errors import BackupRefused

MANIFEST = "backup_manifest"
"""The file of a base backup that is put last."""

_PARALLEL_READS = 16


class Segment(NamedTuple):
    """A segment and its file."""

    file: CataloguedFile
    holds: SegmentTarget


class Surroundings(NamedTuple):
    """What stood around the topics at one time, and its file."""

    file: CataloguedFile
    holds: SurroundingsTarget


class BasePiece(NamedTuple):
    """A piece of a base backup and its file."""

    file: CataloguedFile
    holds: BaseTarget


class BaseBackup:
    """All pieces of one base backup that were committed so far."""

    def __init__(self, database: str, taken_at: datetime) -> None:
        self.database = database
        self.taken_at = taken_at
        self.files: dict[str, list[BasePiece]] = {}

    @property
    def bytes(self) -> int:
        """In the copies."""
        return sum(piece.file.length for pieces in self.files.values() for piece in pieces)

    @property
    def is_complete(self) -> bool:
        """Whether the manifest, which comes last, is there to its end."""
        manifest = self.files.get(MANIFEST)
        return manifest is not None and manifest[-1].holds.is_last

    def take(self, piece: BasePiece) -> None:
        """The next piece.

        Raises:
            BackupRefused: one is missing before it.
        """
        pieces = self.files.setdefault(piece.holds.file, [])
        if piece.holds.number != len(pieces) or (pieces and pieces[-1].holds.is_last):
            raise BackupRefused(f"{piece.file.path}: a piece of the base backup is missing before it", reason="hole")
        pieces.append(piece)


class Catalogue:
    """Commits in their order; each must carry on where the ones before it ended."""

    def __init__(self) -> None:
        self.head: Link = START
        self.commits: list[Commit] = []
        self.segments: dict[Partition, list[Segment]] = {}
        self.gaps: dict[Partition, list[Gap]] = {}
        self.sets: dict[str, str] = {}
        """Set id -> public key."""
        self.surroundings: list[Surroundings] = []
        self.bases: dict[str, dict[datetime, BaseBackup]] = {}
        """Database -> when it was begun -> base backup."""
        self._ends: dict[Partition, int] = {}

    @property
    def positions(self) -> dict[Partition, int]:
        """Offset after the last one that is backed up, of each partition."""
        return dict(self._ends)

    @property
    def complete_through_at(self) -> datetime | None:
        """Everything that the topics held then can be restored; None before the first such commit."""
        return next((one.complete_through_at for one in reversed(self.commits) if one.complete_through_at), None)

    @property
    def settled_through_at(self) -> datetime | None:
        """The complete time before the newest: transactions that were open at it have ended since, in all topics."""
        times = sorted({one.complete_through_at for one in self.commits if one.complete_through_at}, reverse=True)
        return times[min(1, len(times) - 1)] if times else None

    def complete_bases(self, database: str) -> list[BaseBackup]:
        """The base backups of a database that can be restored, oldest first."""
        bases = self.bases.get(database, {}).values()
        return sorted((one for one in bases if one.is_complete), key=lambda one: one.taken_at)

    @property
    def files(self) -> Iterator[CataloguedFile]:
        """Every file, in the order of the commits."""
        return (file for commit in self.commits for file in commit.files)

    def append(self, signed: SignedCommit) -> None:
        """Take one more commit.

        Raises:
            BackupRefused: it leaves offsets out, has some twice, or uses a key that no commit names.
        """
        commit = signed.commit
        for file in commit.files:
            if isinstance(file.holds, SetTarget):
                self.sets[file.holds.set_id] = file.holds.recipient
        covered: dict[Partition, list[tuple[int, int]]] = {}
        for vacancy in commit.vacant:
            gap = vacancy.gap
            covered.setdefault(Partition(vacancy.topic, vacancy.partition), []).append((gap.first, gap.end))
        for file in commit.files:
            holds = file.holds
            if holds.set_id not in self.sets:
                raise BackupRefused(f"{file.path} was sealed for a set that no commit names", reason="malformed")
            if isinstance(holds, SegmentTarget):
                if not holds.is_complete:
                    raise BackupRefused(f"{file.path}: its records and gaps are not its whole range", reason="hole")
                partition = Partition(holds.topic, holds.partition)
                covered.setdefault(partition, []).append((holds.first_offset, holds.end_offset))
        self._ends |= {partition: self._end(partition, ranges, commit) for partition, ranges in covered.items()}
        self._take(commit)
        self.head = signed.link

    def _end(self, partition: Partition, ranges: list[tuple[int, int]], commit: Commit) -> int:
        """The end of what is covered, after each range was found to begin where the one before it ended."""
        ranges.sort()
        reached = self._ends.get(partition, ranges[0][0])
        for first, end in ranges:
            if first != reached or end <= first:
                raise BackupRefused(
                    f"commit {commit.version}: {partition.topic}/{partition.number} goes on at offset {first}, but was "
                    f"covered up to {reached}: something is missing or there twice",
                    reason="hole",
                )
            reached = end
        return reached

    def _take(self, commit: Commit) -> None:
        self.commits.append(commit)
        for vacancy in commit.vacant:
            self.gaps.setdefault(Partition(vacancy.topic, vacancy.partition), []).append(vacancy.gap)
        for file in commit.files:
            holds = file.holds
            if isinstance(holds, SegmentTarget):
                partition = Partition(holds.topic, holds.partition)
                self.segments.setdefault(partition, []).append(Segment(file, holds))
                self.gaps.setdefault(partition, []).extend(holds.gaps)
            elif isinstance(holds, SurroundingsTarget):
                self.surroundings.append(Surroundings(file, holds))
            elif isinstance(holds, BaseTarget):
                bases = self.bases.setdefault(holds.database, {})
                base = bases.setdefault(holds.taken_at, BaseBackup(holds.database, holds.taken_at))
                base.take(BasePiece(file, holds))


def load_onto(catalogue: Catalogue, source: Source, head: Link) -> None:
    """Read the commits after the catalogue's head up to `head`, prove each, and append them.

    Raises:
        BackupRefused: one is missing or not what it should be.
        Transient: the copies are away.
    """
    if head.version < catalogue.head.version:
        raise BackupRefused(
            f"the newest commit is said to be {head.version}, but {catalogue.head.version} was seen before",
            reason="rolled_back",
        )
    paths = [metadata_path("targets", version) for version in range(catalogue.head.version + 1, head.version + 1)]
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        contents = [_there(path, content) for path, content in zip(paths, pool.map(source.get, paths), strict=True)]
    for signed in verified_chain(contents, catalogue.head, head):
        catalogue.append(signed)


def newest_version(source: Source, folder: str, after: int) -> int:
    """The greatest number in one of the folders that only grow; `after` where there is none greater."""
    numbers = (number_in(path) for path in source.names(folder, numbered(folder, after) if after else ""))
    return max((number for number in numbers if number is not None), default=after)


def commits_after(source: Source, head: Link) -> Iterator[tuple[int, bytes]]:
    """The commits after `head` that the copies show, unverified, up to the first that is not there."""
    for version in range(head.version + 1, newest_version(source, TARGETS, head.version) + 1):
        content = source.get(metadata_path("targets", version))
        if content is None:
            return
        yield version, content


def verified_file(source: Source, file: CataloguedFile) -> bytes:
    """The content of a catalogued file, after its length and digest were compared: before anything decrypts it.

    Raises:
        BackupRefused: it is missing or altered.
    """
    content = _there(file.path, source.get(file.path))
    if len(content) != file.length:
        reason = "truncated" if len(content) < file.length else "altered"
        raise BackupRefused(f"{file.path} has {len(content)} bytes, the catalogue says {file.length}", reason=reason)
    if sha256(content).hexdigest() != file.sha256:
        raise BackupRefused(
            f"{file.path} is not what the catalogue says: it was altered or exchanged", reason="altered"
        )
    return content


def _there(path: str, content: bytes | None) -> bytes:
    if content is None:
        raise BackupRefused(f"{path} is missing; the catalogue has it", reason="missing")
    return content

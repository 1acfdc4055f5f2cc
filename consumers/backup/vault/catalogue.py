"""The catalogue: all commits together, and what follows from them for each partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256

from consumers.backup.vault.commits import START, Commit, Link, SignedCommit, verified_chain
from consumers.backup.vault.copies import Source
from consumers.backup.vault.holdings import (
    BaseBackup,
    BasePiece,
    Expired,
    ExpiredSegment,
    Point,
    Segment,
    SnapshotPiece,
    StateSnapshot,
    Surroundings,
    WalPiece,
    WalRun,
)
from consumers.backup.vault.layout import metadata_path, number_in, numbered
from consumers.backup.vault.targets import (
    BaseTarget,
    CataloguedFile,
    ExpiredRange,
    Gap,
    SegmentTarget,
    SetTarget,
    SnapshotTarget,
    SurroundingsTarget,
    WalTarget,
)
from consumers.sink import Partition
from schemas.errors import BackupRefused

_PARALLEL_READS = 16


class Catalogue:
    """Commits in their order; each must carry on where the ones before it ended."""

    def __init__(self) -> None:
        self.head: Link = START
        self.points: list[Point] = []
        """Every commit."""
        self.segments: dict[Partition, list[Segment]] = {}
        self.expired_segments: dict[Partition, list[ExpiredSegment]] = {}
        self.gaps: dict[Partition, list[Gap]] = {}
        self.snapshots: dict[Partition, list[StateSnapshot]] = {}
        """Of compacted topics, oldest first; the last one may be incomplete."""
        self.sets: dict[str, str] = {}
        """Set id -> public key."""
        self.surroundings: list[Surroundings] = []
        self.bases: dict[str, dict[datetime, BaseBackup]] = {}
        """Database -> when it was begun -> base backup."""
        self.wal: dict[str, list[WalRun]] = {}
        """Database -> its log, oldest first."""
        self.expiries: list[Expired] = []
        self._files: dict[str, CataloguedFile] = {}
        self._ends: dict[Partition, int] = {}
        self._latest_ms: defaultdict[Partition, int] = defaultdict(int)

    @property
    def positions(self) -> dict[Partition, int]:
        """Offset after the last one that is backed up, of each partition."""
        return dict(self._ends)

    def position(self, partition: Partition) -> int:
        """The same of one partition; 0 where nothing is backed up."""
        return self._ends.get(partition, 0)

    @property
    def complete_through_at(self) -> datetime | None:
        """Everything that the topics held then can be restored; None before the first such commit."""
        return next((one.complete_through_at for one in reversed(self.points) if one.complete_through_at), None)

    @property
    def settled_through_at(self) -> datetime | None:
        """The complete time before the newest: transactions that were open at it have ended since, in all topics."""
        newest = self.complete_through_at
        earlier = (one.complete_through_at for one in reversed(self.points) if one.complete_through_at)
        return next((one for one in earlier if newest is not None and one < newest), newest)

    def complete_bases(self, database: str) -> list[BaseBackup]:
        """The base backups of a database that can be restored, oldest first."""
        bases = self.bases.get(database, {}).values()
        return sorted((one for one in bases if one.is_complete), key=lambda one: one.taken_at)

    def log_of(self, base: BaseBackup) -> WalRun | None:
        """The log that goes on where a base backup ends; None where there is none."""
        span = base.log
        runs = () if span is None else self.wal.get(base.database, ())
        return next((run for run in reversed(runs) if span is not None and run.serves(span)), None)

    @property
    def files(self) -> Iterator[CataloguedFile]:
        """Every file that is part of the backup, in the order of the commits."""
        return iter(self._files.values())

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._files)

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
        self.points.append(Point(commit.version, commit.committed_at, commit.complete_through_at))
        for vacancy in commit.vacant:
            self.gaps.setdefault(Partition(vacancy.topic, vacancy.partition), []).append(vacancy.gap)
        for file in commit.files:
            if file.path in self._files:
                raise BackupRefused(f"{file.path} is in the catalogue twice", reason="malformed")
            self._files[file.path] = file
            self._take_file(file)
        # After the segments: a snapshot may end where those of the same commit do.
        for file in commit.files:
            if isinstance(file.holds, SnapshotTarget):
                self._take_snapshot(SnapshotPiece(file, file.holds))
        if not commit.expired.is_empty:
            self._expire(commit)

    def _take_file(self, file: CataloguedFile) -> None:
        holds = file.holds
        if isinstance(holds, SegmentTarget):
            partition = Partition(holds.topic, holds.partition)
            self.segments.setdefault(partition, []).append(Segment(file, holds))
            if holds.gaps:
                self.gaps.setdefault(partition, []).extend(holds.gaps)
            self._latest_ms[partition] = max(self._latest_ms[partition], holds.latest_ms)
        elif isinstance(holds, SurroundingsTarget):
            self.surroundings.append(Surroundings(file, holds))
        elif isinstance(holds, BaseTarget):
            bases = self.bases.setdefault(holds.database, {})
            base = bases.setdefault(holds.taken_at, BaseBackup(holds.database, holds.taken_at))
            base.take(BasePiece(file, holds))
        elif isinstance(holds, WalTarget):
            runs, piece = self.wal.setdefault(holds.database, []), WalPiece(file, holds)
            if holds.end_lsn <= holds.first_lsn:
                raise BackupRefused(f"{file.path} has no byte of the log", reason="hole")
            if runs and runs[-1].goes_on_with(piece):
                runs[-1].pieces.append(piece)
            else:
                runs.append(WalRun(piece))

    def _take_snapshot(self, piece: SnapshotPiece) -> None:
        holds = piece.holds
        partition = Partition(holds.topic, holds.partition)
        known = self.snapshots.setdefault(partition, [])
        if not known or known[-1].taken_at != holds.taken_at:
            known.append(StateSnapshot(partition, holds.taken_at, holds.end_offset))
        known[-1].take(piece, self.position(partition), self._latest_ms[partition])

    def _expire(self, commit: Commit) -> None:
        paths: list[str] = []
        for one in commit.expired.ranges:
            paths += self._expire_range(one, commit)
        named = set(commit.expired.paths)
        if strange := sorted(named - self._files.keys()):
            raise BackupRefused(f"commit {commit.version} expires {strange[0]}, which is not there", reason="malformed")
        if wrong := sorted(path for path in named if isinstance(self._files[path].holds, SegmentTarget | SetTarget)):
            raise BackupRefused(f"commit {commit.version} may not expire {wrong[0]} by its name", reason="malformed")
        self._leave_out(named)
        paths += commit.expired.paths
        for path in paths:
            del self._files[path]
        self.expiries.append(Expired(commit.version, commit.committed_at, tuple(paths)))

    def _expire_range(self, one: ExpiredRange, commit: Commit) -> list[str]:
        partition = Partition(one.topic, one.partition)
        segments = self.segments.get(partition, [])
        gone = [each for each in segments if one.first_offset <= each.holds.first_offset < one.end_offset]
        if not gone or gone[0].holds.first_offset != one.first_offset or gone[-1].holds.end_offset != one.end_offset:
            raise BackupRefused(
                f"commit {commit.version} expires {one.topic}/{one.partition} from offset {one.first_offset} to "
                f"{one.end_offset}, which are no bounds of segments",
                reason="malformed",
            )
        left = {each.file.path for each in segments} - {each.file.path for each in gone}
        self.segments[partition] = [each for each in segments if each.file.path in left]
        self.expired_segments.setdefault(partition, []).extend(
            ExpiredSegment(each.holds.first_offset, each.holds.end_offset, each.holds.earliest_ms, each.holds.latest_ms)
            for each in gone
        )
        return [each.file.path for each in gone]

    def _leave_out(self, named: set[str]) -> None:
        """What a named file is part of is no longer there as a whole."""
        self.surroundings = [one for one in self.surroundings if one.file.path not in named]
        for partition, known in self.snapshots.items():
            self.snapshots[partition] = [
                one for one in known if not any(piece.file.path in named for piece in one.pieces)
            ]
        for bases in self.bases.values():
            for taken_at in [at for at, base in bases.items() if any(one.file.path in named for one in base.pieces)]:
                del bases[taken_at]
        for database, runs in self.wal.items():
            self.wal[database] = [part for run in runs for part in _parts(run, named)]


def _parts(run: WalRun, without: set[str]) -> list[WalRun]:
    """What is left of a run: one run for each stretch without a hole."""
    found: list[WalRun] = []
    for piece in run.pieces:
        if piece.file.path in without:
            continue
        if found and found[-1].goes_on_with(piece):
            found[-1].pieces.append(piece)
        else:
            found.append(WalRun(piece))
    return found


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
    with ThreadPoolExecutor(min(_PARALLEL_READS, len(paths) or 1)) as pool:
        contents = [_there(path, content) for path, content in zip(paths, pool.map(source.get, paths), strict=True)]
    for signed in verified_chain(contents, catalogue.head, head):
        catalogue.append(signed)


def newest_version(source: Source, folder: str, after: int) -> int:
    """The greatest number in one of the folders that only grow; `after` where there is none greater."""
    numbers = (number_in(path) for path in source.names(folder, numbered(folder, after) if after else ""))
    return max((number for number in numbers if number is not None), default=after)


def commits_after(source: Source, head: Link) -> Iterator[tuple[int, bytes]]:
    """The commits after `head` that the copies show, unverified, up to the first that is not there."""
    # Asked for by their names: a list of all commits takes longer with each.
    version = head.version + 1
    while (content := source.get(metadata_path("targets", version))) is not None:
        yield version, content
        version += 1


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

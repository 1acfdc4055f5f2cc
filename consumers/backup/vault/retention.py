"""Which restore points stay, and which files none of them needs; pure, and the same for creator, keeper and readers.

Grandfather-father-son by receive time: periods are UTC's, a commit belongs to the one that it was committed in, which
the keeper compares with its own clock before it signs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from consumers.backup.policy import Retention
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.holdings import BaseBackup, Point, Segment, StateSnapshot, WalRun
from consumers.backup.vault.holds import HeldSpan
from consumers.backup.vault.needs import MARGIN_MS, base_before, base_snapshot, history_ms, is_compacted, milliseconds
from consumers.backup.vault.targets import ExpiredRange, Expiry
from consumers.sink import Partition
from schemas.errors import BackupRefused

MOST_FILES = 5_000
"""Of one commit, so that it stays small."""

_ENDLESS_MS = 2**62


class Kept(NamedTuple):
    """A span of time whose every moment stays restorable; a point where both ends are the same."""

    since: datetime
    until: datetime | None
    """None: for ever after."""
    why: str


def kept_spans(points: Iterable[Point], retention: Retention, holds: Iterable[HeldSpan], now: datetime) -> list[Kept]:
    """What the policy and the open holds keep at a time, oldest first."""
    complete = [one for one in points if one.complete_through_at is not None]
    spans = [Kept(now - timedelta(days=retention.keep_within_days), None, "within")]
    spans += [Kept(hold.since, hold.until, f"hold {hold.name}") for hold in holds]
    for why, period in _PERIODS:
        last: dict[object, Point] = {period(one.committed_at.date()): one for one in complete}
        kept = getattr(retention, why)
        for one in list(last.values())[-kept:] if kept else ():
            assert one.complete_through_at is not None
            spans.append(Kept(one.complete_through_at, one.complete_through_at, why))
    return sorted(spans, key=lambda one: one.since)


_PERIODS: tuple[tuple[str, Callable[[date], object]], ...] = (
    ("daily", lambda day: day),
    ("weekly", lambda day: day.isocalendar()[:2]),
    ("monthly", lambda day: (day.year, day.month)),
    ("yearly", lambda day: day.year),
)


class Needs:
    """What some spans of time need of a catalogue."""

    def __init__(self, catalogue: Catalogue, kept: Sequence[Kept]) -> None:
        self._catalogue = catalogue
        self._kept = kept
        self._partitions: dict[Partition, _Bounds | None] = {}

    def segment(self, partition: Partition, segment: Segment) -> bool:
        """Whether one of them reads it."""
        if partition not in self._partitions:
            self._partitions[partition] = self._bounds(partition)
        bounds = self._partitions[partition]
        return bounds is None or bounds.reach(segment)

    def snapshots(self, partition: Partition) -> set[int]:
        """The indexes of the states that one of them begins with, and the newest."""
        known = self._catalogue.snapshots.get(partition, [])
        found = {len(known) - 1}
        complete = [index for index, one in enumerate(known) if one.usable_from_ms is not None]
        found.update(complete[-1:])
        for one in self._kept:
            first = base_snapshot(self._catalogue, partition, milliseconds(one.since))
            if first is not None:
                found.add(known.index(first))
        return found

    def surroundings(self) -> set[int]:
        """The indexes of what stood around the topics at one of them, and the newest."""
        times = [one.holds.taken_at for one in self._catalogue.surroundings]
        found = {len(times) - 1, 0}
        for since, until, _ in self._kept:
            end = len(times) if until is None else max(1, bisect_left(times, until + timedelta(microseconds=1)))
            found.update(range(max(0, bisect_left(times, since + timedelta(microseconds=1)) - 1), end))
        return found

    def bases(self, database: str) -> list[BaseBackup]:
        """The base backups that one of them begins with, the newest, and one that is not complete yet."""
        complete = self._catalogue.complete_bases(database)
        every = sorted(self._catalogue.bases.get(database, {}).values(), key=lambda one: one.taken_at)
        found = {id(one): one for one in (*complete[-1:], *every[-1:])}
        for since, until, _ in self._kept:
            first = base_before(self._catalogue, database, since)
            before = [] if first is None else [first]
            inside = [one for one in complete if since < one.taken_at and (until is None or one.taken_at <= until)]
            found |= {id(one): one for one in (*before, *inside)}
        return list(found.values())

    def log(self, database: str) -> set[str]:
        """The paths of the log that one of them reads, and all since the newest base backup."""
        found: set[str] = set()
        bases = sorted(self.bases(database), key=lambda one: one.taken_at)
        for base in bases:
            run, span = self._catalogue.log_of(base), base.log
            if run is None or span is None:
                continue
            for kept in self._kept:
                if kept.until is None or kept.until >= base.taken_at:
                    found.update(piece.file.path for piece in run.needed(span, kept.until))
        found.update(self._not_yet_based(database))
        return found

    def _not_yet_based(self, database: str) -> Iterator[str]:
        """The log since the newest base backup that goes on with it: the next one may need it."""
        runs: list[WalRun] = self._catalogue.wal.get(database, [])
        newest = [one for one in self._catalogue.complete_bases(database) if self._catalogue.log_of(one) is not None]
        for run in runs[-1:]:
            span = newest[-1].log if newest else None
            begin = run.needed_from(span) if span is not None and run.serves(span) else run.first_lsn
            yield from (piece.file.path for piece in run.pieces if piece.holds.end_lsn > begin)

    def _bounds(self, partition: Partition) -> _Bounds | None:
        history = history_ms(partition.topic)
        if history is None and not is_compacted(partition.topic):
            return None
        rows: list[tuple[int, int, int]] = []
        for since, until, _ in self._kept:
            since_ms = milliseconds(since)
            end = _ENDLESS_MS if until is None else milliseconds(until) + MARGIN_MS
            if history is not None:
                rows.append((end, 0, since_ms - history))
            else:
                snapshot = base_snapshot(self._catalogue, partition, since_ms)
                rows.append((end, 0 if snapshot is None else snapshot.end_offset, -1))
        return _Bounds(rows)


class _Bounds:
    """(until, first offset, since) of several spans; asked for each segment, so each answer costs one search."""

    def __init__(self, rows: list[tuple[int, int, int]]) -> None:
        rows.sort()
        self._untils = [until for until, _, _ in rows]
        # What is needed by a span that ends late enough: the least of all those from here on.
        self._firsts, self._sinces = [0] * len(rows), [0] * len(rows)
        first = since = _ENDLESS_MS
        self._pairs: list[tuple[int, int]] = []
        for index in range(len(rows) - 1, -1, -1):
            first, since = min(first, rows[index][1]), min(since, rows[index][2])
            self._firsts[index], self._sinces[index] = first, since

    def reach(self, segment: Segment) -> bool:
        """Whether a span reads the segment."""
        holds = segment.holds
        index = bisect_left(self._untils, holds.earliest_ms)
        return (
            index < len(self._untils)
            and holds.end_offset > self._firsts[index]
            and holds.latest_ms > self._sinces[index]
        )


def expirable(catalogue: Catalogue, kept: Sequence[Kept], most: int = MOST_FILES) -> Expiry:
    """The files that none of the spans needs, of which `most` at once or a little more."""
    needs = Needs(catalogue, kept)
    ranges: list[ExpiredRange] = []
    count = 0
    for partition, segments in sorted(catalogue.segments.items()):
        for found, files in _ranges(partition, segments, needs):
            ranges.append(found)
            count += files
            if count >= most:
                return Expiry(ranges=tuple(ranges))
    paths: list[str] = []
    for whole in _wholes(catalogue, needs):
        paths += whole
        if count + len(paths) >= most:
            break
    return Expiry(ranges=tuple(ranges), paths=tuple(paths))


def require_lawful(catalogue: Catalogue, expiry: Expiry, kept: Sequence[Kept]) -> None:
    """Refuse an expiry that names what one of the spans needs. Called by the keeper before it signs.

    Raises:
        BackupRefused: as said.
    """
    needs = Needs(catalogue, kept)
    for one in expiry.ranges:
        partition = Partition(one.topic, one.partition)
        for segment in catalogue.segments.get(partition, ()):
            inside = one.first_offset <= segment.holds.first_offset < one.end_offset
            if inside and needs.segment(partition, segment):
                raise _too_soon(segment.file.path)
    if expiry.paths:
        free = {path for whole in _wholes(catalogue, needs) for path in whole}
        for path in expiry.paths:
            if path not in free:
                raise _too_soon(path)


def _too_soon(path: str) -> BackupRefused:
    return BackupRefused(
        f"the creator lets {path} expire, which a kept restore point or an open hold needs; nothing was removed. Have "
        "creator and keeper the same policy and the same time?",
        reason="expired_too_soon",
    )


def _ranges(partition: Partition, segments: Sequence[Segment], needs: Needs) -> Iterator[tuple[ExpiredRange, int]]:
    """Stretches of neighbouring segments that nothing needs, and how many each has."""
    run: list[Segment] = []
    for segment in (*segments, None):
        is_free = segment is not None and not needs.segment(partition, segment)
        follows = segment is not None and (not run or run[-1].holds.end_offset == segment.holds.first_offset)
        if run and not (is_free and follows):
            first, end = run[0].holds.first_offset, run[-1].holds.end_offset
            topic, number = partition
            yield ExpiredRange(topic=topic, partition=number, first_offset=first, end_offset=end), len(run)
            run = []
        if is_free and segment is not None:
            run.append(segment)


def _wholes(catalogue: Catalogue, needs: Needs) -> Iterator[list[str]]:
    """The paths of what is not needed, what belongs together at once."""
    for partition, known in sorted(catalogue.snapshots.items()):
        needed = needs.snapshots(partition)
        yield from (_of_snapshot(one) for index, one in enumerate(known) if index not in needed)
    surroundings = needs.surroundings()
    yield from ([one.file.path] for index, one in enumerate(catalogue.surroundings) if index not in surroundings)
    for database, bases in sorted(catalogue.bases.items()):
        kept = {id(one) for one in needs.bases(database)}
        yield from ([piece.file.path for piece in one.pieces] for one in bases.values() if id(one) not in kept)
    for database, runs in sorted(catalogue.wal.items()):
        log = needs.log(database)
        yield from ([one.file.path] for run in runs for one in run.pieces if one.file.path not in log)


def _of_snapshot(one: StateSnapshot) -> list[str]:
    return [piece.file.path for piece in one.pieces]

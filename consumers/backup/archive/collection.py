"""Records of all partitions on their way into segments: what is open, what is covered, and until when all is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.segments import ClosedSegment, OpenSegment
from consumers.backup.vault.targets import Gap, Vacancy
from consumers.sink import Partition
from schemas.errors import Fatal


class Mark(NamedTuple):
    """The ends of all partitions at one time: when they are reached, everything until then is in hand."""

    at: datetime
    ends: Mapping[Partition, int]


class Collection:
    """Pure bookkeeping; times come in as arguments."""

    def __init__(self) -> None:
        self.bytes = 0
        self.through: datetime | None = None
        """Everything that the topics held then was taken."""
        self._covered: dict[Partition, int] = {}
        self._reached: dict[Partition, int] = {}
        self._open: dict[Partition, OpenSegment] = {}
        self._waiting: dict[Partition, list[Gap]] = {}
        """Of partitions without an open segment: what was passed since the last one, in the order of offsets."""
        self._mark: Mark | None = None

    @property
    def known(self) -> tuple[Partition, ...]:
        """The partitions that were placed."""
        return tuple(self._covered)

    def place(self, held: Mapping[Partition, int], beginnings: Mapping[Partition, int]) -> dict[Partition, int]:
        """Where to read each partition from: what the backup holds, else its beginning.

        What a topic deleted before it was read becomes a gap that says so; nothing is left out silently.
        """
        starts: dict[Partition, int] = {}
        for partition, beginning in beginnings.items():
            position = held.get(partition, beginning)
            self._covered[partition] = self._reached[partition] = position
            self._waiting[partition] = []
            self._pass(partition, beginning, "expired")
            starts[partition] = self._reached[partition]
        return starts

    def expire(self, partition: Partition, beginning: int) -> int:
        """The log was cut up to `beginning` while we read, or the brokers lost our place; gives where to go on."""
        self._pass(partition, beginning, "expired")
        return self._reached[partition]

    def take(self, partition: Partition, record: ArchivedRecord, now_seconds: float) -> None:
        """The next record of a partition; one that was taken before is left out."""
        if record.offset < self._reached[partition]:
            return
        segment = self._open.get(partition)
        if segment is None:
            segment = self._open[partition] = self._opened(partition, now_seconds)
        before = segment.bytes
        segment.append(record)
        self.bytes += segment.bytes - before
        self._reached[partition] = segment.end_offset

    def end(self, partition: Partition, offset: int) -> None:
        """The partition was read to its end; between the last record and it are none."""
        self._pass(partition, offset, "no_record")

    def oldest_seconds(self) -> float | None:
        """When the first record came that is not yet in a closed segment."""
        return min((segment.opened_at_seconds for segment in self._open.values()), default=None)

    def mark(self, at: datetime, ends: Mapping[Partition, int]) -> None:
        """Note the ends, unless older ones are not reached yet."""
        if self._mark is None:
            self._mark = Mark(at, ends)

    def is_mark_reached(self) -> bool:
        """Whether the next commit can say that everything until the mark is there."""
        return self._mark is not None and all(self._reached[one] >= end for one, end in self._mark.ends.items())

    def largest(self) -> int:
        """Bytes of the largest open segment."""
        return max((segment.bytes for segment in self._open.values()), default=0)

    def close(self) -> tuple[list[ClosedSegment], list[Vacancy]]:
        """Close every open segment; ranges without any record become vacancies."""
        if self._mark is not None and self.is_mark_reached():
            self.through, self._mark = self._mark.at, None
        closed = [segment.close() for segment in self._open.values()]
        for segment in closed:
            self._covered[segment.partition] = segment.end_offset
        self._open, self.bytes = {}, 0
        return closed, [self._vacant(partition, gap) for partition in self._covered for gap in self._passed(partition)]

    def _pass(self, partition: Partition, offset: int, reason: Literal["no_record", "expired"]) -> None:
        """Offsets up to `offset` have no records."""
        reached = self._reached[partition]
        if offset <= reached:
            return
        segment = self._open.get(partition)
        if segment is not None:
            segment.skip_to(offset, reason)
        else:
            self._waiting[partition].append(Gap(first=reached, end=offset, reason=reason))
        self._reached[partition] = offset

    def _opened(self, partition: Partition, now_seconds: float) -> OpenSegment:
        segment = OpenSegment(partition, self._covered[partition], now_seconds)
        for gap in self._passed(partition):
            segment.skip_to(gap.end, gap.reason)
        return segment

    def _passed(self, partition: Partition) -> list[Gap]:
        passed, self._waiting[partition] = self._waiting[partition], []
        return passed

    def _vacant(self, partition: Partition, gap: Gap) -> Vacancy:
        self._covered[partition] = gap.end
        return Vacancy(topic=partition.topic, partition=partition.number, gap=gap)


def require_not_beyond(held: Mapping[Partition, int], ends: Mapping[Partition, int]) -> None:
    """Refuse to go on where a topic ends before what the backup holds of it.

    Raises:
        Fatal: the topic was made anew.
    """
    for partition, end in ends.items():
        if held.get(partition, 0) > end:
            raise Fatal(
                f"{partition.topic}/{partition.number} ends at offset {end}, but the backup holds it up to "
                f"{held[partition]}: the topic was made anew. Restore it from the backup, or start a new backup with "
                "new copies; nothing was written"
            )

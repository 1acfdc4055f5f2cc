"""Records of all partitions on their way into segments: what is open, what is covered, and until when all is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from confluent_kafka import Message

from consumers.backup.archive.segments import ArchivedRecord, ClosedSegment, OpenSegment
from consumers.backup.vault.commits import Gap, Vacancy
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
        self.records = 0
        self.through: datetime | None = None
        """Everything that the topics held then was taken."""
        self._covered: dict[Partition, int] = {}
        self._reached: dict[Partition, int] = {}
        self._open: dict[Partition, OpenSegment] = {}
        self._expired: dict[Partition, Gap] = {}
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
            self._covered[partition] = position
            if position < beginning:
                self._expired[partition] = Gap(first=position, end=beginning, reason="expired")
            starts[partition] = self._reached[partition] = max(position, beginning)
        return starts

    def expire(self, partition: Partition, beginning: int) -> int:
        """The log was cut up to `beginning` while we read, or the brokers lost our place; gives where to go on."""
        if beginning <= self._reached[partition]:
            return self._reached[partition]
        segment = self._open.get(partition)
        if segment is not None:
            segment.skip_to(beginning, "expired")
        else:
            self._expired[partition] = Gap(first=self._reached[partition], end=beginning, reason="expired")
        self._reached[partition] = beginning
        return beginning

    def take(self, partition: Partition, message: Message, now_seconds: float) -> None:
        """The next record of a partition."""
        segment = self._open.get(partition)
        if segment is None:
            segment = self._open[partition] = self._opened(partition, now_seconds)
        before = segment.bytes
        segment.append(archived(message))
        self.bytes += segment.bytes - before
        self.records += 1
        self._reached[partition] = segment.end_offset

    def end(self, partition: Partition, offset: int) -> None:
        """The partition was read to its end; between the last record and it are none."""
        if partition in self._open:
            self._open[partition].skip_to(offset)
        self._reached[partition] = max(offset, self._reached[partition])

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
        return closed, [self._vacant(partition) for partition in self._covered if self._is_vacant(partition)]

    def _opened(self, partition: Partition, now_seconds: float) -> OpenSegment:
        segment = OpenSegment(partition, self._covered[partition], now_seconds)
        gap = self._expired.pop(partition, None)
        if gap is not None:
            segment.skip_to(gap.first)
            segment.skip_to(gap.end, "expired")
        return segment

    def _is_vacant(self, partition: Partition) -> bool:
        return self._reached[partition] > self._covered[partition]

    def _vacant(self, partition: Partition) -> Vacancy:
        reason = "expired" if self._expired.pop(partition, None) else "no_record"
        gap = Gap.model_validate({"first": self._covered[partition], "end": self._reached[partition], "reason": reason})
        self._covered[partition] = gap.end
        return Vacancy(topic=partition.topic, partition=partition.number, gap=gap)


def archived(message: Message) -> ArchivedRecord:
    """The record to the byte."""
    kind, milliseconds = message.timestamp()
    headers = message.headers()
    return ArchivedRecord(
        message.offset() or 0,
        milliseconds,
        kind,
        message.key(),
        message.value(),
        tuple(headers) if headers else (),  # type: ignore[arg-type]
    )


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

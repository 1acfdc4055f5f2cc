"""Snapshots of compacted topics: what a partition still holds below an offset, so that older segments may expire.

The creator cannot read what it wrote, so it reads the topic again from its beginning. What is compacted away while it
reads has a successor at an offset below the end that it meets; a restorer uses the snapshot for moments that lie after
every record up to there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from confluent_kafka import OFFSET_BEGINNING

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.kafka import TopicReader, archived, is_end, require_passing
from consumers.backup.archive.segments import OpenSegment
from consumers.backup.archive.settings import ArchiveSettings
from consumers.backup.vault.catalogue import Catalogue
from consumers.sink import Partition

_log = logging.getLogger(__name__)
_LOOK_EVERY = timedelta(seconds=5)
_QUEUE_KBYTES = 8_192


@dataclass(frozen=True, slots=True)
class StatePiece:
    """A part of the state of a partition."""

    partition: Partition
    taken_at: datetime
    end_offset: int
    number: int
    records: int
    content: bytes
    until_offset: int | None
    """With the last piece: where the partition ended."""


class StateSnapshots:
    """One partition at a time; `advance` never waits for the brokers."""

    def __init__(self, settings: ArchiveSettings, topics: Sequence[str], every_hours: float) -> None:
        self._settings = settings.model_copy(update={"queue_kbytes": _QUEUE_KBYTES})
        self._topics = tuple(topics)
        self._every = timedelta(hours=every_hours)
        self._reader: TopicReader | None = None
        self._running: _Running | None = None
        self._look_at: datetime | None = None

    def advance(self, now: datetime, catalogue: Catalogue, piece_bytes: int) -> StatePiece | None:
        """The next piece, if there is one now; begins with a partition that is due.

        Raises:
            Transient: the brokers are away.
            Fatal: they refuse us.
        """
        running = self._running
        if running is None:
            if self._topics and (self._look_at is None or now >= self._look_at):
                self._look_at = now + _LOOK_EVERY
                self._begin_due(now, catalogue)
            return None
        if running.ended_at is None:
            self._read(running)
            return running.piece() if running.open.bytes >= piece_bytes else None
        if catalogue.position(running.partition) < running.ended_at:
            return None
        self._running = self._look_at = None
        _log.info("the state of %s/%d below offset %d is taken", *running.partition, running.end_offset)
        return running.piece(running.ended_at)

    def close(self) -> None:
        """Give the connection back; the next start begins anew."""
        self._running = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _begin_due(self, now: datetime, catalogue: Catalogue) -> None:
        for partition in sorted(catalogue.segments):
            known = [one for one in catalogue.snapshots.get(partition, ()) if one.usable_from_ms is not None]
            since = known[-1].taken_at if known else catalogue.points[0].committed_at
            end = catalogue.position(partition)
            grown = not known or known[-1].end_offset < end
            if partition.topic in self._topics and grown and now - since >= self._every:
                self._running = _Running(partition, now, end)
                self._reader = self._reader or TopicReader(self._settings, self._topics)
                self._reader.start({partition: OFFSET_BEGINNING})
                return

    def _read(self, running: _Running) -> None:
        assert self._reader is not None
        for message in self._reader.poll(0.0):
            error = message.error()
            if error is None:
                running.take(archived(message))
            elif is_end(error):
                running.ended_at = message.offset() or 0
                # Nothing more is fetched while the segments catch up.
                self._reader.start({})
                return
            else:
                require_passing(error)


class _Running:
    """The partition that is being read."""

    def __init__(self, partition: Partition, taken_at: datetime, end_offset: int) -> None:
        self.partition = partition
        self.end_offset = end_offset
        self.ended_at: int | None = None
        self.open = OpenSegment(partition, 0, 0.0)
        self._taken_at = taken_at
        self._number = 0

    def take(self, record: ArchivedRecord) -> None:
        """The next record; those behind the end belong to segments."""
        if record.offset < self.end_offset:
            self.open.append(record)

    def piece(self, until_offset: int | None = None) -> StatePiece:
        """What came since the last piece."""
        closed, number = self.open.close(), self._number
        self.open, self._number = OpenSegment(self.partition, self.open.end_offset, 0.0), number + 1
        return StatePiece(
            self.partition, self._taken_at, self.end_offset, number, closed.records, closed.content, until_offset
        )

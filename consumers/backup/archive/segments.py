"""Segments: the records of one partition's range of offsets, as an Avro container file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from operator import lt
from typing import Literal, NamedTuple

import fastavro
from fastavro.read import SchemaResolutionError

from consumers.backup.archive.batches import SCHEMA, ArchivedRecord, Headers, RecordBatch
from consumers.backup.vault.layout import segment_path
from consumers.backup.vault.targets import Gap, SegmentTarget
from consumers.sink import Partition
from schemas.errors import BackupRefused

_BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """A finished file, not yet sealed, and what it holds."""

    partition: Partition
    first_offset: int
    end_offset: int
    records: int
    gaps: tuple[Gap, ...]
    earliest_ms: int
    latest_ms: int
    content: bytes

    def described(self, set_id: str) -> SegmentTarget:
        """Its entry in the catalogue."""
        return SegmentTarget(
            set_id=set_id,
            topic=self.partition.topic,
            partition=self.partition.number,
            first_offset=self.first_offset,
            end_offset=self.end_offset,
            records=self.records,
            gaps=self.gaps,
            earliest_ms=self.earliest_ms,
            latest_ms=self.latest_ms,
        )

    def path(self, sealed: bytes) -> str:
        """Where it goes."""
        topic, number = self.partition
        return segment_path(topic, number, self.first_offset, self.end_offset, sha256(sealed).hexdigest())


class OpenSegment:
    """Collects the records of one partition until it is closed; offsets that have none become gaps."""

    def __init__(self, partition: Partition, first_offset: int, opened_at_seconds: float) -> None:
        self.partition = partition
        self.opened_at_seconds = opened_at_seconds
        self.bytes = 0
        self.end_offset = first_offset
        self._first_offset = first_offset
        self._full: list[RecordBatch] = []
        self._in_full = self._full_bytes = 0
        self._batch = _GrowingBatch()
        self._gaps: list[Gap] = []
        self._earliest_ms = self._latest_ms = 0

    @property
    def records(self) -> int:
        """How many it has."""
        return self._in_full + len(self._batch.offsets)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Those that it has found."""
        return tuple(self._gaps)

    @property
    def first_offset(self) -> int:
        """Where it begins."""
        return self._first_offset

    def append(self, record: ArchivedRecord) -> None:
        """Take the next record; offsets between it and the one before have none."""
        offset, timestamp_ms, timestamp_type, key, value, headers = record
        self.skip_to(offset)
        if not self.records:
            self._earliest_ms = self._latest_ms = timestamp_ms
        elif timestamp_ms > self._latest_ms:
            self._latest_ms = timestamp_ms
        elif timestamp_ms < self._earliest_ms:
            self._earliest_ms = timestamp_ms
        batch = self._batch
        if headers:
            batch.headers[len(batch.offsets)] = headers
        batch.offsets.append(offset)
        batch.timestamps_ms.append(timestamp_ms)
        batch.timestamp_types.append(timestamp_type)
        batch.keys.append(key)
        batch.values.append(value)
        self.end_offset = offset + 1
        self.bytes += len(key or b"") + len(value or b"") + 32
        if self.bytes - self._full_bytes >= _BLOCK_BYTES:
            self._begin_batch()

    def skip_to(self, offset: int, reason: Literal["no_record", "expired"] = "no_record") -> None:
        """The offsets up to `offset`, without it, have no records."""
        if offset > self.end_offset:
            self._gaps.append(Gap(first=self.end_offset, end=offset, reason=reason))
            self.end_offset = offset

    def close(self) -> ClosedSegment:
        """The file with everything that came."""
        self._begin_batch()
        buffer = BytesIO()
        # A batch is a block of its own.
        fastavro.writer(buffer, SCHEMA, (one.packed() for one in self._full), codec="snappy", sync_interval=1)
        return ClosedSegment(
            self.partition,
            self._first_offset,
            self.end_offset,
            self.records,
            self.gaps,
            self._earliest_ms,
            self._latest_ms,
            buffer.getvalue(),
        )

    def _begin_batch(self) -> None:
        if self._batch.offsets:
            self._full.append(self._batch)
            self._in_full += len(self._batch.offsets)
            self._full_bytes, self._batch = self.bytes, _GrowingBatch()


class _GrowingBatch(RecordBatch):
    """One that records are appended to."""

    __slots__ = ()
    offsets: list[int]
    timestamps_ms: list[int]
    timestamp_types: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: dict[int, Headers]


class Extent(NamedTuple):
    """What the catalogue says of a file of records."""

    partition: Partition
    first_offset: int
    end_offset: int
    records: int


def extent_of(holds: SegmentTarget) -> Extent:
    """Of a segment."""
    return Extent(Partition(holds.topic, holds.partition), holds.first_offset, holds.end_offset, holds.records)


def read_segment(content: bytes, holds: Extent) -> Iterator[RecordBatch]:
    """The records of a decrypted file, in the order of their offsets.

    Raises:
        BackupRefused: it is no segment, or not the one that the catalogue describes.
    """
    what = f"{holds.partition.topic}/{holds.partition.number}"
    seen, last = 0, holds.first_offset - 1
    try:
        for row in fastavro.reader(BytesIO(content), SCHEMA):
            batch = RecordBatch.unpacked(row)  # type: ignore[arg-type]  # a record, as the schema says
            offsets = batch.offsets
            if not (
                offsets and last < offsets[0] and offsets[-1] < holds.end_offset and all(map(lt, offsets, offsets[1:]))
            ):
                raise BackupRefused(f"offsets of a segment of {what} are out of their order", reason="swapped")
            seen, last = seen + len(offsets), offsets[-1]
            yield batch
    except (ValueError, EOFError, KeyError, IndexError, TypeError, SchemaResolutionError) as exc:
        raise BackupRefused(f"a segment of {what} cannot be read: {exc}", reason="altered") from exc
    if seen != holds.records:
        raise BackupRefused(
            f"a segment of {what} has {seen} records, the catalogue says {holds.records}",
            reason="truncated",
        )


def rows_of(batches: Iterable[RecordBatch]) -> Iterator[ArchivedRecord]:
    """Record by record."""
    for batch in batches:
        yield from batch.rows()

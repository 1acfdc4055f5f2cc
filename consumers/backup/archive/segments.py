"""Segments: the records of one partition's range of offsets, as an Avro container file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any, Literal, NamedTuple

import fastavro
from fastavro.types import Schema

from consumers.backup.vault.layout import segment_path
from consumers.backup.vault.targets import Gap, SegmentTarget
from consumers.sink import Partition
from schemas.errors import BackupRefused

_BLOCK_BYTES = 256 * 1024
_SCHEMA: Schema = fastavro.parse_schema(
    {
        "type": "record",
        "name": "ArchivedRecord",
        "namespace": "ordersync.backup",
        "doc": "One Kafka record, to the byte; a null value is a tombstone",
        "fields": [
            {"name": "offset", "type": "long"},
            {"name": "timestamp", "type": "long", "doc": "Milliseconds since 1970"},
            {"name": "timestamp_type", "type": "int", "doc": "1 when it was created, 2 when it was appended"},
            {"name": "key", "type": ["null", "bytes"]},
            {"name": "value", "type": ["null", "bytes"]},
            {
                "name": "headers",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "ArchivedHeader",
                        "fields": [{"name": "key", "type": "string"}, {"name": "value", "type": ["null", "bytes"]}],
                    },
                },
            },
        ],
    }
)


def _as_written() -> Schema | None:
    """Our schema as a file's reader tells it."""
    buffer = BytesIO()
    fastavro.writer(buffer, _SCHEMA, [])
    buffer.seek(0)
    return fastavro.reader(buffer).writer_schema


_WRITTEN = _as_written()


class ArchivedRecord(NamedTuple):
    """One record as it came."""

    offset: int
    timestamp_ms: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


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
        self._records: list[dict[str, Any]] = []
        self._gaps: list[Gap] = []
        self._earliest_ms = self._latest_ms = 0

    @property
    def records(self) -> int:
        """How many it has."""
        return len(self._records)

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
        if not self._records:
            self._earliest_ms = self._latest_ms = timestamp_ms
        elif timestamp_ms > self._latest_ms:
            self._latest_ms = timestamp_ms
        elif timestamp_ms < self._earliest_ms:
            self._earliest_ms = timestamp_ms
        self._records.append(
            {
                "offset": offset,
                "timestamp": timestamp_ms,
                "timestamp_type": timestamp_type,
                "key": key,
                "value": value,
                "headers": [{"key": name, "value": content} for name, content in headers] if headers else (),
            }
        )
        self.end_offset = offset + 1
        self.bytes += len(key or b"") + len(value or b"") + 32

    def skip_to(self, offset: int, reason: Literal["no_record", "expired"] = "no_record") -> None:
        """The offsets up to `offset`, without it, have no records."""
        if offset > self.end_offset:
            self._gaps.append(Gap(first=self.end_offset, end=offset, reason=reason))
            self.end_offset = offset

    def close(self) -> ClosedSegment:
        """The file with everything that came."""
        buffer = BytesIO()
        fastavro.writer(buffer, _SCHEMA, self._records, codec="snappy", sync_interval=_BLOCK_BYTES)
        return ClosedSegment(
            self.partition,
            self._first_offset,
            self.end_offset,
            len(self._records),
            self.gaps,
            self._earliest_ms,
            self._latest_ms,
            buffer.getvalue(),
        )


class Extent(NamedTuple):
    """What the catalogue says of a file of records."""

    partition: Partition
    first_offset: int
    end_offset: int
    records: int


def extent_of(holds: SegmentTarget) -> Extent:
    """Of a segment."""
    return Extent(Partition(holds.topic, holds.partition), holds.first_offset, holds.end_offset, holds.records)


def read_segment(content: bytes, holds: Extent) -> Iterator[ArchivedRecord]:
    """The records of a decrypted file, in the order of their offsets.

    Raises:
        BackupRefused: it is no segment, or not the one that the catalogue describes.
    """
    what = f"{holds.partition.topic}/{holds.partition.number}"
    seen, last = 0, holds.first_offset - 1
    try:
        for row in _rows(content):
            offset, timestamp_ms, timestamp_type, key, value, headers = row.values()
            if not last < offset < holds.end_offset:
                raise BackupRefused(f"offset {offset} is out of its order in a segment", reason="swapped")
            seen, last = seen + 1, offset
            named = tuple((header["key"], header["value"]) for header in headers) if headers else ()
            yield ArchivedRecord(offset, timestamp_ms, timestamp_type, key, value, named)
    except (ValueError, EOFError, KeyError, IndexError, TypeError) as exc:
        raise BackupRefused(f"a segment of {what} cannot be read: {exc}", reason="altered") from exc
    if seen != holds.records:
        raise BackupRefused(
            f"a segment of {what} has {seen} records, the catalogue says {holds.records}",
            reason="truncated",
        )


def _rows(content: bytes) -> Iterator[dict[str, Any]]:
    """The rows with their fields in our order."""
    reader = fastavro.reader(BytesIO(content))
    if reader.writer_schema != _WRITTEN:
        # Resolving two schemas costs twice the reading; files of this version need none.
        reader = fastavro.reader(BytesIO(content), _SCHEMA)
    for row in reader:
        assert isinstance(row, dict)
        yield row

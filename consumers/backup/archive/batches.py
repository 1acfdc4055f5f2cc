"""Records of one partition side by side, column by column: what a block of a segment holds.

A backup of a million orders has several million records. Columns are packed, hashed, compared and sifted by a few calls
for each block; row by row each of these costs more than decrypting the record.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, repeat
from typing import Any, NamedTuple

import fastavro
from fastavro.types import Schema

Headers = tuple[tuple[str, bytes | None], ...]

_NULL = -1
_LONGS, _INTS = "q", "i"

SCHEMA: Schema = fastavro.parse_schema(
    {
        "type": "record",
        "name": "ArchivedBatch",
        "namespace": "ordersync.backup",
        "doc": "Kafka records of one partition, to the byte, in the order of their offsets, column by column. Numbers "
        "are packed: signed, little-endian, of 8 bytes each (offsets, timestamps) or 4 (lengths). A length of -1 is a "
        "null, which takes no bytes of its column.",
        "fields": [
            {"name": "offsets", "type": "bytes"},
            {"name": "timestamps", "type": "bytes", "doc": "Milliseconds since 1970"},
            {"name": "timestamp_types", "type": "bytes", "doc": "A byte each: 1 when it was created, 2 when appended"},
            {"name": "key_lengths", "type": "bytes"},
            {"name": "keys", "type": "bytes", "doc": "One behind the other"},
            {"name": "value_lengths", "type": "bytes"},
            {"name": "values", "type": "bytes", "doc": "One behind the other; a null value is a tombstone"},
            {
                "name": "headers",
                "doc": "Of the records that have any, in their order",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "ArchivedHeader",
                        "fields": [
                            {"name": "record", "type": "int", "doc": "Its number in this batch, from 0"},
                            {"name": "key", "type": "string"},
                            {"name": "value", "type": ["null", "bytes"]},
                        ],
                    },
                },
            },
        ],
    }
)


class ArchivedRecord(NamedTuple):
    """One record as it came."""

    offset: int
    timestamp_ms: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class RecordBatch:
    """Records of one partition in the order of their offsets; each column has one entry for each."""

    __slots__ = ("headers", "keys", "offsets", "timestamp_types", "timestamps_ms", "values")

    def __init__(self) -> None:
        self.offsets: Sequence[int] = []
        self.timestamps_ms: Sequence[int] = []
        self.timestamp_types: Sequence[int] = []
        self.keys: Sequence[bytes | None] = []
        self.values: Sequence[bytes | None] = []
        self.headers: Mapping[int, Headers] = {}
        """By the record's number in the batch; those without headers are left out."""

    @classmethod
    def of(cls, records: Iterable[ArchivedRecord]) -> RecordBatch:
        """The same records."""
        batch = cls()
        rows = list(records)
        if rows:
            offsets, timestamps, types, keys, values, headers = zip(*rows, strict=True)
            batch.offsets, batch.timestamps_ms, batch.timestamp_types = offsets, timestamps, types
            batch.keys, batch.values = keys, values
            batch.headers = {number: one for number, one in enumerate(headers) if one}
        return batch

    def __len__(self) -> int:
        return len(self.offsets)

    def rows(self) -> Iterator[ArchivedRecord]:
        """Record by record."""
        of = self.headers.get
        headers = (of(number, ()) for number in range(len(self))) if self.headers else repeat((), len(self))
        columns = (self.offsets, self.timestamps_ms, self.timestamp_types, self.keys, self.values, headers)
        return map(ArchivedRecord._make, zip(*columns, strict=True))

    def chosen(self, numbers: Sequence[int]) -> RecordBatch:
        """The records with these numbers, in their order."""
        if len(numbers) == len(self.offsets):
            return self
        batch = RecordBatch()
        batch.offsets = [self.offsets[one] for one in numbers]
        batch.timestamps_ms = [self.timestamps_ms[one] for one in numbers]
        batch.timestamp_types = [self.timestamp_types[one] for one in numbers]
        batch.keys = [self.keys[one] for one in numbers]
        batch.values = [self.values[one] for one in numbers]
        if self.headers:
            batch.headers = {new: self.headers[old] for new, old in enumerate(numbers) if old in self.headers}
        return batch

    def within(self, after_ms: int, until_ms: int) -> RecordBatch:
        """The records whose timestamp is after the one and not after the other."""
        times = self.timestamps_ms
        if not times or (min(times) > after_ms and max(times) <= until_ms):
            return self
        return self.chosen([number for number, time in enumerate(times) if after_ms < time <= until_ms])

    def with_values(self, values: Sequence[bytes | None]) -> RecordBatch:
        """The same records with other values."""
        batch = RecordBatch()
        batch.offsets, batch.timestamps_ms, batch.timestamp_types = (
            self.offsets,
            self.timestamps_ms,
            self.timestamp_types,
        )
        batch.keys, batch.values, batch.headers = self.keys, values, self.headers
        return batch

    def packed(self) -> dict[str, Any]:
        """As `SCHEMA` says."""
        return {
            "offsets": packed(_LONGS, self.offsets),
            "timestamps": packed(_LONGS, self.timestamps_ms),
            "timestamp_types": bytes(self.timestamp_types),
            "key_lengths": packed(_INTS, lengths(self.keys)),
            "keys": b"".join(filter(None, self.keys)),
            "value_lengths": packed(_INTS, lengths(self.values)),
            "values": b"".join(filter(None, self.values)),
            "headers": [
                {"record": number, "key": name, "value": content}
                for number, headers in self.headers.items()
                for name, content in headers
            ],
        }

    @classmethod
    def unpacked(cls, row: Mapping[str, Any]) -> RecordBatch:
        """What `packed` was called on. Raises `ValueError` where the columns do not fit together."""
        batch = cls()
        batch.offsets = _unpacked(_LONGS, row["offsets"])
        batch.timestamps_ms = _unpacked(_LONGS, row["timestamps"])
        batch.timestamp_types = list(row["timestamp_types"])
        batch.keys = _parts(row["keys"], _unpacked(_INTS, row["key_lengths"]))
        batch.values = _parts(row["values"], _unpacked(_INTS, row["value_lengths"]))
        found: dict[int, Headers] = {}
        for header in row["headers"]:
            number = header["record"]
            found[number] = (*found.get(number, ()), (header["key"], header["value"]))
        batch.headers = found
        count, others = len(batch.offsets), (batch.timestamps_ms, batch.timestamp_types, batch.keys, batch.values)
        if any(len(column) != count for column in others) or any(not 0 <= number < count for number in found):
            raise ValueError("its columns are not of one length")
        return batch


def packed(kind: str, numbers: Iterable[int]) -> bytes:
    """Numbers as they lie in a column: `q` of 8 bytes, `i` of 4."""
    column = array(kind, numbers)
    if sys.byteorder != "little":
        column.byteswap()
    return column.tobytes()


def lengths(parts: Sequence[bytes | None]) -> list[int]:
    """Of each; -1 for a null."""
    return [_NULL if one is None else len(one) for one in parts]


def _unpacked(kind: str, content: bytes) -> list[int]:
    column = array(kind)
    column.frombytes(content)
    if sys.byteorder != "little":
        column.byteswap()
    return column.tolist()


def _parts(content: bytes, sizes: list[int]) -> Sequence[bytes | None]:
    ends = list(accumulate(max(size, 0) for size in sizes) if _NULL in sizes else accumulate(sizes))
    if (ends[-1] if ends else 0) != len(content) or min(sizes, default=0) < _NULL:
        raise ValueError("a column is not as long as its parts")
    parts = (content[start:end] for start, end in zip([0, *ends], ends, strict=False))
    if _NULL not in sizes:
        return list(parts)
    return [None if size == _NULL else part for size, part in zip(sizes, parts, strict=True)]

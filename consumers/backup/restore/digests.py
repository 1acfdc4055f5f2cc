"""Whether two rows of records are the same to the byte, told by a digest of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from struct import Struct

from consumers.backup.archive.batches import RecordBatch, lengths, packed
from consumers.sink import Partition
from schemas.errors import BackupRefused

_NUMBER = Struct(">q")


class Digest:
    """Number and SHA-256 of records without their offsets: equal if, and only if, they are the same to the byte.

    Each column is hashed by itself, so that it does not matter how the records were put together in batches. Lengths
    are a column, too: they say where one key or value ends and the next begins.
    """

    def __init__(self) -> None:
        self.records = 0
        self._times, self._keys, self._values, self._headers = sha256(), sha256(), sha256(), sha256()
        self._lengths = sha256(), sha256()

    def through(self, batches: Iterable[RecordBatch]) -> Iterator[RecordBatch]:
        """The same records, counted and hashed on their way."""
        for batch in batches:
            self._take(batch)
            yield batch

    def of(self, batches: Iterable[RecordBatch]) -> Digest:
        """Take all of them; gives itself."""
        for batch in batches:
            self._take(batch)
        return self

    @property
    def sha256(self) -> str:
        """Of everything that came."""
        columns = (self._times, *self._lengths, self._keys, self._values, self._headers)
        return sha256(b"".join(one.digest() for one in columns)).hexdigest()

    def _take(self, batch: RecordBatch) -> None:
        self._times.update(packed("q", batch.timestamps_ms))
        for hashed, of_lengths, column in zip(
            (self._keys, self._values), self._lengths, (batch.keys, batch.values), strict=True
        ):
            of_lengths.update(packed("i", lengths(column)))
            hashed.update(b"".join(filter(None, column)))
        for number, headers in batch.headers.items():
            self._headers.update(_NUMBER.pack(self.records + number) + _NUMBER.pack(len(headers)))
            for name, content in headers:
                self._headers.update(b"".join((*_sized(name.encode()), *_sized(content))))
        self.records += len(batch)


def require_same(partition: Partition, wanted: Digest, found: Digest) -> None:
    """Refuse a restored partition that is not the archive's.

    Raises:
        BackupRefused: as said.
    """
    if (wanted.records, wanted.sha256) != (found.records, found.sha256):
        raise BackupRefused(
            f"{partition.topic}/{partition.number} was restored with {found.records} records, the archive has "
            f"{wanted.records}" + ("" if wanted.records != found.records else ", and their content differs"),
            reason="restore_differs",
        )


def _sized(part: bytes | None) -> tuple[bytes, bytes]:
    return (_NUMBER.pack(-1), b"") if part is None else (_NUMBER.pack(len(part)), part)

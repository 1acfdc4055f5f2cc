"""One consistent cut through the topics of orders: what belongs to a moment belongs to it in all of them.

The stream workers write a version of an order, its state and its journal entries in one transaction, but each record
has a timestamp of its own: a moment may fall between them. `orders.events` decides. The versions that it had at the
moment belong to the cut, and so do their states and entries, also those with a slightly later timestamp.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from consumers.backup.archive.batches import ArchivedRecord, RecordBatch
from consumers.backup.archive.segments import rows_of
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.schemas import ArchivedSchemas
from consumers.backup.restore.telling import Telling
from consumers.backup.vault.needs import LONGEST_TRANSACTION, milliseconds
from consumers.sink import Partition
from schemas.codec.wire import HEADER_LENGTH
from schemas.errors import InvalidMessage
from schemas.topics import ORDER_EVENTS, ORDER_STATE, POSTINGS


class Cut:
    """The records of one moment; only those of orders that changed right after it are decoded."""

    def __init__(self, reader: ArchiveReader, at: datetime) -> None:
        """Reads `orders.events` near the moment.

        Raises:
            BackupRefused: a file is missing, altered or not for this identity.
        """
        self._reader = reader
        self.at = at
        self._at_ms = milliseconds(at)
        self._span_ms = int(LONGEST_TRANSACTION.total_seconds() * 1000)
        self._schemas = ArchivedSchemas(reader.surroundings(at).subjects)
        self._tellings: dict[tuple[str, bytes], Telling] = {}
        self._settled: set[bytes | None] = set()
        """Keys of orders that had events shortly before the moment and none shortly after it: all that is near it
        belongs to it."""
        self._versions: dict[str, int] = {}
        """Of the others with events near the moment: the version that each had at it."""
        self._read_events()

    def records(self, partition: Partition) -> Iterator[ArchivedRecord]:
        """The same as `batches`, record by record."""
        return rows_of(self.batches(partition))

    def batches(self, partition: Partition) -> Iterator[RecordBatch]:
        """The records of the partition that belong to the moment, in the order of offsets. Raises as `__init__`."""
        if not self._is_by_version(partition):
            yield from self._reader.batches(partition, self.at)
            return
        for batch in self._reader.batches(partition, self.at + LONGEST_TRANSACTION):
            yield self._belonging(partition.topic, batch)

    def size_bytes(self, partition: Partition) -> int:
        """How much of the copies is read for the partition, or a little more."""
        return sum(one.file.length for one in self._reader.catalogue.segments.get(partition, ()))

    def _is_by_version(self, partition: Partition) -> bool:
        return partition.topic in (ORDER_STATE, POSTINGS) and bool(self._reader.partitions(ORDER_EVENTS))

    def _belonging(self, topic: str, batch: RecordBatch) -> RecordBatch:
        surely_ms = self._at_ms - self._span_ms
        if not batch or max(batch.timestamps_ms) <= surely_ms or self._settled.issuperset(batch.keys):
            return batch
        settled = self._settled
        rows = zip(batch.keys, batch.timestamps_ms, batch.values, strict=True)
        return batch.chosen(
            [
                number
                for number, (key, time_ms, value) in enumerate(rows)
                if key in settled or time_ms <= surely_ms or self._belongs(topic, time_ms, value)
            ]
        )

    def _belongs(self, topic: str, time_ms: int, value: bytes | None) -> bool:
        found = self._version_of(topic, value)
        if found is None:
            # Nobody can tell whose it is: its own time decides.
            return time_ms <= self._at_ms
        order_id, version = found
        return version <= self._versions.get(order_id, 0)

    def _version_of(self, topic: str, value: bytes | None) -> tuple[str, int] | None:
        """The order and its version, without decoding the rest of it."""
        if value is None or len(value) < HEADER_LENGTH:
            return None
        schema_id = value[1:HEADER_LENGTH]
        telling = self._tellings.get((topic, schema_id))
        if telling is None:
            try:
                telling = Telling(topic, self._schemas.schema_of(int.from_bytes(schema_id)))
            except InvalidMessage:
                return None
            self._tellings[topic, schema_id] = telling
        return telling.order_and_version(value)

    def _read_events(self) -> None:
        """Tell the orders with events near the moment apart: those that it may cut through, and the others."""
        # The event of a record within one transaction's length lies within two.
        since, until = self.at - 2 * LONGEST_TRANSACTION, self.at + 2 * LONGEST_TRANSACTION
        partitions = self._reader.partitions(ORDER_EVENTS)
        after: set[bytes | None] = {None}
        for partition in partitions:
            for batch in self._reader.batches(partition, until, since):
                after.update(batch.within(self._at_ms, milliseconds(until)).keys)
                self._settled.update(batch.within(-1, self._at_ms).keys)
        self._settled -= after
        if after == {None}:
            return
        for partition in partitions:
            for batch in self._reader.batches(partition, self.at, since):
                for key, value in zip(batch.keys, batch.values, strict=True):
                    if key in after and (found := self._version_of(ORDER_EVENTS, value)) is not None:
                        order_id, version = found
                        self._versions[order_id] = max(version, self._versions.get(order_id, 0))

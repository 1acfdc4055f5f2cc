"""One consistent cut through the topics of orders: what belongs to a moment belongs to it in all of them.

The stream workers write a version of an order, its state and its journal entries in one transaction, but each record
has a timestamp of its own: a moment may fall between them. `orders.events` decides. The versions that it had at the
moment belong to the cut, and so do their states and entries, also those with a slightly later timestamp.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from consumers.backup.archive.segments import ArchivedRecord
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.schemas import ArchivedSchemas
from consumers.backup.restore.telling import Telling
from consumers.backup.vault.needs import LONGEST_TRANSACTION, milliseconds
from consumers.sink import Partition
from schemas.codec.wire import HEADER_LENGTH
from schemas.errors import InvalidMessage
from schemas.topics import ORDER_EVENTS, ORDER_STATE, POSTINGS


class Cut:
    """The records of one moment; only those near it are decoded."""

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
        self._versions = self._versions_near()

    def records(self, partition: Partition) -> Iterator[ArchivedRecord]:
        """The records of the partition that belong to the moment, in the order of offsets. Raises as `__init__`."""
        by_version = self._is_by_version(partition)
        for record in self.candidates(partition):
            if not by_version or self._belongs(partition.topic, record):
                yield record

    def candidates(self, partition: Partition) -> Iterator[ArchivedRecord]:
        """The same and maybe some later ones, for who knows already which belong. Raises as `__init__`."""
        until = self.at + LONGEST_TRANSACTION if self._is_by_version(partition) else self.at
        return self._reader.records(partition, until)

    def bytes(self, partition: Partition) -> int:
        """How much of the copies is read for the partition, or a little more."""
        return sum(one.file.length for one in self._reader.catalogue.segments.get(partition, ()))

    def _is_by_version(self, partition: Partition) -> bool:
        return partition.topic in (ORDER_STATE, POSTINGS) and bool(self._reader.partitions(ORDER_EVENTS))

    def _belongs(self, topic: str, record: ArchivedRecord) -> bool:
        if record.timestamp_ms <= self._at_ms - self._span_ms:
            return True
        found = self._version_of(topic, record)
        if found is None:
            # Nobody can tell whose it is: its own time decides.
            return record.timestamp_ms <= self._at_ms
        order_id, version = found
        return version <= self._versions.get(order_id, 0)

    def _version_of(self, topic: str, record: ArchivedRecord) -> tuple[str, int] | None:
        """The order and its version, without decoding the rest of it."""
        value = record.value
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

    def _versions_near(self) -> dict[str, int]:
        """The version that each order had at the moment, of those with an event not long before it."""
        # The event of a record within one transaction's length lies within two.
        since = self.at - 2 * LONGEST_TRANSACTION
        versions: dict[str, int] = {}
        for partition in self._reader.partitions(ORDER_EVENTS):
            for record in self._reader.records(partition, self.at, since):
                found = self._version_of(ORDER_EVENTS, record)
                if found is not None:
                    order_id, version = found
                    versions[order_id] = max(version, versions.get(order_id, 0))
        return versions

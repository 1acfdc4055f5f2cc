"""One consistent cut through the topics of orders: what belongs to a moment belongs to it in all of them.

The stream workers write a version of an order, its state and its journal entries in one transaction, but each record
has a timestamp of its own: a moment may fall between them. `orders.events` decides. The versions that it had at the
moment belong to the cut, and so do their states and entries, also those with a slightly later timestamp.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from consumers.backup.archive.segments import ArchivedRecord
from consumers.backup.restore.reader import ArchiveReader, milliseconds
from consumers.backup.restore.schemas import ArchivedSchemas
from consumers.sink import Partition
from schemas.codec import TopicCodec
from schemas.errors import InvalidMessage
from schemas.models import JournalEntry, OrderEvent, OrderState
from schemas.topics import ORDER_EVENTS, ORDER_STATE, POSTINGS

LONGEST_TRANSACTION = timedelta(minutes=15)
"""No transaction lasts longer: the brokers' `transaction.max.timeout.ms`."""


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
        schemas = ArchivedSchemas(reader.surroundings(at).subjects)
        self._events = TopicCodec(ORDER_EVENTS, OrderEvent, schemas)
        self._states = TopicCodec(ORDER_STATE, OrderState, schemas)
        self._entries = TopicCodec(POSTINGS, JournalEntry, schemas)
        self._versions = self._versions_near()

    def records(self, partition: Partition) -> Iterator[ArchivedRecord]:
        """The records of the partition that belong to the moment, in the order of offsets. Raises as `__init__`."""
        if partition.topic not in (ORDER_STATE, POSTINGS) or not self._reader.partitions(ORDER_EVENTS):
            yield from self._reader.records(partition, self.at)
            return
        for record in self._reader.records(partition, self.at + LONGEST_TRANSACTION):
            if self._belongs(partition.topic, record):
                yield record

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
        if record.value is None:
            return None
        try:
            if topic == POSTINGS:
                entry = self._entries.decode(record.value)
                return entry.order_id, entry.order_version
            state = (
                self._states.decode(record.value) if topic == ORDER_STATE else self._events.decode(record.value).state
            )
        except InvalidMessage:
            return None
        return state.order_id, state.version

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

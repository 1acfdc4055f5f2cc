"""One consistent cut through the topics of orders: what belongs to a moment belongs to it in all of them.

The stream workers write a version of an order, its state and its journal entries in one transaction, but each record
has a timestamp of its own: a moment may fall between them. `orders.events` decides. The versions that it had at the
moment belong to the cut, and so do their states and entries, also those with a slightly later timestamp.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any

import fastavro
from fastavro.read import SchemaResolutionError
from fastavro.types import Schema

from consumers.backup.archive.segments import ArchivedRecord
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.schemas import ArchivedSchemas
from consumers.backup.vault.needs import LONGEST_TRANSACTION, milliseconds
from consumers.sink import Partition
from schemas.codec.wire import HEADER_LENGTH
from schemas.errors import InvalidMessage
from schemas.topics import ORDER_EVENTS, ORDER_STATE, POSTINGS

Projection = tuple[Schema, Schema]

_TELLING = frozenset({"state", "order_id", "version", "order_version"})


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
        self._projections: dict[int, Projection] = {}
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
        try:
            projection = self._projection(int.from_bytes(value[1:HEADER_LENGTH]))
            found: Any = fastavro.schemaless_reader(BytesIO(value[HEADER_LENGTH:]), *projection)
            part = found["state"] if topic == ORDER_EVENTS else found
            return part["order_id"], part["order_version" if topic == POSTINGS else "version"]
        except (InvalidMessage, ValueError, KeyError, EOFError, IndexError, SchemaResolutionError):
            return None

    def _projection(self, schema_id: int) -> Projection:
        """The writer's schema, and what of it is read."""
        if schema_id not in self._projections:
            written = self._schemas.schema_of(schema_id)
            self._projections[schema_id] = (
                fastavro.parse_schema(written, named_schemas={}),
                fastavro.parse_schema(_narrowed(written), named_schemas={}),
            )
        return self._projections[schema_id]

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


def _narrowed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the fields alone that tell order and version, of a nested state, too."""
    kept = [field for field in schema["fields"] if field["name"] in _TELLING]
    nested = {field["name"]: field | {"type": _narrowed(field["type"])} for field in kept if field["name"] == "state"}
    return schema | {"fields": [nested.get(field["name"], field) for field in kept]}

"""Reads one order's history from the partition of its key on each topic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import TypeVar

from consumers.group_offsets import GroupOffsets
from deploy.commands.options import Cluster
from deploy.order_history import CapturedFact, HistoryParts, ToldVendor
from deploy.record_reading import Progress, RecordReader, Span, StoredRecord, say_nothing
from schemas.attributes import CanonicalModel
from schemas.codec import TopicCodec
from schemas.errors import InvalidMessage
from schemas.models import (
    AuditEvent,
    JournalEntry,
    Mismatch,
    OrderEvent,
    OrderState,
    ParkedOrder,
    Rejection,
    VendorUpdate,
)
from schemas.registry import SchemaRegistry
from schemas.topics import (
    AUDIT,
    CAPTURED_TOPICS,
    CATALOGUE,
    MISMATCHES,
    ORDER_EVENTS,
    ORDER_STATE,
    PARKED,
    POSTINGS,
    REJECTED,
    VENDOR_UPDATES,
)

M = TypeVar("M", bound=CanonicalModel)

_CLOCKS_DIFFER = timedelta(days=1)


def read_order(
    order_id: str, cluster: Cluster, progress: Progress = say_nothing, *, everywhere: bool = False
) -> HistoryParts:
    """Everything about one order that the topics hold now.

    Of each topic only the partition of the key is read, of those that are kept for ever only from the time of the
    order's first version on; `everywhere` reads all partitions, where somebody wrote with another partitioner.

    Raises:
        ConfigurationError: a topic is missing.
        Transient: the cluster or the registry does not answer.
    """
    with closing(SchemaRegistry(cluster.registry)) as registry, RecordReader(cluster.kafka, progress) as reader:
        return _OrderReading(order_id, cluster, registry, reader, everywhere).parts()


class _OrderReading:
    def __init__(
        self, order_id: str, cluster: Cluster, registry: SchemaRegistry, reader: RecordReader, everywhere: bool
    ) -> None:
        self._order_id = order_id
        self._key = order_id.encode()
        self._cluster = cluster
        self._registry = registry
        self._reader = reader
        self._place = None if everywhere else order_id

    def parts(self) -> HistoryParts:
        parts = HistoryParts(self._order_id)
        states = [state for _, state in self._decoded(ORDER_STATE, OrderState) if state is not None]
        latest = states[-1] if states else None
        spans = self._spans_of_history(ORDER_EVENTS, latest)
        parts.events = _present(self._decoded(ORDER_EVENTS, OrderEvent, spans))
        if latest is not None and len(parts.events) < latest.version:
            # Written by other clocks than the state says: restored topics, for example.
            parts.events = _present(self._decoded(ORDER_EVENTS, OrderEvent))
            latest = None
        spans = self._spans_of_history(POSTINGS, latest)
        parts.postings = _present(self._decoded(POSTINGS, JournalEntry, spans))
        parts.vendor_updates = list(self._told_vendors(latest))
        for topic in CAPTURED_TOPICS:
            parts.captured += self._captured(topic)
        parts.rejections = [letter for _, letter in self._decoded(REJECTED, Rejection) if letter is not None]
        parts.parked = list(self._decoded(PARKED, ParkedOrder))
        parts.audits = [audit for _, audit in self._decoded(AUDIT, AuditEvent) if audit is not None]
        parts.mismatches = self._mismatches()
        if parts.events:
            places = {(record.topic, record.partition) for record, _ in parts.events}
            places |= {(record.topic, record.partition) for record, _ in parts.postings}
            offsets = GroupOffsets(self._cluster.kafka)
            for group, committed in offsets.committed(offsets.groups(), places).items():
                for (topic, partition), offset in committed.items():
                    parts.group_offsets[group, topic, partition] = offset
        return parts

    def _spans_of_history(self, topic: str, latest: OrderState | None) -> list[Span]:
        since = None if latest is None else latest.placed_at - _CLOCKS_DIFFER
        return self._reader.spans(topic, key=self._place, since=since)

    def _records(self, topic: str, spans: Iterable[Span] | None = None) -> Iterator[StoredRecord]:
        single = topic == AUDIT
        chosen = spans if spans is not None else self._reader.spans(topic, key=None if single else self._place)
        return (record for record in self._reader.read(chosen) if record.key == self._key)

    def _decoded(
        self, topic: str, model: type[M], spans: Iterable[Span] | None = None
    ) -> Iterator[tuple[StoredRecord, M | None]]:
        codec = TopicCodec(topic, model, self._registry)
        for record in self._records(topic, spans):
            yield record, None if record.value is None else codec.decode(record.value)

    def _captured(self, topic: str) -> Iterator[CapturedFact]:
        codec = TopicCodec(topic, CATALOGUE[topic].model, self._registry)
        for record in self._records(topic):
            try:
                yield CapturedFact(record, codec.decode(record.value or b""))  # type: ignore[arg-type]
            except InvalidMessage:
                yield CapturedFact(record, None)

    def _told_vendors(self, latest: OrderState | None) -> Iterator[ToldVendor]:
        """Their keys begin with the vendor, and lie on the partition of the order."""
        codec, ending = TopicCodec(VENDOR_UPDATES, VendorUpdate, self._registry), b":" + self._key
        for record in self._reader.read(self._spans_of_history(VENDOR_UPDATES, latest)):
            if record.key.endswith(ending) and record.value is not None:
                update = codec.decode(record.value)
                if update.order_id == self._order_id:
                    yield ToldVendor(record, update)

    def _mismatches(self) -> list[Mismatch]:
        """The standing differences; their keys only begin with the order, so no one partition has them all."""
        codec, found = TopicCodec(MISMATCHES, Mismatch, self._registry), dict[bytes, bytes | None]()
        for record in self._reader.read(self._reader.spans(MISMATCHES)):
            if record.key.startswith(self._key + b"/"):
                found[record.key] = record.value
        return [codec.decode(value) for value in found.values() if value is not None]


def _present(records: Iterable[tuple[StoredRecord, M | None]]) -> list[tuple[StoredRecord, M]]:
    return [(record, value) for record, value in records if value is not None]

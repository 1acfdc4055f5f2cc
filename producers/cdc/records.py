"""Makes the Kafka records of what the capture found: captured events, master records, tombstones and rejections."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final, NamedTuple
from uuid import uuid5

from producers.cdc.changes import Position
from producers.cdc.facts import Outcome, Refused, Stated, Withdrawn
from producers.cdc.native import extension
from schemas.attributes import OrderId
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import InvalidValue
from schemas.mapping import AggregateMapping, SourceMapping
from schemas.models import OriginalMessage, Rejection, SourcePosition, Violation
from schemas.models.source import EVENT_NAMESPACE, event_id_of
from schemas.topics import CAPTURED_TOPICS, LARGEST_RECORD_BYTES, REJECTED

STAGE = "capture"
_OVERHEAD_BYTES: Final = 1024
_LARGEST_CAPTURED_BYTES: Final = 1024 * 1024 - _OVERHEAD_BYTES
"""Kafka's own limit, which the captured topics keep, but for what a batch adds to its record."""
_LARGEST_BYTES: Final = LARGEST_RECORD_BYTES - _OVERHEAD_BYTES
_LARGEST_DOCUMENT_BYTES: Final = LARGEST_RECORD_BYTES // 2
"""Of the rows of a refused event; its reasons are kept whole."""
SNAPSHOT, UPSERTED, DELETED = "snapshot", "upserted", "deleted"


class Record(NamedTuple):
    """One Kafka record; a value of None is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None


class Moment(NamedTuple):
    """The source transaction (or snapshot) whose outcomes are written."""

    transaction_id: int
    position: Position
    committed_at: datetime
    captured_at: datetime
    is_snapshot: bool = False


class RecordWriter:
    """Encodes outcomes; `topics` gives the name on the cluster of a topic of the catalogue."""

    def __init__(self, mapping: SourceMapping, schemas: SchemaIds, topic_prefix: str) -> None:
        """Raises SchemaDrift if a schema is not registered, Transient while the registry is away."""
        self._system = mapping.system
        self._topic_prefix = topic_prefix
        self._version = version("ordersync")
        self.shift = 0
        """Added to each log position: positions must go on rising where a restored server's log begins lower."""
        models: dict[str, Any] = {a.topic.name: a.topic.model for a in mapping.aggregates} | {REJECTED: Rejection}
        self._codecs: dict[str, TopicCodec[Any]] = {
            name: TopicCodec(topic_prefix + name, model, schemas) for name, model in models.items()
        }
        native = extension()
        self._native: dict[str, Any] = {}
        for aggregate in mapping.aggregates:
            if native is not None and aggregate.section is not None:
                name = aggregate.topic.name
                header = self._codecs[name].header
                writer = native.EventWriter(header, name.encode(), self._system.encode(), EVENT_NAMESPACE.bytes)
                self._native[name] = writer

    @property
    def topics(self) -> list[str]:
        """Every topic that records may go to."""
        return [self._topic_prefix + name for name in self._codecs]

    def native_writer(self, aggregate: AggregateMapping) -> tuple[Callable[..., bytes], str, int] | None:
        """What writes the aggregate's events natively, their topic on the cluster, and the most bytes that it takes.

        None where `record` has to do it.
        """
        writer = self._native.get(aggregate.topic.name)
        if writer is None or aggregate.section is None:
            return None
        return writer.event, self._name(aggregate.topic.name), _most_bytes(aggregate.topic.name)

    def record(self, outcome: Outcome, moment: Moment, sequence: int) -> Record:
        """The record of one outcome; `sequence` numbers them within the transaction.

        Raises:
            InvalidValue: a fact does not fit its schema (`refusal` makes the rejection of that).
        """
        if isinstance(outcome, Refused):
            return self._rejection(outcome, moment, sequence)
        aggregate = outcome.aggregate
        if aggregate.section is None:
            return self._master(outcome, moment, self._position(moment, sequence))
        return self._event(outcome, aggregate.section, moment, sequence)

    def _event(self, outcome: Stated | Withdrawn, section: str, moment: Moment, sequence: int) -> Record:
        topic = outcome.aggregate.topic
        facts = outcome.facts if isinstance(outcome, Stated) else None
        operation = DELETED if facts is None else SNAPSHOT if moment.is_snapshot else UPSERTED
        native = self._native.get(topic.name)
        if native is not None and (facts is None or facts.__class__ is bytes):
            value = native.event(
                outcome.key,
                operation,
                moment.transaction_id,
                moment.position + self.shift,
                sequence,
                moment.committed_at,
                moment.captured_at,
                facts,
            )
            return self._fitting(topic.name, outcome.key, value)
        position = self._position(moment, sequence)
        event = topic.model.trusted(
            event_id=event_id_of(topic.name, outcome.key, position),
            order_id=OrderId(outcome.key),
            operation=operation,
            source=position,
            committed_at=moment.committed_at,
            captured_at=moment.captured_at,
            **{section: facts},
        )
        return self._fitting(topic.name, outcome.key, self._codecs[topic.name].encode(event))

    def _fitting(self, topic: str, key: str, value: bytes) -> Record:
        octets = key.encode()
        most = _most_bytes(topic)
        if len(octets) + len(value) > most:
            raise InvalidValue(
                f"the event about {key} has {len(octets) + len(value):,} bytes, more than {topic} takes ({most:,}): "
                "divide it at the source",
                rule="record_too_large",
            )
        return Record(self._topic_prefix + topic, octets, value)

    def _position(self, moment: Moment, sequence: int) -> SourcePosition:
        return SourcePosition.trusted(
            system=self._system,
            transaction_id=moment.transaction_id,
            position=moment.position + self.shift,
            sequence=sequence,
        )

    def _master(self, outcome: Stated | Withdrawn, moment: Moment, position: SourcePosition) -> Record:
        topic = outcome.aggregate.topic.name
        key = outcome.key.encode()
        if isinstance(outcome, Withdrawn):
            return Record(self._name(topic), key, None)
        assert not isinstance(outcome.facts, bytes)
        # The mapping leaves the fields of origin to the capture; the instance is nobody else's yet.
        outcome.facts.__dict__.update(source=position, committed_at=moment.committed_at, captured_at=moment.captured_at)
        return self._fitting(topic, outcome.key, self._codecs[topic].encode(outcome.facts))

    def _rejection(self, refused: Refused, moment: Moment, sequence: int) -> Record:
        origin = f"{self._system}:{refused.table}"
        place = f"{origin}/-1/{moment.position}/{sequence}"
        key = None if refused.key is None else refused.key.encode()
        rejection = Rejection(
            rejection_id=str(uuid5(EVENT_NAMESPACE, place)),
            stage=STAGE,
            order_id=_order_id(refused.aggregate, refused.key),
            violations=[
                Violation(rule=reason.rule, message=f"{origin}: {reason}", field=reason.field)
                for reason in refused.reasons
            ],
            rejected_at=moment.captured_at,
            code_version=self._version,
            original=OriginalMessage(
                topic=origin,
                partition=-1,
                offset=moment.position,
                timestamp_at=moment.committed_at,
                key=key,
                value=refused.document[:_LARGEST_DOCUMENT_BYTES],
            ),
        )
        return Record(self._name(REJECTED), key, self._codecs[REJECTED].encode(rejection))

    def _name(self, topic: str) -> str:
        return self._topic_prefix + topic


def _most_bytes(topic: str) -> int:
    """Of key and value of a record of a topic of the catalogue."""
    return _LARGEST_CAPTURED_BYTES if topic in CAPTURED_TOPICS else _LARGEST_BYTES


def _order_id(aggregate: AggregateMapping, key: str | None) -> OrderId | None:
    return None if key is None or aggregate.section is None else OrderId(key)

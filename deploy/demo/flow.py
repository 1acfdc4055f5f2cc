"""Follows the topics and the groups that read them: what flowed since the beginning, and what still waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers.registry import SINKS
from schemas.codec import TopicCodec
from schemas.errors import Fatal, Transient
from schemas.models import Rejection
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings, RegistrySettings
from schemas.topics import CAPTURED_TOPICS, CATALOGUE, ORDER_EVENTS, PARKED, POSTINGS, REJECTED
from streams.settings import StreamsSettings

_TIMEOUT_SECONDS = 10.0
_WAIT_SECONDS = 0.05
_BATCH = 5_000
_FOLLOWED = (*CAPTURED_TOPICS, ORDER_EVENTS, POSTINGS, REJECTED, PARKED)


class Place(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(slots=True)
class Flow:
    """What was seen on the topics since the beginning of the demonstration."""

    records: Counter[str] = field(default_factory=Counter)
    """Records by topic."""
    rejections: Counter[str] = field(default_factory=Counter)
    """Violations of refused events, by rule."""
    parked: set[bytes] = field(default_factory=set)
    """Keys of the orders that wait now."""
    ends: dict[Place, int] = field(default_factory=dict)
    """Offset after the last record of each partition."""

    @property
    def events(self) -> int:
        """Captured events."""
        return sum(self.records[topic] for topic in CAPTURED_TOPICS)

    @property
    def versions(self) -> int:
        """Versions of orders."""
        return self.records[ORDER_EVENTS]

    @property
    def rejected(self) -> int:
        """Refused events."""
        return self.records[REJECTED]

    @property
    def entries(self) -> int:
        """Journal entries."""
        return self.records[POSTINGS]


class FlowReader:
    """Reads only whole transactions and belongs to no group; used by one thread."""

    def __init__(self, kafka: KafkaSettings, registry: RegistrySettings) -> None:
        self.flow = Flow()
        self._schemas = SchemaRegistry(registry)
        self._codec = TopicCodec(REJECTED, Rejection, self._schemas)
        self._admin = AdminClient(kafka.client_config())
        self._consumer = Consumer(
            kafka.client_config(
                **{
                    "group.id": "ordersync-demo",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "isolation.level": "read_committed",
                    "fetch.queue.backoff.ms": 5,
                    "queued.max.messages.kbytes": 16_384,
                }
            )
        )
        self._groups = _groups()
        self._consumer.assign(self._beginnings())

    def read(self) -> Flow:
        """Take in what is new. Called about once a second.

        Raises:
            Transient: the brokers do not answer.
        """
        while messages := self._consumer.consume(_BATCH, _WAIT_SECONDS):
            for message in messages:
                self._take(message)
        return self.flow

    def lag(self) -> Mapping[str, Mapping[str, int]]:
        """Records that each group has not finished yet, by group and topic, as far as this reader has read.

        Raises:
            Transient: the brokers do not answer.
        """
        return {group: self._lag_of(group, topics) for group, topics in self._groups.items()}

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()
        self._schemas.close()

    def _take(self, message: Message) -> None:
        if message.error() is not None:
            return
        topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
        self.flow.ends[Place(topic, partition)] = offset + 1
        if topic == PARKED:
            self._take_parked(message)
            return
        self.flow.records[topic] += 1
        if topic == REJECTED:
            rejection = self._codec.decode(_bytes(message.value()))
            self.flow.rejections.update(violation.rule for violation in rejection.violations)

    def _take_parked(self, message: Message) -> None:
        key = _bytes(message.key())
        if message.value() is None:
            self.flow.parked.discard(key)
        else:
            self.flow.parked.add(key)

    def _beginnings(self) -> list[TopicPartition]:
        """The present ends; of the parked orders everything, because it is a state."""
        try:
            topics = self._admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
            beginnings = []
            for name in _FOLLOWED:
                for partition in topics[name].partitions:
                    first, last = self._consumer.get_watermark_offsets(
                        TopicPartition(name, partition), timeout=_TIMEOUT_SECONDS
                    )
                    beginnings.append(TopicPartition(name, partition, first if name == PARKED else last))
        except KafkaException as exc:
            raise Transient(f"following the topics: Kafka does not answer ({exc.args[0].str()})") from exc
        except KeyError as exc:
            raise Fatal(f"topic {exc} is missing; run `ordersync topics apply`") from exc
        return beginnings

    def _lag_of(self, group: str, topics: tuple[str, ...]) -> dict[str, int]:
        places = [place for place in self.flow.ends if place.topic in topics]
        lag = dict.fromkeys(topics, 0)
        if not places:
            return lag
        request = ConsumerGroupTopicPartitions(group, [TopicPartition(*place) for place in places])
        try:
            future = self._admin.list_consumer_group_offsets([request])[group]
            found = future.result(_TIMEOUT_SECONDS).topic_partitions
        except KafkaException as exc:
            raise Transient(f"asking for the offsets of {group}: {exc.args[0].str()}") from exc
        committed: Mapping[Place, int] = {Place(each.topic, each.partition): max(0, each.offset) for each in found}
        for place in places:
            lag[place.topic] += max(0, self.flow.ends[place] - committed.get(place, 0))
        return lag


def _groups() -> dict[str, tuple[str, ...]]:
    """Every group with the topics that it must have finished."""
    groups: dict[str, tuple[str, ...]] = {str(StreamsSettings.model_fields["group"].default): CAPTURED_TOPICS}
    for name, definition in SINKS.items():
        group = str(definition.settings.model_fields["group_id"].default)
        groups[group] = tuple(topic for topic in _FOLLOWED if name in CATALOGUE[topic].readers)
    return groups


def _bytes(part: str | bytes | None) -> bytes:
    return part.encode() if isinstance(part, str) else part or b""

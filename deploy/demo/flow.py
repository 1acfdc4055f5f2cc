"""Follows the topics and the groups that read them: what flowed since the beginning, and what still waits."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumers.registry import SINKS
from schemas.codec import TopicCodec
from schemas.errors import Fatal, Transient
from schemas.models import Rejection
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings, RegistrySettings
from schemas.topics import CAPTURED_TOPICS, CATALOGUE, ORDER_EVENTS, PARKED, POSTINGS, REJECTED
from streams.settings import StreamsSettings

_TIMEOUT_SECONDS = 10.0
# While the brokers are away the live table stands still for so long.
_QUESTION_SECONDS = 3.0
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
        self._consumer = _consumer(
            kafka,
            "ordersync-demo",
            **{
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.queue.backoff.ms": 5,
                "queued.max.messages.kbytes": 16_384,
            },
        )
        # Apart from the reader: on its connection each question would wait behind a fetch that waits for records.
        self._observer = _consumer(kafka, "ordersync-demo", **{"isolation.level": "read_committed"})
        self._groups = _groups()
        # They join no group. Asked through an admin client for groups on brokers that are away, librdkafka (2.16) ends
        # the process. What is committed in an open transaction is not waited for.
        self._members = {
            group: _consumer(kafka, group, **{"isolation.level": "read_uncommitted"}) for group in self._groups
        }
        self._through: dict[Place, int] = {}
        self._refusals: deque[bytes] = deque()

    def begin(self) -> None:
        """Follow the topics from their present ends on. Called once, before `read`; harmless to repeat.

        Raises:
            Transient: the brokers do not answer.
            Fatal: a topic is missing.
        """
        beginnings = self._beginnings()
        self._through = {Place(each.topic, each.partition): -1 for each in beginnings}
        self._consumer.assign(beginnings)

    def read(self) -> Flow:
        """Take in what is new; nothing comes while the brokers are away. Called about once a second.

        Raises:
            Transient: a partition or the registry does not answer; nothing that was read is lost.
        """
        problems: list[KafkaError] = []
        while messages := self._consumer.consume(_BATCH, _WAIT_SECONDS):
            for message in messages:
                error = message.error()
                if error is None:
                    self._take(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._through[_place(message)] = message.offset() or 0
                else:
                    problems.append(error)
        self._count_refusals()
        if problems:
            raise Transient(f"following the topics: {problems[-1].str()}")
        return self.flow

    def complete(self) -> bool:
        """Whether everything that is committed on the topics has been read.

        Raises:
            Transient: the brokers do not answer.
        """
        try:
            for place, through in self._through.items():
                _, end = self._observer.get_watermark_offsets(TopicPartition(*place), timeout=_QUESTION_SECONDS)
                if through < end:
                    return False
        except KafkaException as exc:
            raise _away("asking for the ends of the topics", exc) from exc
        return True

    def lag(self) -> Mapping[str, Mapping[str, int]]:
        """Records that each group has not finished yet, by group and topic, as far as this reader has read.

        Raises:
            Transient: the brokers do not answer.
        """
        return {group: self._lag_of(group, topics) for group, topics in self._groups.items()}

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()
        self._observer.close()
        for member in self._members.values():
            member.close()
        self._schemas.close()

    def _take(self, message: Message) -> None:
        place = _place(message)
        self.flow.ends[place] = (message.offset() or 0) + 1
        if place.topic == PARKED:
            self._take_parked(message)
            return
        self.flow.records[place.topic] += 1
        if place.topic == REJECTED:
            self._refusals.append(_bytes(message.value()))

    def _count_refusals(self) -> None:
        # Apart from their reading: where the registry is away they wait for it, and nothing else does.
        while self._refusals:
            rejection = self._codec.decode(self._refusals[0])
            self.flow.rejections.update(violation.rule for violation in rejection.violations)
            self._refusals.popleft()

    def _take_parked(self, message: Message) -> None:
        key = _bytes(message.key())
        if message.value() is None:
            self.flow.parked.discard(key)
        else:
            self.flow.parked.add(key)

    def _beginnings(self) -> list[TopicPartition]:
        """The present ends; of the parked orders everything, because it is a state."""
        try:
            topics = self._consumer.list_topics(timeout=_TIMEOUT_SECONDS).topics
            beginnings = []
            for name in _FOLLOWED:
                for partition in topics[name].partitions:
                    first, last = self._observer.get_watermark_offsets(
                        TopicPartition(name, partition), timeout=_TIMEOUT_SECONDS
                    )
                    beginnings.append(TopicPartition(name, partition, first if name == PARKED else last))
        except KafkaException as exc:
            raise _away("following the topics", exc) from exc
        except KeyError as exc:
            raise Fatal(f"topic {exc} is missing; run `ordersync topics apply`") from exc
        return beginnings

    def _lag_of(self, group: str, topics: tuple[str, ...]) -> dict[str, int]:
        places = [place for place in self.flow.ends if place.topic in topics]
        lag = dict.fromkeys(topics, 0)
        if not places:
            return lag
        try:
            found = self._members[group].committed([TopicPartition(*place) for place in places], _QUESTION_SECONDS)
        except KafkaException as exc:
            raise _away(f"asking for the offsets of {group}", exc) from exc
        committed: Mapping[Place, int] = {Place(each.topic, each.partition): max(0, each.offset) for each in found}
        if problems := [each.error for each in found if each.error is not None]:
            raise _away(f"asking for the offsets of {group}", KafkaException(problems[0]))
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


def _place(message: Message) -> Place:
    return Place(message.topic() or "", message.partition() or 0)


def _consumer(kafka: KafkaSettings, group: str, **settings: object) -> Consumer:
    # That the brokers are away is shown as what is not known, and needs no lines of its own.
    return Consumer(kafka.client_config(**{"group.id": group, "enable.auto.commit": False, "log_level": 2, **settings}))


def _away(doing: str, exc: KafkaException) -> Transient:
    """Whatever Kafka answers to one who only looks on, it may answer otherwise a moment later."""
    return Transient(f"{doing}: Kafka does not answer ({exc.args[0].str()})")


def _bytes(part: str | bytes | None) -> bytes:
    return part.encode() if isinstance(part, str) else part or b""

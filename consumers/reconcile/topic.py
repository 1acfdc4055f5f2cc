"""Reads a topic from its beginning, or from where it was, to what is its end at each call; whole transactions only."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from time import monotonic

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumers.kafka import kafka_error, named_offset
from schemas.errors import ConfigurationError, Transient
from schemas.settings import KafkaSettings

_POLLED = 5000
_ANSWER_SECONDS = 15.0
_SILENT_SECONDS = 30.0

Offsets = Mapping[int, int]
"""Partition to the offset of the next record."""


class TopicReader:
    """A reader without a group: it commits nothing and shares nothing."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self.topic = topic
        config = settings.client_config(
            **{
                "group.id": f"ordersync.reconcile.{topic}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                # At the default of one second a full queue throttles long runs to half their speed.
                "fetch.queue.backoff.ms": 5,
                "fetch.wait.max.ms": 50,
            }
        )
        self._consumer = Consumer(config)
        self._admin = AdminClient(settings.client_config())

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def ends(self) -> dict[int, int]:
        """The end of each partition, up to which every transaction is decided.

        Raises:
            ConfigurationError: there is no such topic, or it may not be read.
            Transient: Kafka does not answer.
        """
        try:
            # Asked of the same client: without it, it would go on with the leaders' epochs from before a restart.
            metadata = self._admin.list_topics(self.topic, timeout=_ANSWER_SECONDS).topics[self.topic]
            if metadata.error is not None:
                raise ConfigurationError(
                    f"topic {self.topic} cannot be read: {metadata.error.str()}; run `ordersync topics apply`"
                )
            asked = {TopicPartition(self.topic, partition): OffsetSpec.latest() for partition in metadata.partitions}
            answers = self._admin.list_offsets(
                asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_ANSWER_SECONDS
            )
            doing = f"reading the ends of {self.topic}"
            return {partition.partition: named_offset(answer.result(), doing) for partition, answer in answers.items()}
        except KafkaException as exc:
            raise kafka_error(exc, f"reading {self.topic}") from exc

    def scan(self, starts: Offsets, ends: Offsets) -> Generator[Message]:
        """Every record of the partitions of `ends` from `starts` (else the beginning) to `ends`; one scan at a time.

        Raises:
            Transient: Kafka does not answer.
        """
        yield from self._scan(starts, ends)

    def _scan(self, starts: Offsets, ends: Offsets, *, is_first_enough: bool = False) -> Generator[Message]:
        behind = {partition for partition, end in ends.items() if starts.get(partition, 0) < end}
        assigned = [
            TopicPartition(self.topic, partition, starts.get(partition) or OFFSET_BEGINNING) for partition in behind
        ]
        if not assigned:
            return
        self._consumer.assign(assigned)
        heard = monotonic()
        try:
            while behind:
                for message in self._consumer.consume(_POLLED, 0.2):
                    partition, offset = message.partition() or 0, message.offset() or 0
                    if (error := message.error()) is None:
                        if offset < ends[partition] and partition in behind:
                            yield message
                            if is_first_enough:
                                behind.discard(partition)
                        offset += 1
                    elif error.code() != KafkaError._PARTITION_EOF:
                        self._raise(error)
                        continue
                    # Markers of transactions may stand between the last record and the end.
                    if offset >= ends[partition]:
                        behind.discard(partition)
                    heard = monotonic()
                if monotonic() - heard > _SILENT_SECONDS:
                    raise Transient(f"reading {self.topic}: silent for {_SILENT_SECONDS:.0f} s; is the broker running?")
        finally:
            # Also where the caller has enough: the client would go on to fetch.
            self._consumer.unassign()

    def heads(self, starts: Offsets, ends: Offsets) -> dict[int, float]:
        """When the first record at or after `starts` was written, in seconds since 1970, of each partition with one.

        Raises:
            Transient: Kafka does not answer.
        """
        return {
            message.partition() or 0: message.timestamp()[1] / 1000
            for message in self._scan(starts, ends, is_first_enough=True)
        }

    @property
    def topic_id(self) -> str:
        """What tells a topic from another one of the same name, made after it was deleted.

        Raises:
            ConfigurationError: there is no such topic, or it may not be read.
            Transient: Kafka does not answer.
        """
        try:
            asked = self._admin.describe_topics(TopicCollection([self.topic]), request_timeout=_ANSWER_SECONDS)
            return str(asked[self.topic].result().topic_id)
        except KafkaException as exc:
            raise kafka_error(exc, f"asking for {self.topic}") from exc

    def _raise(self, error: KafkaError) -> None:
        problem = kafka_error(error, f"reading {self.topic}")
        if not isinstance(problem, Transient):
            raise problem


class TopicFollower:
    """Reads on from where its last call ended."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._reader = TopicReader(settings, topic)
        self._reached: dict[int, int] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()

    def rewind(self) -> None:
        """Begin at the beginning with the next call."""
        self._reached = {}

    def advance(self) -> Iterator[Message]:
        """Every record that was written since the last call; to be taken to the end.

        Raises:
            ConfigurationError: there is no such topic, or it may not be read.
            Transient: Kafka does not answer.
        """
        ends = self._reader.ends()
        yield from self._reader.scan(self._reached, ends)
        self._reached = ends


def value_of(message: Message) -> bytes | None:
    """The record's value; None for a tombstone."""
    value = message.value()
    return value.encode() if isinstance(value, str) else value

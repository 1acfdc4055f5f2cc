"""The topics of the policy on one cluster: where their partitions begin and end, and the records from a position on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.settings import ArchiveSettings
from consumers.kafka import kafka_error, named_offset
from consumers.sink import Partition
from schemas.errors import ConfigurationError, Transient

_ANSWER_SECONDS = 20.0
_NEW_TOPIC_SECONDS = 5.0
_BATCH = 10_000


class TopicReader:
    """Reads all partitions of some topics, whole transactions only; positions come from the caller.

    Partitions have the catalogue's topic names here, whatever they are called on the cluster.
    """

    def __init__(self, settings: ArchiveSettings, topics: Iterable[str]) -> None:
        self._prefix = settings.topic_prefix
        self._topics = tuple(topics)
        self._missing_since: float | None = None
        self._admin_config = settings.kafka.client_config()
        self._admin = AdminClient(self._admin_config)
        self._consumer = Consumer(
            settings.kafka.client_config(
                **{
                    # Never subscribes and never commits; the client asks for one.
                    "group.id": "ordersync-archive",
                    "isolation.level": "read_committed",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "error",
                    "enable.partition.eof": True,
                    "fetch.queue.backoff.ms": 5,
                    "fetch.wait.max.ms": 100,
                    "queued.max.messages.kbytes": settings.queue_kbytes,
                }
            )
        )

    def partitions(self) -> list[Partition]:
        """Every partition of every topic.

        Raises:
            ConfigurationError: a topic does not exist.
            Transient: the brokers are away, or a topic may have been made just now.
        """
        try:
            known = self._admin.list_topics(timeout=_ANSWER_SECONDS).topics
        except KafkaException as exc:
            raise kafka_error(exc, "reading the list of topics") from exc
        missing = [topic for topic in self._topics if self._prefix + topic not in known]
        if not missing:
            self._missing_since = None
        else:
            self._missing_since = self._missing_since or monotonic()
            if monotonic() - self._missing_since < _NEW_TOPIC_SECONDS:
                # A broker that has just started, or a topic that was just made, is not known everywhere at once.
                raise Transient(f"the cluster does not know {', '.join(missing)} yet")
            raise ConfigurationError(
                f"the policy names {', '.join(missing)}, which the cluster does not have; run `ordersync topics apply`"
            )
        return [Partition(topic, number) for topic in self._topics for number in known[self._prefix + topic].partitions]

    def beginnings(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The first offset that each still has. Raises `Transient`."""
        return self._offsets(partitions, OffsetSpec.earliest())

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset after the last finished transaction of each. Raises `Transient`."""
        return self._offsets(partitions, OffsetSpec.latest())

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Read from these positions on."""
        self._consumer.assign(
            [TopicPartition(self._prefix + topic, number, offset) for (topic, number), offset in positions.items()]
        )

    def seek(self, partition: Partition, offset: int) -> None:
        """Read one partition from another position on, after its own was lost."""
        self._consumer.seek(TopicPartition(self._prefix + partition.topic, partition.number, offset))

    def poll(self, wait_seconds: float) -> list[Message]:
        """Records and ends of partitions, in order within each partition.

        Raises:
            Transient: the brokers are away.
            Fatal: they refuse us.
        """
        try:
            return self._consumer.consume(_BATCH, wait_seconds)
        except KafkaException as exc:
            raise kafka_error(exc, "reading topics for the archive") from exc

    def partition_of(self, message: Message) -> Partition:
        """Where a message came from."""
        return Partition((message.topic() or "").removeprefix(self._prefix), message.partition() or 0)

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def _offsets(self, partitions: Iterable[Partition], spec: Any) -> dict[Partition, int]:
        asked = {TopicPartition(self._prefix + topic, number): spec for topic, number in partitions}
        futures = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_ANSWER_SECONDS
        )
        doing = "reading the ends of topics"
        try:
            return {
                Partition(one.topic.removeprefix(self._prefix), one.partition): named_offset(future.result(), doing)
                for one, future in futures.items()
            }
        except (KafkaException, Transient) as exc:
            # This client asks with the leader's epoch from before the brokers' restart for as long as it lives.
            self._admin = AdminClient(self._admin_config)
            if isinstance(exc, KafkaException):
                raise kafka_error(exc, doing) from exc
            raise


def archived(message: Message) -> ArchivedRecord:
    """The record to the byte."""
    kind, milliseconds = message.timestamp()
    headers = message.headers()
    return ArchivedRecord(
        message.offset() or 0,
        milliseconds,
        kind,
        message.key(),
        message.value(),
        tuple(headers) if headers else (),  # type: ignore[arg-type]
    )


def is_end(error: KafkaError) -> bool:
    """Whether an event says that a partition has been read to its end."""
    return bool(error.code() == KafkaError._PARTITION_EOF)


def is_expired(error: KafkaError) -> bool:
    """Whether an event says that the position is no longer in the log."""
    return bool(error.code() == KafkaError._AUTO_OFFSET_RESET)


def require_passing(error: KafkaError) -> None:
    """Raise unless time heals it: the client goes on by itself then."""
    problem = kafka_error(error, "reading topics for the archive")
    if not isinstance(problem, Transient):
        raise problem

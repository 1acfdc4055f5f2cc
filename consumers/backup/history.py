"""What `backup.orders` already holds: the head of each chain, and how far each topic was copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumers.backup.chain import GENESIS, ChainHead
from consumers.backup.settings import BackupSettings
from consumers.kafka import kafka_error, named_offset
from consumers.sink import Partition
from schemas.codec import TopicCodec
from schemas.errors import Fatal, Transient
from schemas.models import BackupRecord

_ANSWER_SECONDS = 20.0
_SILENCE_SECONDS = 10.0
_FIRST_STEP = 8


class BackupHistory:
    """Reads the backup topic and the group's committed offsets, seeing whole transactions only."""

    def __init__(self, settings: BackupSettings, codec: TopicCodec[BackupRecord]) -> None:
        self._codec = codec
        self._group_id = settings.group_id
        self._admin_config = settings.kafka.client_config()
        self._admin = AdminClient(self._admin_config)
        # Never subscribes, so it takes nothing from the group.
        self._consumer = Consumer(
            settings.kafka.client_config(
                **{
                    "group.id": settings.group_id,
                    "isolation.level": "read_committed",
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "error",
                    "fetch.wait.max.ms": 50,
                }
            )
        )

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The group's offsets, without those that an open transaction is about to move: the chain decides then.

        Raises:
            Transient: the brokers are away.
        """
        asked = ConsumerGroupTopicPartitions(self._group_id, [TopicPartition(*partition) for partition in partitions])
        # Stable offsets would be waited for, and for ever where the brokers lost the end of a transaction.
        futures = self._admin.list_consumer_group_offsets(
            [asked], require_stable=False, request_timeout=_ANSWER_SECONDS
        )
        try:
            found = futures[self._group_id].result().topic_partitions
        except KafkaException as exc:
            raise kafka_error(exc, "reading the backup's positions") from exc
        for one in found:
            if one.error is not None:
                raise kafka_error(one.error, "reading the backup's positions")
        return {Partition(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def last(self, number: int) -> BackupRecord | None:
        """The last link of the partition's chain; None where it has none.

        Raises:
            Transient: the brokers are away, or a killed worker's transaction has not been aborted yet.
        """
        low, end = self._settled_range(number)
        step = _FIRST_STEP
        while end > low:
            start = max(low, end - step)
            last = None
            for last in self._links(number, start, end):  # noqa: B007  only the last one counts
                pass
            if last is not None or start == low:
                return last
            # Nothing but markers and aborted records: look further back.
            step *= 8
        return None

    def copied_through(self, number: int) -> dict[Partition, int]:
        """Offset after the last copied record of each topic, found by reading the whole chain of the partition."""
        low, end = self._settled_range(number)
        reached: dict[Partition, int] = {}
        for link in self._links(number, low, end):
            original = link.original
            reached[Partition(original.topic, original.partition)] = original.offset + 1
        return reached

    def partition_counts(self, topics: Iterable[str]) -> dict[str, int]:
        """How many partitions each topic has; 0 where it does not exist."""
        try:
            known = self._admin.list_topics(timeout=_ANSWER_SECONDS).topics
        except KafkaException as exc:
            raise kafka_error(exc, "reading the list of topics") from exc
        return {topic: len(known[topic].partitions) if topic in known else 0 for topic in topics}

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def _settled_range(self, number: int) -> tuple[int, int]:
        """First offset and end of the partition, once no transaction is open on it."""
        low = self._offset(number, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
        end = self._offset(number, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
        stable = self._offset(number, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
        if stable < end:
            raise Transient(
                f"{self._codec.topic}/{number}: a transaction of another worker is open from offset {stable}; the "
                "brokers abort it when its time is over"
            )
        return low, end

    def _offset(self, number: int, spec: OffsetSpec, isolation: IsolationLevel) -> int:
        asked = TopicPartition(self._codec.topic, number)
        futures = self._admin.list_offsets({asked: spec}, isolation_level=isolation, request_timeout=_ANSWER_SECONDS)
        doing = f"reading the end of {self._codec.topic}/{number}"
        try:
            return named_offset(futures[asked].result(), doing)
        except (KafkaException, Transient) as exc:
            # This client asks with the leader's epoch from before the brokers' restart for as long as it lives.
            self._admin = AdminClient(self._admin_config)
            if isinstance(exc, KafkaException):
                raise kafka_error(exc, doing) from exc
            raise

    def _links(self, number: int, start: int, end: int) -> Iterator[BackupRecord]:
        self._consumer.assign([TopicPartition(self._codec.topic, number, start)])
        heard_at = monotonic()
        try:
            while True:
                for message in self._consumer.consume(1000, 0.1):
                    heard_at = monotonic()
                    error = message.error()
                    if error is None:
                        if (message.offset() or 0) >= end:
                            return
                        yield self._codec.decode(message.value() or b"")
                    elif error.code() == KafkaError._PARTITION_EOF:
                        return
                    elif not isinstance(problem := kafka_error(error, f"reading {self._codec.topic}"), Transient):
                        raise problem
                if monotonic() - heard_at > _SILENCE_SECONDS:
                    raise Transient(f"{self._codec.topic}/{number}: no record for {_SILENCE_SECONDS:.0f} s")
        finally:
            self._consumer.unassign()


def head_after(last: BackupRecord | None) -> ChainHead:
    """Where the chain goes on after its last link."""
    return GENESIS if last is None else ChainHead(last.sequence + 1, last.hash)


def require_same_partitions(partitions: Iterable[Partition], topics: tuple[str, ...]) -> set[int]:
    """The numbers of the assigned partitions, each of which must be there for every topic.

    Raises:
        Fatal: the topics' partitions are split among workers, so a chain would have two writers.
    """
    numbers: dict[int, set[str]] = {}
    for partition in partitions:
        numbers.setdefault(partition.number, set()).add(partition.topic)
    for number, held in numbers.items():
        if held != set(topics):
            raise Fatal(
                f"partition {number} of {', '.join(sorted(set(topics) - held))} went to another worker: give all "
                "topics of the backup the same number of partitions (`ordersync topics apply`)"
            )
    return set(numbers)

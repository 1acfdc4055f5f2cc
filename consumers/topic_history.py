"""What a sink from topics to a topic has already written there, and the offsets that its group committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumers.group_offsets import GroupOffsets
from consumers.kafka import kafka_error, named_offset, reader_config
from consumers.settings import SinkSettings
from consumers.sink import Partition
from schemas.errors import ConfigurationError, Transient

_ANSWER_SECONDS = 20.0
_SILENCE_SECONDS = 10.0
_FIRST_STEP = 8


class TopicHistory:
    """Reads the topic that a sink writes to and its group's committed offsets, seeing whole transactions only."""

    def __init__(self, settings: SinkSettings, topic: str) -> None:
        self.topic = topic
        self._group_id = settings.group_id
        self._admin_config = settings.kafka.client_config()
        self._admin = AdminClient(self._admin_config)
        self._offsets = GroupOffsets(settings.kafka)
        self._consumer = Consumer(reader_config(settings))

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The group's offsets, without those that an open transaction is about to move: the topic decides then.

        Raises:
            Transient: the brokers are away.
        """
        # Stable offsets would be waited for, and for ever where the brokers lost the end of a transaction.
        found = self._offsets.committed([self._group_id], list(partitions))[self._group_id]
        return {Partition(*place): offset for place, offset in found.items()}

    def partition_counts(self, topics: Iterable[str]) -> dict[str, int]:
        """How many partitions each topic has; 0 where it does not exist."""
        try:
            known = self._admin.list_topics(timeout=_ANSWER_SECONDS).topics
        except KafkaException as exc:
            raise kafka_error(exc, "reading the list of topics") from exc
        return {topic: len(known[topic].partitions) if topic in known else 0 for topic in topics}

    def require_equal_counts(self, topics: Iterable[str]) -> None:
        """Compare the topics' partition counts.

        Raises:
            ConfigurationError: they differ, or a topic does not exist.
        """
        counts = self.partition_counts(topics)
        if len(set(counts.values())) != 1 or 0 in counts.values():
            listed = ", ".join(f"{topic} {count}" for topic, count in counts.items())
            raise ConfigurationError(
                f"{self._group_id} needs its topics with the same number of partitions, found {listed}; run `ordersync "
                "topics apply`"
            )

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def settled_range(self, number: int) -> tuple[int, int]:
        """First offset and end of the partition, once no transaction is open on it.

        Raises:
            Transient: the brokers are away, or a killed worker's transaction has not been aborted yet.
        """
        low = self._offset(number, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
        end = self._offset(number, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
        stable = self._offset(number, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
        if stable < end:
            raise Transient(
                f"{self.topic}/{number}: a transaction of another worker is open from offset {stable}; the "
                "brokers abort it when its time is over"
            )
        return low, end

    def last_record(self, number: int) -> Message | None:
        """The last committed record of a partition; None where it has none.

        Raises:
            Transient: the brokers are away, or a killed worker's transaction has not been aborted yet.
        """
        low, end = self.settled_range(number)
        step = _FIRST_STEP
        while end > low:
            start = max(low, end - step)
            last = None
            for last in self.records(number, start, end):  # noqa: B007  only the last one counts
                pass
            if last is not None or start == low:
                return last
            # Nothing but markers and aborted records: look further back.
            step *= 8
        return None

    def _offset(self, number: int, spec: OffsetSpec, isolation: IsolationLevel) -> int:
        asked = TopicPartition(self.topic, number)
        futures = self._admin.list_offsets({asked: spec}, isolation_level=isolation, request_timeout=_ANSWER_SECONDS)
        doing = f"reading the end of {self.topic}/{number}"
        try:
            return named_offset(futures[asked].result(), doing)
        except (KafkaException, Transient) as exc:
            # This client asks with the leader's epoch from before the brokers' restart for as long as it lives.
            self._admin = AdminClient(self._admin_config)
            if isinstance(exc, KafkaException):
                raise kafka_error(exc, doing) from exc
            raise

    def records(self, number: int, start: int, end: int) -> Iterator[Message]:
        """The committed records of a partition from `start` to before `end`.

        Raises:
            Transient: they stay away.
        """
        self._consumer.assign([TopicPartition(self.topic, number, start)])
        heard_at = monotonic()
        try:
            while True:
                for message in self._consumer.consume(1000, 0.1):
                    heard_at = monotonic()
                    error = message.error()
                    if error is None:
                        if (message.offset() or 0) >= end:
                            return
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:
                        return
                    elif not isinstance(problem := kafka_error(error, f"reading {self.topic}"), Transient):
                        raise problem
                if monotonic() - heard_at > _SILENCE_SECONDS:
                    raise Transient(f"{self.topic}/{number}: no record for {_SILENCE_SECONDS:.0f} s")
        finally:
            self._consumer.unassign()

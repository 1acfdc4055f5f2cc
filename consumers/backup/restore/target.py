"""The cluster that a restore writes to: topics made for it, records in their order, and the proof of what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from struct import Struct
from time import monotonic, sleep
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from consumers.backup.archive.kafka import is_end, require_passing
from consumers.backup.archive.segments import ArchivedRecord
from consumers.backup.archive.surroundings import GroupOffset, TopicConfiguration
from consumers.kafka import kafka_error, named_offset
from consumers.sink import Partition
from schemas.errors import BackupRefused, ConfigurationError, Fatal, Transient
from schemas.settings import KafkaSettings

_SECONDS = 60.0
_LEADER_PAUSE_SECONDS = 0.2
_NUMBER = Struct(">q")
_RECORD = Struct(">qqqq")


class RestoreTarget:
    """Topics under a prefix of their own; nothing that exists is written to unless this restore began it."""

    def __init__(self, kafka: KafkaSettings, prefix: str) -> None:
        self._kafka = kafka
        self._prefix = prefix
        self._admin = AdminClient(kafka.client_config())
        self._producer: Producer | None = None
        self._consumer: Consumer | None = None
        self._failures: list[KafkaError] = []

    def create(self, topics: Sequence[TopicConfiguration]) -> None:
        """Make the topics as they were laid out.

        Raises:
            ConfigurationError: one of them exists.
            Transient: the brokers are away.
        """
        try:
            known = self._admin.list_topics(timeout=_SECONDS).topics
            if there := [self._prefix + one.name for one in topics if self._prefix + one.name in known]:
                raise ConfigurationError(
                    f"{', '.join(there)}: a restore writes to new topics only; choose another --prefix, or go on with "
                    "--resume where an earlier attempt of the same restore was interrupted"
                )
            # Old records would expire at once in topics that delete by age; who takes them into use sets that again.
            new = [
                NewTopic(self._prefix + one.name, one.partitions, config=one.config | {"retention.ms": "-1"})
                for one in topics
            ]
            for future in self._admin.create_topics(new, operation_timeout=_SECONDS).values():
                future.result()
        except KafkaException as exc:
            raise kafka_error(exc, "making the topics of the restore") from exc
        self._await_leaders([Partition(one.name, number) for one in topics for number in range(one.partitions)])

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """How many records each partition has; restored topics have no gaps. Raises `Transient`."""
        asked = {TopicPartition(self._prefix + topic, number): OffsetSpec.latest() for topic, number in partitions}
        doing = "reading the ends of the restored topics"
        try:
            return {
                Partition(one.topic.removeprefix(self._prefix), one.partition): named_offset(future.result(), doing)
                for one, future in self._admin.list_offsets(asked, request_timeout=_SECONDS).items()
            }
        except (KafkaException, Transient) as exc:
            # This client asks with the leader's epoch from before the brokers' restart for as long as it lives.
            self._admin = AdminClient(self._kafka.client_config())
            if isinstance(exc, KafkaException):
                raise kafka_error(exc, doing) from exc
            raise

    def write(self, partition: Partition, records: Iterable[ArchivedRecord]) -> int:
        """Append the records in their order; returns when the brokers have them all.

        Not in a transaction: so each record's new offset is its number, and an interrupted restore can go on.

        Raises:
            Transient: the brokers did not take all of them; `ends` tells how far it came.
        """
        producer, failures = self._writer(), self._failures
        written = 0
        for record in records:
            self._produce(producer, partition, record)
            written += 1
            if failures:
                break
        left = producer.flush(_SECONDS) if written else 0
        if failures or left:
            told = failures[0].str() if failures else f"{left} records were not confirmed"
            raise Transient(
                f"restoring {self._prefix}{partition.topic}/{partition.number}: {told}; go on with --resume"
            )
        return written

    def read(self, partition: Partition, count: int) -> Iterator[ArchivedRecord]:
        """The first `count` records of a restored partition. Raises `Transient`."""
        if not count:
            return
        consumer = self._reader()
        consumer.assign([TopicPartition(self._prefix + partition.topic, partition.number, 0)])
        seen = 0
        while seen < count:
            messages = consumer.consume(min(10_000, count - seen), 0.2)
            for message in messages:
                error = message.error()
                if error is not None:
                    if is_end(error):
                        return
                    require_passing(error)
                    continue
                seen += 1
                kind, timestamp = message.timestamp()
                headers: Any = message.headers() or ()
                key: Any = message.key()
                value: Any = message.value()
                yield ArchivedRecord(message.offset() or 0, timestamp, kind, key, value, tuple(headers))

    def close(self) -> None:
        """Give the connections back; what follows opens new ones."""
        consumer, self._consumer, self._producer = self._consumer, None, None
        if consumer is not None:
            consumer.close()

    def set_offsets(self, offsets: Iterable[GroupOffset], group_prefix: str) -> int:
        """Commit the groups' positions, already in terms of the restored topics. Raises `Transient`."""
        groups: dict[str, list[TopicPartition]] = {}
        for one in offsets:
            place = TopicPartition(self._prefix + one.topic, one.partition, one.offset)
            groups.setdefault(group_prefix + one.group, []).append(place)
        for group, places in groups.items():
            self._set_offsets(ConsumerGroupTopicPartitions(group, places))
        return len(groups)

    def _set_offsets(self, asked: ConsumerGroupTopicPartitions) -> None:
        deadline = monotonic() + _SECONDS
        doing = f"setting the offsets of consumer group {asked.group_id}"
        while True:
            try:
                (future,) = self._admin.alter_consumer_group_offsets([asked], request_timeout=_SECONDS).values()
                refused = [one.error for one in future.result().topic_partitions if one.error is not None]
            except KafkaException as exc:
                raise kafka_error(exc, doing) from exc
            if not refused:
                return
            problem = kafka_error(refused[0], doing)
            # The first group of a new cluster meets a coordinator that is still being loaded.
            if not isinstance(problem, Transient) or monotonic() > deadline:
                raise problem
            sleep(_LEADER_PAUSE_SECONDS)

    def _writer(self) -> Producer:
        if self._producer is None:
            failures = self._failures = []

            def on_delivery(error: KafkaError | None, _message: object) -> None:
                if error is not None:
                    failures.append(error)

            self._producer = Producer(self._kafka.producer_config(**{"on_delivery": on_delivery, "linger.ms": 20}))
        return self._producer

    def _reader(self) -> Consumer:
        if self._consumer is None:
            config = {"group.id": "ordersync-restore", "enable.auto.commit": False, "enable.partition.eof": True}
            # At the default of half a second, each partition's end is waited for so long.
            self._consumer = Consumer(self._kafka.client_config(**config, **{"fetch.wait.max.ms": 20}))
        return self._consumer

    def _await_leaders(self, partitions: Sequence[Partition]) -> None:
        """Wait until each new partition answers. Raises `Transient` where one does not in time."""
        deadline = monotonic() + _SECONDS
        while True:
            try:
                self.ends(partitions)
            except ConfigurationError:
                raise
            # The client has no code of its own for partitions that have no leader yet.
            except (Transient, Fatal):
                if monotonic() > deadline:
                    raise
                sleep(_LEADER_PAUSE_SECONDS)
            else:
                return

    def _produce(self, producer: Producer, partition: Partition, record: ArchivedRecord) -> None:
        while True:
            try:
                producer.produce(
                    self._prefix + partition.topic,
                    record.value,
                    record.key,
                    partition.number,
                    timestamp=record.timestamp_ms,
                    headers=list(record.headers),
                )
            except BufferError:
                producer.poll(0.1)
            else:
                producer.poll(0)
                return


class Digest:
    """Number and SHA-256 of records without their offsets: equal if, and only if, they are the same to the byte."""

    def __init__(self) -> None:
        self.records = 0
        self._hashed = sha256()

    def through(self, records: Iterable[ArchivedRecord]) -> Iterator[ArchivedRecord]:
        """The same records, each counted and hashed on its way."""
        for record in records:
            self._take(record)
            yield record

    def of(self, records: Iterable[ArchivedRecord]) -> Digest:
        """Take all of them; gives itself."""
        for record in records:
            self._take(record)
        return self

    @property
    def sha256(self) -> str:
        """Of everything that came."""
        return self._hashed.hexdigest()

    def _take(self, record: ArchivedRecord) -> None:
        _, timestamp_ms, _, key, value, headers = record
        sizes = -1 if key is None else len(key), -1 if value is None else len(value)
        self._hashed.update(_RECORD.pack(timestamp_ms, len(headers), *sizes) + (key or b"") + (value or b""))
        for name, content in headers:
            self._hashed.update(b"".join((*_sized(name.encode()), *_sized(content))))
        self.records += 1


def require_same(partition: Partition, wanted: Digest, found: Digest) -> None:
    """Refuse a restored partition that is not the archive's.

    Raises:
        BackupRefused: as said.
    """
    if (wanted.records, wanted.sha256) != (found.records, found.sha256):
        raise BackupRefused(
            f"{partition.topic}/{partition.number} was restored with {found.records} records, the archive has "
            f"{wanted.records}" + ("" if wanted.records != found.records else ", and their content differs"),
            reason="restore_differs",
        )


def _sized(part: bytes | None) -> tuple[bytes, bytes]:
    return (_NUMBER.pack(-1), b"") if part is None else (_NUMBER.pack(len(part)), part)

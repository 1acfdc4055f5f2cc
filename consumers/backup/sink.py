"""Copies every record of the order topics into hash chains, exactly once, through Kafka transactions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from consumers.backup.chain import ChainHead, next_link
from consumers.backup.history import BackupHistory, head_after, require_same_partitions
from consumers.backup.settings import BackupSettings
from consumers.kafka import kafka_error
from consumers.original import original_of
from consumers.sink import Batch, Partition, Reading
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError, Fatal, PositionConflict
from schemas.models import BackupRecord
from schemas.topics import (
    BACKUP,
    FULFILMENT_CAPTURED,
    ORDER_EVENTS,
    ORDERS_CAPTURED,
    PAYMENTS_CAPTURED,
    POSTINGS,
    REJECTED,
)

NAME = "backup"
TOPICS = (ORDERS_CAPTURED, FULFILMENT_CAPTURED, PAYMENTS_CAPTURED, ORDER_EVENTS, REJECTED, POSTINGS)
_log = logging.getLogger(__name__)
_KAFKA_SECONDS = 30.0
_ABORT_SECONDS = 5.0


class BackupSink:
    """From all order topics to the same-numbered partition of `backup.orders`, one chain a partition.

    The links and the positions (the group's offsets, moved inside the transaction) commit together. A worker that lost
    its partitions has an old generation of the group, with which the brokers take no offsets.
    """

    name = NAME
    commits_group_offsets = True

    def __init__(self, settings: BackupSettings, schemas: SchemaIds) -> None:
        self.topics = tuple(settings.topic(topic) for topic in TOPICS)
        self._codec = TopicCodec(settings.topic(BACKUP), BackupRecord, schemas)
        self._history = BackupHistory(settings, self._codec)
        self._heads: dict[int, ChainHead] = {}
        self._producer: Producer | None = None
        self._undelivered: KafkaError | None = None
        self._producer_config = settings.kafka.producer_config(
            **{
                # One process, one id: after a failure the next producer ends what the last one left open.
                "transactional.id": f"{settings.group_id}-{uuid4()}",
                "transaction.timeout.ms": int(settings.transaction_timeout_seconds * 1000),
                "queue.buffering.max.messages": 1_000_000,
                # The default of 100 ms between attempts makes each commit that slow.
                "retry.backoff.ms": 10,
                "on_delivery": self._on_delivery,
            },
        )

    def prepare(self) -> None:
        """Compare the topics' partition counts.

        Raises:
            ConfigurationError: they differ, or a topic does not exist.
        """
        counts = self._history.partition_counts((*self.topics, self._codec.topic))
        if len(set(counts.values())) != 1 or 0 in counts.values():
            listed = ", ".join(f"{topic} {count}" for topic, count in counts.items())
            raise ConfigurationError(
                f"the backup needs its topics with the same number of partitions, found {listed}; run `ordersync "
                "topics apply`"
            )

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The group's offsets, and in memory the heads of the chains; the chain decides where the two disagree."""
        wanted = list(partitions)
        self._heads = {}
        found = self._history.committed(wanted)
        for number in require_same_partitions(wanted, self.topics):
            last = self._history.last(number)
            self._heads[number] = head_after(last)
            if last is not None and not _agree(last, found):
                copied = self._history.copied_through(number)
                for topic in self.topics:
                    found.pop(Partition(topic, number), None)
                found |= copied
        return found

    def read(self, messages: Sequence[Message]) -> Reading[Message]:
        """The records themselves: what cannot be decoded is kept too."""
        return Reading(messages)

    def write(self, batch: Batch[Message]) -> None:
        """One transaction: the links, and the offsets after them. Whether it failed or not is read from the topic."""
        heads = dict(self._heads)
        self._undelivered = None
        try:
            producer = self._producer or self._open_producer()
            producer.begin_transaction()
            for message in batch.values:
                self._append(producer, heads, message)
            offsets = [TopicPartition(*partition, advance.reached) for partition, advance in batch.advances.items()]
            producer.send_offsets_to_transaction(offsets, batch.group, _KAFKA_SECONDS)
            producer.commit_transaction(_KAFKA_SECONDS)
        except KafkaException as exc:
            # A commit says only that something was not delivered; what it was tells whether doing it again helps.
            problem = kafka_error(self._undelivered or exc, f"{self.name}: writing {len(batch.values)} links")
            self._abandon()
            if isinstance(problem, Fatal) and not isinstance(problem, PositionConflict):
                raise problem from exc
            # The commit may have come through: only the topic knows.
            raise PositionConflict(str(problem)) from exc
        self._heads = heads

    def close(self) -> None:
        """Abort what is open and give the connections back."""
        self._abandon()
        self._history.close()

    def _append(self, producer: Producer, heads: dict[int, ChainHead], message: Message) -> None:
        number = message.partition() or 0
        link, heads[number] = next_link(heads[number], original_of(message))
        value = self._codec.encode(link)
        while True:
            try:
                producer.produce(self._codec.topic, value, message.key(), partition=number)
            except BufferError:
                producer.poll(0.1)
            else:
                return

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._undelivered = self._undelivered or error

    def _open_producer(self) -> Producer:
        producer = Producer(self._producer_config)
        producer.init_transactions(_KAFKA_SECONDS)
        self._producer = producer
        return producer

    def _abandon(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.abort_transaction(_ABORT_SECONDS)
        except KafkaException as exc:
            # The brokers abort it in any case, at the latest when its time is over.
            _log.info("%s: the open transaction was not aborted here: %s", self.name, exc)


def _agree(last: BackupRecord, found: dict[Partition, int]) -> bool:
    """Whether the group's offsets can be those of the transaction that wrote `last`; they expire and can be reset."""
    original = last.original
    return found.get(Partition(original.topic, original.partition), 0) > original.offset

"""Copies every record of the order topics into hash chains, exactly once, through Kafka transactions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from confluent_kafka import Message, TopicPartition

from consumers.backup.chain import ChainHead, next_link
from consumers.backup.history import BackupHistory, head_after, require_same_partitions
from consumers.backup.settings import BackupSettings
from consumers.original import original_of
from consumers.sink import Batch, Partition, Reading
from consumers.transactions import TransactionWriter
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import BackupRecord
from schemas.topics import (
    BACKUP,
    FULFILMENT_CAPTURED,
    ORDER_EVENTS,
    ORDERS_CAPTURED,
    PAYMENTS_CAPTURED,
    POSTINGS,
    REJECTED,
    VENDOR_ANSWERS,
)

NAME = "backup"
TOPICS = (
    ORDERS_CAPTURED,
    FULFILMENT_CAPTURED,
    PAYMENTS_CAPTURED,
    VENDOR_ANSWERS,
    ORDER_EVENTS,
    REJECTED,
    POSTINGS,
)


class BackupSink:
    """From all order topics to the same-numbered partition of `backup.orders`, one chain a partition.

    The links and the positions (the group's offsets, moved inside the transaction) commit together. A worker that lost
    its partitions has an old generation of the group, with which the brokers take no offsets.
    """

    name = NAME
    commits_group_offsets = True
    reads_ahead = False

    def __init__(self, settings: BackupSettings, schemas: SchemaIds) -> None:
        self.topics = tuple(settings.topic(topic) for topic in TOPICS)
        self._codec = TopicCodec(settings.topic(BACKUP), BackupRecord, schemas)
        self._history = BackupHistory(settings, self._codec)
        self._heads: dict[int, ChainHead] = {}
        self._writer = TransactionWriter(settings, self._codec.topic)

    def prepare(self) -> None:
        """Compare the topics' partition counts.

        Raises:
            ConfigurationError: they differ, or a topic does not exist.
        """
        self._history.require_equal_counts((*self.topics, self._codec.topic))

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The group's offsets, and in memory the heads of the chains; the chain decides where the two disagree."""
        wanted = list(partitions)
        self._heads = {}
        if not wanted:
            self._writer.leave()
            return {}
        numbers = require_same_partitions(wanted, self.topics)
        # What an earlier owner left open is ended first: nothing behind it can be read.
        self._writer.take(numbers)
        found = self._history.committed(wanted)
        for number in numbers:
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
        offsets = [TopicPartition(*partition, advance.reached) for partition, advance in batch.advances.items()]
        self._writer.write((self._link(heads, message) for message in batch.values), offsets, batch.group)
        self._heads = heads

    def close(self) -> None:
        """Abort what is open and give the connections back."""
        self._writer.leave()
        self._history.close()

    def _link(self, heads: dict[int, ChainHead], message: Message) -> tuple[int, bytes | None, bytes]:
        number = message.partition() or 0
        link, heads[number] = next_link(heads[number], original_of(message))
        return number, message.key(), self._codec.encode(link)


def _agree(last: BackupRecord, found: dict[Partition, int]) -> bool:
    """Whether the group's offsets can be those of the transaction that wrote `last`; they expire and can be reset."""
    original = last.original
    return found.get(Partition(original.topic, original.partition), 0) > original.offset

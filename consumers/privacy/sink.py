"""Publishes orders for other departments on `orders.published`, exactly once, with what is personal sealed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from confluent_kafka import Message, TopicPartition

from consumers.privacy.following import KeyFollower
from consumers.privacy.key_book import KeyBook, key_of
from consumers.privacy.key_files import read_key, read_keys
from consumers.privacy.sealer import Sealer
from consumers.privacy.sealing import KeyRing
from consumers.privacy.settings import PublisherSettings
from consumers.reading import read_with_records
from consumers.sink import Batch, Partition, Reading
from consumers.topic_history import TopicHistory
from consumers.transactions import Beside, TransactionWriter
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import OrderEvent, PublishedOrder
from schemas.topics import ORDER_EVENTS, PUBLISHED

NAME = "publisher"


class PlacedVersion(NamedTuple):
    """A version of an order, and where it stands on `orders.events`."""

    number: int
    offset: int
    event: OrderEvent


class PublisherSink:
    """From `orders.events` to the same-numbered partition of `orders.published`, in order.

    Records, new keys and positions (the group's offsets) commit together. Each record names the event that it was made
    from, and the last one decides where to go on: versions read again lead to nothing a second time, and where the
    topic was emptied everything is published anew.
    Source: issue 9 (what outsiders read is encrypted per person), I4, S8.
    """

    name = NAME
    commits_group_offsets = True
    reads_ahead = False

    def __init__(self, settings: PublisherSettings, schemas: SchemaIds) -> None:
        """Raises ConfigurationError where a file of keys cannot be used."""
        self.topics = (settings.topic(ORDER_EVENTS),)
        ring = KeyRing(read_keys(settings.privacy.encryption_key_file))
        pseudonym_key = read_key(settings.privacy.pseudonym_key_file)
        self._events = TopicCodec(self.topics[0], OrderEvent, schemas)
        self._published = TopicCodec(settings.topic(PUBLISHED), PublishedOrder, schemas)
        self._history = TopicHistory(settings, self._published.topic)
        self._writer = TransactionWriter(settings, self._published.topic)
        self._book = KeyBook(schemas, settings.topic_prefix)
        self._sealer = Sealer(self._book, ring, pseudonym_key)
        self._settings = settings
        self._follower: KeyFollower | None = None

    def prepare(self) -> None:
        """Compare the topics' partition counts.

        Raises:
            ConfigurationError: they differ, or a topic does not exist.
        """
        self._history.require_equal_counts((*self.topics, self._published.topic))

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """After the event of the last published record; and the keys are read to the ends of their topics."""
        wanted = list(partitions)
        if not wanted:
            self._writer.leave()
            return {}
        # What an earlier owner left open is ended first: nothing behind it can be read.
        self._writer.take(sorted({partition.number for partition in wanted}))
        if self._follower is None:
            self._follower = KeyFollower(self._settings, self._book)
        self._follower.catch_up()
        committed = self._history.committed(wanted)
        found = {partition: self._after(partition.number, committed.get(partition, 0)) for partition in wanted}
        return {partition: position for partition, position in found.items() if position is not None}

    def read(self, messages: Sequence[Message]) -> Reading[PlacedVersion]:
        """Every version, in order."""
        found, refused = read_with_records(self._events, messages)
        values = [PlacedVersion(message.partition() or 0, message.offset() or 0, event) for message, event in found]
        return Reading(values, refused, [one.event.state.committed_at for one in values])

    def write(self, batch: Batch[PlacedVersion]) -> None:
        """One transaction: the records, the keys that they took, and the offsets after them."""
        assert self._follower is not None, "positions() comes first"
        self._follower.follow()
        self._sealer.made.clear()
        records = [
            (number, event.state.order_id.encode(), self._published.encode(self._sealer.published(event, offset)))
            for number, offset, event in batch.values
        ]
        offsets = [TopicPartition(*partition, advance.reached) for partition, advance in batch.advances.items()]
        beside = list(self._beside())
        self._writer.write(records, offsets, batch.group, beside)
        for one in beside:
            self._book.hear(one.topic, (one.key or b"").decode(), one.value)

    def close(self) -> None:
        """Abort what is open and give the connections back."""
        self._writer.leave()
        self._history.close()
        if self._follower is not None:
            self._follower.close()

    def _after(self, number: int, committed: int) -> int | None:
        last = self._history.last_record(number)
        if last is None:
            return None
        return max(self._published.decode(last.value() or b"").event_offset + 1, committed)

    def _beside(self) -> Iterator[Beside]:
        """New keys; and tombstones for those that were destroyed and are there again."""
        topic = self._book.keys_topic
        for made in self._sealer.made.values():
            yield Beside(topic, 0, key_of(made).encode(), self._book.encoded_key(made))
        for void in self._book.void_keys():
            yield Beside(topic, 0, key_of(void).encode(), None)

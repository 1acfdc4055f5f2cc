"""Tells each vendor the news of its own lines on `vendors.updates`, exactly once, through Kafka transactions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from confluent_kafka import Message, TopicPartition

from consumers.reading import read_with_records
from consumers.sink import Batch, Partition, Reading
from consumers.topic_history import TopicHistory
from consumers.transactions import TransactionWriter
from consumers.vendors.own_topics import OwnTopics
from consumers.vendors.settings import VendorsSettings
from consumers.vendors.told import Told, ToldUpdates
from consumers.vendors.views import key_of, updates_of
from schemas.attributes import OrderId, VendorId
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import OrderEvent, VendorUpdate
from schemas.topics import ORDER_EVENTS, VENDOR_UPDATES

NAME = "vendors"


class PlacedEvent(NamedTuple):
    """A version of an order, and the number of its partition."""

    number: int
    event: OrderEvent


class VendorsSink:
    """From `orders.events` to the same-numbered partition of `vendors.updates`, ordered for each order.

    Updates, also those of vendors' own topics, and positions (the group's offsets) commit together. What was told last
    decides what is news, so that the same versions read again, after offsets were lost or set back, lead to no update a
    second time.
    Source: issue 10 (vendors see their own lines), S8 (each sees what it must).
    """

    name = NAME
    commits_group_offsets = True
    reads_ahead = False

    def __init__(self, settings: VendorsSettings, schemas: SchemaIds) -> None:
        self.topics = (settings.topic(ORDER_EVENTS),)
        self._events = TopicCodec(self.topics[0], OrderEvent, schemas)
        self._updates = TopicCodec(settings.topic(VENDOR_UPDATES), VendorUpdate, schemas)
        self._history = TopicHistory(settings, self._updates.topic)
        self._told = ToldUpdates(settings.data_dir, self._history, self._updates)
        self._writer = TransactionWriter(settings, self._updates.topic)
        self._own = OwnTopics(settings, self._updates, self._told, self._writer)

    def prepare(self) -> None:
        """Compare the topics' partition counts.

        Raises:
            ConfigurationError: they differ, or a topic does not exist.
        """
        self._history.require_equal_counts((*self.topics, self._updates.topic))

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The group's offsets; and what was told last is read to the ends of the partitions."""
        wanted = list(partitions)
        if not wanted:
            self._writer.leave()
            return {}
        numbers = sorted({partition.number for partition in wanted})
        # What an earlier owner left open is ended first: nothing behind it can be read.
        self._writer.take(numbers)
        self._told.catch_up(numbers)
        self._own.take(numbers)
        return self._history.committed(wanted)

    def read(self, messages: Sequence[Message]) -> Reading[PlacedEvent]:
        """Every version, in order."""
        found, refused = read_with_records(self._events, messages)
        values = [PlacedEvent(message.partition() or 0, event) for message, event in found]
        return Reading(values, refused, [one.event.state.committed_at for one in values])

    def write(self, batch: Batch[PlacedEvent]) -> None:
        """One transaction: updates, those of vendors' own topics, the offsets after them; then the local copy."""
        self._own.look()
        news = list(self._news(batch.values))
        offsets = [TopicPartition(*partition, advance.reached) for partition, advance in batch.advances.items()]
        records = ((number, key_of(one.vendor_id, one.order_id).encode(), value) for number, one, value in news)
        ends = self._writer.write(records, offsets, batch.group, self._own.records(news))
        self._told.keep(news, ends)
        self._own.keep(ends)

    def close(self) -> None:
        """Abort what is open and give connections and file back."""
        self._writer.leave()
        self._history.close()
        self._told.close()

    def _news(self, events: Sequence[PlacedEvent]) -> Iterator[Told]:
        seen: dict[OrderId, dict[VendorId, VendorUpdate]] = {}
        for number, event in events:
            order_id = event.state.order_id
            if order_id not in seen:
                seen[order_id] = self._told.of(number, order_id)
            for update in updates_of(event, seen[order_id]):
                seen[order_id][update.vendor_id] = update
                yield number, update, self._updates.encode(update)

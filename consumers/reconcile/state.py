"""Reads the synchronized state of all orders, or follows that of some."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from consumers.reading import key_of
from consumers.reconcile.facts import FoundState
from consumers.reconcile.topic import Offsets, TopicFollower, TopicReader, value_of
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import UndecodableMessage
from schemas.models import OrderState
from schemas.settings import KafkaSettings
from schemas.topics import ORDER_STATE

_RECORDS_AT_ONCE = 200_000


class StateReader:
    """`orders.state`, a compacted topic: the latest record of a key is the state of that order."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds, topic: str = ORDER_STATE) -> None:
        """Raises SchemaDrift if this version's schemas are not registered, Transient if the registry is away."""
        self._codec = TopicCodec(topic, OrderState, schemas)
        self._reader = TopicReader(kafka, topic)
        self._follower = TopicFollower(kafka, topic)
        self._watched: dict[str, bytes | None] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()
        self._follower.close()

    def states(self) -> Iterator[tuple[str, FoundState]]:
        """The state of every order, as of the ends of the partitions at the start.

        Raises:
            ConfigurationError, Transient: as `values`.
        """
        for order_id, value in self.values():
            yield order_id, self.decoded(value)

    def values(self) -> Iterator[tuple[str, bytes]]:
        """The encoded state of every order, as of the ends of the partitions at the start.

        A few partitions at a time are read twice, first for the place of each key's latest record: so one offset for
        each order of these is held in memory, and superseded states are never decoded.

        Raises:
            ConfigurationError: the topic cannot be read.
            Transient: Kafka or the registry does not answer.
        """
        for ends in _groups(self._reader.ends()):
            latest = {message.key(): message.offset() for message in self._reader.scan({}, ends)}
            for message in self._reader.scan({}, ends):
                if latest[message.key()] == message.offset() and (value := value_of(message)) is not None:
                    yield key_of(message), value

    def watch(self, order_ids: Collection[str]) -> None:
        """Follow these orders instead of those before, and take in their states from the topic's beginning."""
        self._watched = dict.fromkeys(order_ids)
        self._follower.rewind()

    def watched(self, order_ids: Collection[str]) -> Iterator[tuple[str, FoundState]]:
        """The latest state of some of the watched orders, with all that was written until now.

        Raises:
            Transient: Kafka or the registry does not answer.
        """
        for message in self._follower.advance():
            order_id = key_of(message)
            if order_id in self._watched:
                self._watched[order_id] = value_of(message)
        for order_id in order_ids:
            value = self._watched[order_id]
            yield order_id, None if value is None else self.decoded(value)

    def decoded(self, value: bytes) -> OrderState | UndecodableMessage:
        """The state, or why it cannot be read. Raises Transient if the registry had to be asked and is away."""
        try:
            return self._codec.decode(value)
        except UndecodableMessage as exc:
            return exc


def _groups(ends: Offsets) -> Iterator[Offsets]:
    """Partitions that are read together: all of a small topic, one at a time of a large one."""
    group: dict[int, int] = {}
    for partition, end in ends.items():
        if group and sum(group.values()) + end > _RECORDS_AT_ONCE:
            yield group
            group = {}
        group[partition] = end
    if group:
        yield group

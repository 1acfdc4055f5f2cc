"""What Kafka knows of orders whose facts did not become a version: those that wait and those that were refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from consumers.reading import key_of
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.refusal import Refused, RefusedEntry, RefusedFacts, RefusedVersion
from consumers.reconcile.topic import TopicFollower, value_of
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import UndecodableMessage
from schemas.models import (
    CapturedEvent,
    FulfilmentCaptured,
    JournalEntry,
    OrderCaptured,
    OrderEvent,
    OriginalMessage,
    PaymentsCaptured,
    Rejection,
)
from schemas.settings import KafkaSettings
from schemas.topics import (
    CATALOGUE,
    FULFILMENT_CAPTURED,
    ORDER_EVENTS,
    ORDERS_CAPTURED,
    PARKED,
    PAYMENTS_CAPTURED,
    POSTINGS,
    REJECTED,
)

_CAPTURED: dict[str, tuple[Section, type[CapturedEvent]]] = {
    ORDERS_CAPTURED: (Section.ORDER, OrderCaptured),
    FULFILMENT_CAPTURED: (Section.FULFILMENT, FulfilmentCaptured),
    PAYMENTS_CAPTURED: (Section.SETTLEMENT, PaymentsCaptured),
}


class ParkedReader:
    """`orders.parked`, a compacted topic: its keys are the orders that wait, but for those with a tombstone."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._follower = TopicFollower(kafka, PARKED)
        self._parked: set[str] = set()

    def close(self) -> None:
        """Give the connections back."""
        self._follower.close()

    def parked(self) -> set[str]:
        """The orders that wait now.

        Raises:
            ConfigurationError: the topic cannot be read.
            Transient: Kafka does not answer.
        """
        for message in self._follower.advance():
            if value_of(message) is None:
                self._parked.discard(key_of(message))
            else:
                self._parked.add(key_of(message))
        return self._parked


class DeadLetters:
    """Reads from a dead letter what of an order did not arrive because of it."""

    def __init__(self, schemas: SchemaIds) -> None:
        """Raises SchemaDrift if this version's schemas are not registered, Transient if the registry is away."""
        self._codec = TopicCodec(REJECTED, Rejection, schemas)
        self._captured = {topic: TopicCodec(topic, model, schemas) for topic, (_, model) in _CAPTURED.items()}
        self._events = TopicCodec(ORDER_EVENTS, OrderEvent, schemas)
        self._entries = TopicCodec(POSTINGS, JournalEntry, schemas)

    def refused(self, value: bytes) -> Refused | None:
        """What the letter of this record refused; None where nothing can be read from it: then it explains nothing."""
        try:
            return self._read(self._codec.decode(value).original)
        except UndecodableMessage:
            return None

    def _read(self, original: OriginalMessage) -> Refused | None:
        if original.topic not in CATALOGUE:
            return RefusedFacts(None, original.offset)
        content = original.value or b""
        if original.topic in _CAPTURED:
            event = self._captured[original.topic].decode(content)
            return RefusedFacts(_CAPTURED[original.topic][0], event.source.position)
        if original.topic == ORDER_EVENTS:
            return RefusedVersion(self._events.decode(content).state.version)
        if original.topic == POSTINGS:
            return RefusedEntry(self._entries.decode(content).entry_id)
        return None


class RejectedReader:
    """`orders.rejected`: why an order's latest facts did not arrive."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds) -> None:
        """Raises SchemaDrift if this version's schemas are not registered, Transient if the registry is away."""
        self._letters = DeadLetters(schemas)
        self._follower = TopicFollower(kafka, REJECTED)
        self._watched: frozenset[str] = frozenset()
        self._found: dict[str, list[Refused]] = {}
        self.rejections = 0
        """Refused events in the topic, about whichever order."""

    def close(self) -> None:
        """Give the connections back."""
        self._follower.close()

    def watch(self, order_ids: Collection[str]) -> None:
        """Collect the refusals of these orders instead of those before, from the topic's beginning."""
        self._watched = frozenset(order_ids)
        self._found = defaultdict(list)
        self._follower.rewind()
        self.rejections = 0

    def advance(self) -> None:
        """Take in what was written until now.

        Raises:
            ConfigurationError: the topic cannot be read.
            Transient: Kafka or the registry does not answer.
        """
        for message in self._follower.advance():
            self.rejections += 1
            order_id, value = key_of(message), value_of(message)
            if order_id in self._watched and value is not None:
                refused = self._letters.refused(value)
                if refused is not None:
                    self._found[order_id].append(refused)

    def of(self, order_id: str) -> Sequence[Refused]:
        """The refusals of a watched order."""
        return self._found.get(order_id, ())

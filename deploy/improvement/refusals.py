"""The refused events of a span of time, each under every rule that it violates, with what its order is worth."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from deploy.improvement.findings import Cause, Finding, Kind, Money, worth_of
from deploy.record_reading import RecordReader
from schemas.attributes import CanonicalModel, OrderId
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import InvalidMessage
from schemas.models import (
    CapturedEvent,
    OrderCaptured,
    OrderEvent,
    OrderState,
    OriginalMessage,
    Rejection,
)
from schemas.topics import CAPTURED_TOPICS, CATALOGUE, ORDER_EVENTS, ORDER_STATE, REJECTED


class _Origin(NamedTuple):
    """What the refused event itself tells."""

    source: str | None = None
    money: Money | None = None


class _Letter(NamedTuple):
    """What counts of a dead letter; the event that it carries, which may be large, is not kept."""

    order_id: OrderId | None
    rejected_at: datetime
    rules: tuple[str, ...]
    origin: _Origin


class RefusalReader:
    """Reads dead letters, and of `orders.state` only the orders of those whose event names no amount."""

    def __init__(self, reader: RecordReader, registry: SchemaIds) -> None:
        """Raises SchemaDrift if this version's schemas are not registered, Transient if the registry is away."""
        self._reader = reader
        self._letters = TopicCodec(REJECTED, Rejection, registry)
        self._states = TopicCodec(ORDER_STATE, OrderState, registry)
        self._originals: dict[str, TopicCodec[CanonicalModel]] = {
            topic: TopicCodec(topic, CATALOGUE[topic].model, registry) for topic in (*CAPTURED_TOPICS, ORDER_EVENTS)
        }

    def findings(self, since: datetime) -> Iterator[Finding]:
        """One for each refused event and rule; a letter that a crash repeated counts once.

        Raises:
            Transient: the cluster or the registry does not answer.
            UndecodableMessage: a record is no dead letter.
        """
        letters: dict[str, _Letter] = {}
        for record in self._reader.read(self._reader.spans(REJECTED, since=since)):
            if record.value is not None:
                letter = self._letters.decode(record.value)
                if letter.rejection_id not in letters:
                    letters[letter.rejection_id] = self._counted(letter)
        worth = self._worth({one.order_id for one in letters.values() if one.order_id and not one.origin.money})
        for key, kept in letters.items():
            order_id = kept.order_id or key
            source = kept.origin.source or (order_id.partition(":")[0] if kept.order_id else "unknown")
            money = kept.origin.money or worth.get(order_id)
            for rule in kept.rules:
                yield Finding(Cause(Kind.REJECTION, rule, source), order_id, kept.rejected_at, money)

    def _counted(self, letter: Rejection) -> _Letter:
        rules = tuple(dict.fromkeys(one.rule for one in letter.violations))
        return _Letter(letter.order_id, letter.rejected_at, rules, self._origin(letter.original))

    def _origin(self, original: OriginalMessage) -> _Origin:
        codec = self._originals.get(original.topic)
        if codec is None:
            # A row of a source, as system:table; what came from another topic tells nothing more.
            return _Origin(None if original.topic in CATALOGUE else original.topic.partition(":")[0])
        try:
            event = codec.decode(original.value or b"")
        except InvalidMessage:
            return _Origin()
        if isinstance(event, OrderEvent):
            return _Origin(None, worth_of(event.state.order))
        assert isinstance(event, CapturedEvent)
        return _Origin(event.source.system, worth_of(event.order) if isinstance(event, OrderCaptured) else None)

    def _worth(self, order_ids: set[str]) -> dict[str, Money]:
        found: dict[str, Money] = {}
        if not order_ids:
            return found
        keys = {order_id.encode() for order_id in order_ids}
        for record in self._reader.read(self._reader.spans(ORDER_STATE)):
            if record.key in keys and record.value is not None:
                money = worth_of(self._states.decode(record.value).order)
                if money is not None:
                    found[record.key.decode()] = money
        return found

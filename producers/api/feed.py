"""Follows the topics of orders and keeps the worker's copy of them up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import orjson
from confluent_kafka import IsolationLevel, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from producers.api.outlet import CLIENT_ID
from producers.api.requests import HEADER, AcceptedRequest
from producers.api.store import Changes, OrderStore
from producers.following import Following, Place, Start, TopicFollower
from producers.kafka import kafka_error
from schemas.attributes import OrderId
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient
from schemas.models import OrderEvent, ParkedOrder, Rejection, SourcePosition, VendorStock
from schemas.settings import KafkaSettings
from schemas.topics import (
    FULFILMENT_CAPTURED,
    ORDER_EVENTS,
    ORDER_STATE,
    ORDERS_CAPTURED,
    PARKED,
    PAYMENTS_CAPTURED,
    REJECTED,
    VENDOR_ANSWERS,
    VENDOR_STOCK,
)

_RECENT: Final = frozenset({ORDERS_CAPTURED, VENDOR_ANSWERS, REJECTED})
"""Of these only what is as young as remembered requests matters."""
_FORGET_SECONDS: Final = 600.0
_FOLLOWING: Final = Following(
    "the orders",
    (ORDERS_CAPTURED, VENDOR_ANSWERS, ORDER_EVENTS, ORDER_STATE, PARKED, REJECTED, VENDOR_STOCK),
    CLIENT_ID,
    batch_seconds=0.05,
    fetch_wait_milliseconds=20,
)

News = Callable[[Changes], None]


class OrderFeed(TopicFollower):
    """Keeps the copy up to date; `news` is called in its thread after each write."""

    def __init__(
        self, kafka: KafkaSettings, schemas: SchemaIds, store: OrderStore, remembered_for: timedelta, news: News
    ) -> None:
        super().__init__(kafka, _FOLLOWING)
        self._store = store
        self._remembered_for = remembered_for
        self._news = news
        self._events = TopicCodec(ORDER_EVENTS, OrderEvent, schemas)
        self._parked = TopicCodec(PARKED, ParkedOrder, schemas)
        self._rejections = TopicCodec(REJECTED, Rejection, schemas)
        self._stock = TopicCodec(VENDOR_STOCK, VendorStock, schemas)
        self._admin = AdminClient(kafka.client_config(**{"client.id": CLIENT_ID}))
        self._handlers: dict[str, Callable[[Message, OrderId, Changes], None]] = {
            ORDERS_CAPTURED: self._captured,
            VENDOR_ANSWERS: self._captured,
            VENDOR_STOCK: self._stock_told,
            ORDER_EVENTS: self._event,
            ORDER_STATE: lambda message, order_id, changes: changes.state(order_id, message.value()),
            PARKED: self._waiting,
            REJECTED: self._refused,
        }
        self._changes = Changes()
        self._forgotten_at = float("-inf")

    def catch_up(self, topic: str, seconds: float) -> None:
        """Return when everything that is on the topic at this moment is in the copy; blocks, so call it in a thread.

        Raises:
            Transient: it took too long.
        """
        # Of captured events without regard to open transactions of others: a request of ours may stand behind one.
        is_whole = topic in (ORDERS_CAPTURED, VENDOR_ANSWERS)
        isolation = IsolationLevel.READ_UNCOMMITTED if is_whole else IsolationLevel.READ_COMMITTED
        asked = {TopicPartition(*place): OffsetSpec.latest() for place in self._places(topic)}
        try:
            answers = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=seconds)
            ends = {(part.topic, part.partition): answer.result().offset for part, answer in answers.items()}
        except KafkaException as exc:
            raise kafka_error(exc, f"asking where {topic} ends") from exc
        if min(ends.values()) < 0:
            # The client calls it a success when the time ran out.
            raise Transient(f"Kafka did not say where {topic} ends; is the broker running?")
        if not self._waited_for(ends, seconds):
            raise Transient("what is known of the orders is behind; try again", retry_after_seconds=1.0)

    def _start_of(self, place: Place) -> Start:
        known = self._store.offset(*place)
        return self._remembered_since() if known is None and place[0] in _RECENT else known

    def _take(self, message: Message) -> None:
        order_id = OrderId((message.key() or b"").decode())
        self._handlers[message.topic() or ""](message, order_id, self._changes)

    def _keep(self, positions: Mapping[Place, int]) -> None:
        if positions:
            changes, self._changes = self._changes, Changes()
            for place, offset in positions.items():
                changes.offset(*place, offset)
            self._store.write(changes)
            self._news(changes)
        if time.monotonic() - self._forgotten_at > _FORGET_SECONDS:
            self._forgotten_at = time.monotonic()
            self._store.forget(self._remembered_since().timestamp())

    def _remembered_since(self) -> datetime:
        return datetime.now(UTC) - self._remembered_for

    def _captured(self, message: Message, _: OrderId, changes: Changes) -> None:
        request = _request_in(cast("list[tuple[str, Any]]", message.headers() or []))
        if request is not None:
            changes.accepted(request)

    def _event(self, message: Message, order_id: OrderId, changes: Changes) -> None:
        event = self._events.decode(message.value() or b"")
        state, source = event.state, _source_of(event)
        told = {
            "version": state.version,
            "event_type": event.event_type,
            "event_id": state.event_id,
            "system": None if source is None else source.system,
            "order_status": state.order_status,
            "fulfilment_status": state.fulfilment_status,
            "billing_status": state.billing_status,
            "payment_status": state.payment_status,
            "committed_at": state.committed_at,
            "processed_at": state.processed_at,
            "warnings": [{"rule": one.rule, "message": one.message} for one in state.warnings],
        }
        changes.step(order_id, state.version, orjson.dumps(told))

    def _stock_told(self, message: Message, key: OrderId, changes: Changes) -> None:
        """Keep the report with the later count, whichever was written last."""
        value = message.value()
        known = changes.values.get(b"k" + key.encode()) or self._store.stock(key)
        if value is not None and known is not None and self._as_of(known) > self._as_of(value):
            return
        changes.stock(key, value)

    def _as_of(self, value: bytes) -> datetime:
        return self._stock.decode(value).as_of

    def _waiting(self, message: Message, order_id: OrderId, changes: Changes) -> None:
        value = message.value()
        if value is None:
            changes.waiting(order_id, None)
            return
        parked = self._parked.decode(value)
        requests = [_request_in([(one.key, one.value) for one in held.headers]) for held in parked.held]
        told = {
            "requests": [request.request_id for request in requests if request is not None],
            "awaits": [{"topic": one.topic, "key": one.key} for one in parked.awaits],
        }
        changes.waiting(order_id, orjson.dumps(told))

    def _refused(self, message: Message, _: OrderId, changes: Changes) -> None:
        rejection = self._rejections.decode(message.value() or b"")
        request = _request_in([(one.key, one.value) for one in rejection.original.headers])
        if request is not None:
            changes.refused(request, orjson.dumps([violation.model_dump() for violation in rejection.violations]))


def _request_in(headers: Iterable[tuple[str, Any]]) -> AcceptedRequest | None:
    for name, value in headers:
        if name == HEADER and isinstance(value, bytes):
            return AcceptedRequest.unpacked(value)
    return None


def _source_of(event: OrderEvent) -> SourcePosition | None:
    state = event.state
    if event.topic == ORDERS_CAPTURED:
        return state.order_source
    # What a vendor said is no image of a source.
    positions = {FULFILMENT_CAPTURED: state.fulfilment_source, PAYMENTS_CAPTURED: state.settlement_source}
    return positions.get(event.topic)

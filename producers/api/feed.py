"""Follows the topics of orders and keeps the worker's copy of them up to date."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, cast

import orjson
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from producers.api.kafka import CLIENT_ID, kafka_error
from producers.api.requests import HEADER, AcceptedRequest
from producers.api.store import Changes, OrderStore
from schemas.attributes import OrderId
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError, OrdersyncError, Transient, UndecodableMessage
from schemas.kafka_codes import AWAY
from schemas.models import OrderEvent, ParkedOrder, Rejection, SourcePosition
from schemas.settings import KafkaSettings
from schemas.topics import ORDER_EVENTS, ORDER_STATE, ORDERS_CAPTURED, PARKED, REJECTED

_log = logging.getLogger(__name__)
_TOPICS = (ORDERS_CAPTURED, ORDER_EVENTS, ORDER_STATE, PARKED, REJECTED)
_RECENT = frozenset({ORDERS_CAPTURED, REJECTED})
"""Of these only what is as young as remembered requests matters."""
_ANSWER_SECONDS = 30.0
_TAKEN = 2_000
_FORGET_SECONDS = 600.0

Place = tuple[str, int]
News = Callable[[Changes], None]


class OrderFeed:
    """One consumer without a group, in a thread of its own: each worker reads every partition.

    `news` is called in that thread after each write. An exception ends the thread and stands in `failure`.
    """

    def __init__(
        self, kafka: KafkaSettings, schemas: SchemaIds, store: OrderStore, remembered_for: timedelta, news: News
    ) -> None:
        self._store = store
        self._remembered_seconds = remembered_for.total_seconds()
        self._news = news
        self._events = TopicCodec(ORDER_EVENTS, OrderEvent, schemas)
        self._parked = TopicCodec(PARKED, ParkedOrder, schemas)
        self._rejections = TopicCodec(REJECTED, Rejection, schemas)
        self._consumer = Consumer(kafka.client_config(**_CONSUMER))
        self._admin = AdminClient(kafka.client_config(**{"client.id": CLIENT_ID}))
        self._handlers: dict[str, Callable[[Message, OrderId, Changes], None]] = {
            ORDERS_CAPTURED: self._captured,
            ORDER_EVENTS: self._event,
            ORDER_STATE: lambda message, order_id, changes: changes.state(order_id, message.value()),
            PARKED: self._waiting,
            REJECTED: self._refused,
        }
        self._positions: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._stopped = threading.Event()
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begin where the copy ends.

        Raises:
            ConfigurationError: a topic is missing.
            Transient: Kafka does not answer.
        """
        try:
            known = self._consumer.list_topics(timeout=_ANSWER_SECONDS).topics
            missing = [topic for topic in _TOPICS if topic not in known]
            if missing:
                raise ConfigurationError(f"topic {', '.join(missing)} does not exist: run `ordersync topics apply`")
            parts = [TopicPartition(topic, number) for topic in _TOPICS for number in known[topic].partitions]
            self._ends = self._ends_of(parts)
            self._consumer.assign([self._start_of(part) for part in parts])
        except KafkaException as exc:
            raise kafka_error(exc, "beginning to follow the orders") from exc
        self._thread.start()

    def is_caught_up(self) -> bool:
        """Whether it has all that was there when it began, and still goes on."""
        return self.failure is None and self._thread.is_alive() and self._has(self._ends)

    def catch_up(self, topic: str, seconds: float) -> None:
        """Return when everything that is on the topic at this moment is in the copy; blocks, so call it in a thread.

        Raises:
            Transient: it took too long.
        """
        parts = [TopicPartition(topic, number) for of, number in self._ends if of == topic]
        # Of captured events without regard to open transactions of others: a request of ours may stand behind one.
        is_whole = topic == ORDERS_CAPTURED
        isolation = IsolationLevel.READ_UNCOMMITTED if is_whole else IsolationLevel.READ_COMMITTED
        asked = {part: OffsetSpec.latest() for part in parts}
        try:
            answers = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=seconds)
            ends = {(part.topic, part.partition): answer.result().offset for part, answer in answers.items()}
        except KafkaException as exc:
            raise kafka_error(exc, f"asking where {topic} ends") from exc
        if min(ends.values()) < 0:
            # The client calls it a success when the time ran out.
            raise Transient(f"Kafka did not say where {topic} ends; is the broker running?")
        with self._moved:
            if not self._moved.wait_for(lambda: self._has(ends) or self.failure is not None, seconds):
                raise Transient("what is known of the orders is behind; try again", retry_after_seconds=1.0)

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()

    def _has(self, ends: dict[Place, int]) -> bool:
        return all(self._positions.get(place, 0) >= end for place, end in ends.items())

    def _ends_of(self, parts: Iterable[TopicPartition]) -> dict[Place, int]:
        ends: dict[Place, int] = {}
        for part in parts:
            marks = self._consumer.get_watermark_offsets(part, timeout=_ANSWER_SECONDS)
            if marks is None or marks[1] < 0:
                raise Transient("Kafka did not say where its topics end; is the broker running?")
            ends[part.topic, part.partition] = marks[1] if marks[1] > marks[0] else 0
        return ends

    def _start_of(self, part: TopicPartition) -> TopicPartition:
        known = self._store.offset(part.topic, part.partition)
        if known is None and part.topic in _RECENT:
            since = int((time.time() - self._remembered_seconds) * 1000)
            asked = [TopicPartition(part.topic, part.partition, since)]
            found = self._consumer.offsets_for_times(asked, timeout=_ANSWER_SECONDS)[0].offset
            # Where nothing is as young it names the end.
            return TopicPartition(part.topic, part.partition, found)
        if known is not None:
            self._positions[part.topic, part.partition] = known
        return TopicPartition(part.topic, part.partition, OFFSET_BEGINNING if known is None else known)

    def _run(self) -> None:
        try:
            forgotten_at = 0.0
            while not self._stopped.is_set():
                self._take(self._consumer.consume(_TAKEN, 0.05))
                if time.monotonic() - forgotten_at > _FORGET_SECONDS:
                    forgotten_at = time.monotonic()
                    self._store.forget(time.time() - self._remembered_seconds)
        except Exception as exc:  # noqa: BLE001 - told to the worker, which ends with it
            self.failure = exc
        finally:
            with self._moved:
                self._moved.notify_all()

    def _take(self, messages: list[Message]) -> None:
        changes, positions = Changes(), dict[Place, int]()
        for message in messages:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                self._heed(error)
                continue
            place = message.topic() or "", message.partition() or 0
            offset = message.offset() or 0
            positions[place] = offset if error is not None else offset + 1
            if error is None:
                self._apply(message, changes)
        if not positions:
            return
        for (topic, partition), offset in positions.items():
            changes.offset(topic, partition, offset)
        self._store.write(changes)
        with self._moved:
            self._positions |= positions
            self._moved.notify_all()
        self._news(changes)

    def _heed(self, error: KafkaError) -> None:
        if error.code() not in AWAY and not error.retriable():
            raise kafka_error(error, "following the orders")
        _log.warning("Kafka is away: %s", error.str())

    def _apply(self, message: Message, changes: Changes) -> None:
        try:
            self._handlers[message.topic() or ""](message, OrderId((message.key() or b"").decode()), changes)
        except (UndecodableMessage, UnicodeDecodeError) as exc:
            place = f"{message.topic()}/{message.partition()}/{message.offset()}"
            # Whoever wrote it is told by the stream workers, or by the reconciliation.
            _log.warning("%s cannot be read and is left out: %s", place, exc)

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


_CONSUMER: dict[str, Any] = {
    # Never used: nothing is committed to a group.
    "group.id": CLIENT_ID,
    "client.id": CLIENT_ID,
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # What is gone was removed as too old, or the topics were made anew.
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 20,
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 16_384,
}


def _request_in(headers: Iterable[tuple[str, Any]]) -> AcceptedRequest | None:
    for name, value in headers:
        if name == HEADER and isinstance(value, bytes):
            return AcceptedRequest.unpacked(value)
    return None


def _source_of(event: OrderEvent) -> SourcePosition | None:
    state = event.state
    if event.topic == ORDERS_CAPTURED:
        return state.order_source
    return state.fulfilment_source if event.topic.startswith("fulfilment") else state.settlement_source


def failure_of(problem: Exception) -> OrdersyncError:
    """What the worker ends with; anything unknown to our tree goes out as it is."""
    if isinstance(problem, OrdersyncError):
        return problem
    raise problem

"""Follows the topics of orders and brings them into the index, from where it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from deploy.console.index.store import IndexStore, Place
from deploy.console.index.writing import Batch, write
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError, Transient, UndecodableMessage
from schemas.kafka_codes import AWAY, error_of_code
from schemas.models import AuditEvent, Mismatch, OrderState, ParkedOrder, Rejection
from schemas.settings import KafkaSettings
from schemas.topics import AUDIT, MISMATCHES, ORDER_STATE, PARKED, REJECTED

_log = logging.getLogger(__name__)

FOLLOWED: Final = (ORDER_STATE, REJECTED, PARKED, MISMATCHES, AUDIT)
_ANSWER_SECONDS: Final = 30.0
_TAKEN: Final = 2_000
_AGES: Final = 2_000
CLIENT_ID: Final = "ordersync-console"


class IndexFeed:
    """One consumer without a group, in a thread of its own: each console reads every partition.

    A record that was read twice changes nothing. An exception ends the thread and stands in `failure`.
    """

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds, store: IndexStore) -> None:
        """Raises SchemaDrift where this version's schemas are not registered, Transient while the registry is away."""
        self._store = store
        self._states = TopicCodec(ORDER_STATE, OrderState, schemas)
        self._letters = TopicCodec(REJECTED, Rejection, schemas)
        self._parked = TopicCodec(PARKED, ParkedOrder, schemas)
        self._mismatches = TopicCodec(MISMATCHES, Mismatch, schemas)
        self._deeds = TopicCodec(AUDIT, AuditEvent, schemas)
        self._consumer = Consumer(kafka.client_config(**_CONSUMER))
        self._takers: dict[str, Callable[[Message, Batch], None]] = {
            ORDER_STATE: self._state,
            REJECTED: self._letter,
            PARKED: self._waiting,
            MISMATCHES: self._mismatch,
            AUDIT: self._deed,
        }
        self._positions: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._starts: dict[Place, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self.failure: Exception | None = None
        self.seconds_to_state: deque[tuple[float, float]] = deque(maxlen=_AGES)
        """Of the latest live orders: when they were read, and the seconds from the source's commit to that."""

    def start(self) -> None:
        """Begin where the index ends.

        Raises:
            ConfigurationError: a topic is missing.
            Transient: Kafka does not answer.
        """
        try:
            known = self._consumer.list_topics(timeout=_ANSWER_SECONDS).topics
            missing = [topic for topic in FOLLOWED if topic not in known]
            if missing:
                raise ConfigurationError(f"topic {', '.join(missing)} does not exist: run `ordersync topics apply`")
            parts = [TopicPartition(topic, number) for topic in FOLLOWED for number in known[topic].partitions]
            kept = self._store.positions()
            for part in parts:
                place = part.topic, part.partition
                first, last = self._consumer.get_watermark_offsets(part, timeout=_ANSWER_SECONDS) or (0, -1)
                if last < 0:
                    raise Transient("Kafka did not say where its topics end; is the broker running?")
                self._ends[place] = last if last > first else 0
                self._starts[place] = first
                part.offset = kept.get(place, OFFSET_BEGINNING)
                self._positions[place] = kept.get(place, 0)
            self._consumer.assign(parts)
        except KafkaException as exc:
            error: KafkaError = exc.args[0]
            doing = "beginning to follow the orders"
            raise error_of_code(error.code(), error.str(), doing, passes=error.retriable()) from exc
        self._thread.start()

    @property
    def is_caught_up(self) -> bool:
        """Whether it has all that was there when it began, and still goes on."""
        return self.failure is None and self._thread.is_alive() and self.progress >= 1

    @property
    def progress(self) -> float:
        """Share of what was there when it began that is in the index, from 0 to 1."""
        total = done = 0
        for place, end in self._ends.items():
            first = self._starts.get(place, 0)
            total += max(0, end - first)
            done += max(0, min(self._positions.get(place, 0), end) - first)
        return 1.0 if total == 0 else done / total

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._take(self._consumer.consume(_TAKEN, 0.1))
        except Exception as exc:  # noqa: BLE001 - told to the worker, which ends with it
            self.failure = exc

    def _take(self, messages: list[Message]) -> None:
        batch, positions = Batch(), dict[Place, int]()
        for message in messages:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                self._heed(error)
                continue
            place = message.topic() or "", message.partition() or 0
            offset = message.offset() or 0
            positions[place] = offset if error is not None else offset + 1
            if error is None:
                self._apply(message, batch)
        positions = {place: at for place, at in positions.items() if self._positions.get(place) != at}
        if positions:
            write(self._store, batch, positions)
            self._positions |= positions

    def _heed(self, error: KafkaError) -> None:
        if error.code() not in AWAY and not error.retriable():
            raise error_of_code(error.code(), error.str(), "following the orders", passes=False)
        _log.warning("Kafka is away: %s", error.str())

    def _apply(self, message: Message, batch: Batch) -> None:
        try:
            self._takers[message.topic() or ""](message, batch)
        except (UndecodableMessage, UnicodeDecodeError) as exc:
            place = f"{message.topic()}/{message.partition()}/{message.offset()}"
            # The stream workers and the reconciliation tell of it; a page cannot show what nobody can read.
            _log.warning("%s cannot be read and is left out: %s", place, exc)

    def _state(self, message: Message, batch: Batch) -> None:
        value = message.value()
        state = None if value is None else self._states.decode(value)
        batch.states[_key(message)] = state
        if state is not None and self.progress >= 1:
            self.seconds_to_state.append((time.time(), message.timestamp()[1] / 1000 - state.committed_at.timestamp()))

    def _letter(self, message: Message, batch: Batch) -> None:
        value = message.value()
        if value is not None:
            letter = self._letters.decode(value)
            batch.letters[letter.rejection_id] = (letter, message.partition() or 0, message.offset() or 0)

    def _waiting(self, message: Message, batch: Batch) -> None:
        value = message.value()
        batch.parked[_key(message)] = None if value is None else self._parked.decode(value)

    def _mismatch(self, message: Message, batch: Batch) -> None:
        value = message.value()
        batch.mismatches[_key(message)] = None if value is None else self._mismatches.decode(value)

    def _deed(self, message: Message, batch: Batch) -> None:
        value = message.value()
        if value is not None:
            batch.deeds.append(self._deeds.decode(value))


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
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 16_384,
}


def _key(message: Message) -> str:
    key = message.key() or b""
    return key if isinstance(key, str) else key.decode()

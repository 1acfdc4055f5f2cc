"""Follows the topics of orders and brings them into the index, from where it ends."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import Message

from deploy.console.index.store import IndexStore
from deploy.console.index.writing import Batch, write
from producers.following import Following, Place, Start, TopicFollower
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import AuditEvent, Mismatch, OrderState, ParkedOrder, Rejection
from schemas.settings import KafkaSettings
from schemas.topics import AUDIT, MISMATCHES, ORDER_STATE, PARKED, REJECTED

CLIENT_ID: Final = "ordersync-console"
FOLLOWED: Final = (ORDER_STATE, REJECTED, PARKED, MISMATCHES, AUDIT)
_FOLLOWING: Final = Following("the orders", FOLLOWED, CLIENT_ID)
_AGES: Final = 2_000


class IndexFeed(TopicFollower):
    """Keeps the index of one console up to date; a record that was read twice changes nothing."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds, store: IndexStore) -> None:
        """Raises SchemaDrift where this version's schemas are not registered, Transient while the registry is away."""
        super().__init__(kafka, _FOLLOWING)
        self._store = store
        self._states = TopicCodec(ORDER_STATE, OrderState, schemas)
        self._letters = TopicCodec(REJECTED, Rejection, schemas)
        self._parked = TopicCodec(PARKED, ParkedOrder, schemas)
        self._mismatches = TopicCodec(MISMATCHES, Mismatch, schemas)
        self._deeds = TopicCodec(AUDIT, AuditEvent, schemas)
        self._takers: dict[str, Callable[[Message, Batch], None]] = {
            ORDER_STATE: self._state,
            REJECTED: self._letter,
            PARKED: self._waiting,
            MISMATCHES: self._mismatch,
            AUDIT: self._deed,
        }
        self._batch = Batch()
        self.seconds_to_state: deque[tuple[float, float]] = deque(maxlen=_AGES)
        """Of the latest live orders: when they were read, and the seconds from the source's commit to that."""

    def _start_of(self, place: Place) -> Start:
        return self._store.positions().get(place)

    def _take(self, message: Message) -> None:
        self._takers[message.topic() or ""](message, self._batch)

    def _keep(self, positions: Mapping[Place, int]) -> None:
        if positions:
            batch, self._batch = self._batch, Batch()
            write(self._store, batch, positions)

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


def _key(message: Message) -> str:
    key = message.key() or b""
    return key if isinstance(key, str) else key.decode()

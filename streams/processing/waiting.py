"""Which orders of a partition wait, for what, and until when; their events are in the store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from schemas.attributes import OrderId
from schemas.models import ParkedOrder

AwaitedKey = tuple[str, str]
"""Topic and key of a record that orders wait for."""


class _Place(NamedTuple):
    awaits: tuple[AwaitedKey, ...]
    parked_at: datetime
    deadline_at: datetime


class WaitingRoom:
    """An index in memory; `PartitionStore` keeps it at what its batches have led to."""

    def __init__(self) -> None:
        self._places: dict[OrderId, _Place] = {}
        self._waiting: dict[AwaitedKey, set[OrderId]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._places

    @property
    def parked_since(self) -> datetime | None:
        """When the order was parked that has waited longest; None where none waits."""
        return min((place.parked_at for place in self._places.values()), default=None)

    def enter(self, parked: ParkedOrder) -> None:
        """Let an order wait."""
        self.leave(parked.order_id)
        awaits = tuple((awaited.topic, awaited.key) for awaited in parked.awaits)
        self._places[parked.order_id] = _Place(awaits, parked.parked_at, parked.deadline_at)
        for key in awaits:
            self._waiting.setdefault(key, set()).add(parked.order_id)

    def leave(self, order_id: OrderId) -> None:
        """The order no longer waits."""
        place = self._places.pop(order_id, None)
        for key in place.awaits if place is not None else ():
            orders = self._waiting.get(key, set())
            orders.discard(order_id)
            if not orders:
                self._waiting.pop(key, None)

    def awaited(self) -> Iterable[AwaitedKey]:
        """Everything that somebody waits for."""
        return self._waiting.keys()

    def waiting_for(self, arrived: Iterable[AwaitedKey]) -> list[OrderId]:
        """Orders that wait for one of the records that have arrived, longest waiting first."""
        found = {order_id for key in arrived for order_id in self._waiting.get(key, ())}
        return sorted(found, key=lambda order_id: (self._places[order_id].parked_at, order_id))

    def overdue(self, now: datetime) -> list[OrderId]:
        """Orders whose deadline has passed, in the order of their coming."""
        return [order_id for order_id, place in self._places.items() if place.deadline_at <= now]

"""Per-order state of one partition: the latest version of each order, and the orders that wait.

Its changelogs are the topics `orders.state` and `orders.parked` themselves: what a batch changes is written there
in the batch's transaction and applied here when the transaction has it, so a restart loads the partition again from
the topics and has the same state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.attributes import OrderId
from schemas.models import ParkedOrder

AwaitedKey = tuple[str, str]
"""Topic and key of a record that orders wait for."""


@dataclass(slots=True)
class PartitionStore:
    """State of one partition, owned by one worker at a time. Values are whole messages as on the topics."""

    states: dict[OrderId, bytes] = field(default_factory=dict)
    parked: dict[OrderId, ParkedOrder] = field(default_factory=dict)
    waiting: dict[AwaitedKey, set[OrderId]] = field(default_factory=dict)

    def park(self, parked: ParkedOrder) -> None:
        """Let an order wait."""
        self.release(parked.order_id)
        self.parked[parked.order_id] = parked
        for awaited in parked.awaits:
            self.waiting.setdefault((awaited.topic, awaited.key), set()).add(parked.order_id)

    def release(self, order_id: OrderId) -> None:
        """The order no longer waits."""
        parked = self.parked.pop(order_id, None)
        for awaited in parked.awaits if parked is not None else ():
            key = (awaited.topic, awaited.key)
            orders = self.waiting.get(key, set())
            orders.discard(order_id)
            if not orders:
                self.waiting.pop(key, None)

    def waiting_for(self, arrived: Iterable[AwaitedKey]) -> list[OrderId]:
        """Orders that wait for one of the records that have arrived, longest waiting first."""
        found = {order_id for key in arrived for order_id in self.waiting.get(key, ())}
        return sorted(found, key=lambda order_id: (self.parked[order_id].parked_at, order_id))


@dataclass(slots=True)
class StoreView:
    """What a batch sees and changes; the store itself changes only when the batch's outputs are written."""

    store: PartitionStore
    _states: dict[OrderId, bytes] = field(default_factory=dict)
    _parked: dict[OrderId, ParkedOrder | None] = field(default_factory=dict)

    def state(self, order_id: OrderId) -> bytes | None:
        """The latest version."""
        return self._states.get(order_id) or self.store.states.get(order_id)

    def parked(self, order_id: OrderId) -> ParkedOrder | None:
        """The order's place in the waiting room."""
        return self._parked[order_id] if order_id in self._parked else self.store.parked.get(order_id)

    def put_state(self, order_id: OrderId, message: bytes) -> None:
        """A new version."""
        self._states[order_id] = message

    def put_parked(self, order_id: OrderId, parked: ParkedOrder | None) -> None:
        """The order waits, or (None) no longer."""
        self._parked[order_id] = parked

    def apply(self) -> None:
        """Make the changes the store's own; called with the outputs in hand, inside the batch's guard."""
        self.store.states.update(self._states)
        for order_id, parked in self._parked.items():
            if parked is None:
                self.store.release(order_id)
            else:
                self.store.park(parked)

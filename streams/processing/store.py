"""Per-order state of the partitions that a worker holds: the latest version of each order, and the orders that wait.

Its changelogs are the topics `orders.state` and `orders.parked` themselves. What a batch changes is first kept beside
the local state, and becomes part of it only when the transaction that wrote it to Kafka has committed. So the local
state is never ahead of the topics; where it is behind, recovery reads what is missing.

The order of a commit
    1. `StoreView.apply`, with the outputs in the transaction: later batches see the changes, the local state does not.
    2. The transport commits outputs and offsets; the brokers refuse it if the partitions have moved.
    3. `WorkerState.committed` writes the changes to the local state, and with them how far it now follows the topics.
If 2 fails or its outcome is unknown, the partition's store is dropped, and recovery begins again from 3 of the last
commit that succeeded. A kill between 2 and 3 does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.attributes import OrderId
from schemas.codec import TopicCodec
from schemas.models import ParkedOrder
from schemas.topics import ORDER_STATE, PARKED
from streams.processing.checkpoints import Changelog, Checkpoint, no_checkpoint
from streams.processing.keyvalues import Change, Group, KeyValues
from streams.processing.recent import Recent
from streams.processing.waiting import AwaitedKey, WaitingRoom

CHANGELOG_TOPICS = (ORDER_STATE, PARKED)
_KINDS = {ORDER_STATE: b"s", PARKED: b"p"}

DEFAULT_RECENT_BYTES = 32 << 20


def group_of(changelog: Changelog) -> Group:
    """Where the entries of a changelog's partition are kept."""
    return _KINDS[changelog.topic] + changelog.partition.to_bytes(4, "big")


def forget(values: KeyValues, number: int) -> None:
    """Remove what is known of a partition."""
    for changelog in (Changelog(topic, number) for topic in CHANGELOG_TOPICS):
        values.write([no_checkpoint(changelog)])
        values.clear(group_of(changelog))


class WorkerState:
    """Local state of one worker: committed values, what was used last of them, and the partitions' stores."""

    def __init__(
        self, values: KeyValues, parked: TopicCodec[ParkedOrder], recent_bytes: int = DEFAULT_RECENT_BYTES
    ) -> None:
        self.values = values
        self.parked_codec = parked
        self.recent: Recent[OrderId, bytes] = Recent(recent_bytes, len)
        self.partitions: dict[int, PartitionStore] = {}

    def retain(self, kept: Iterable[int]) -> None:
        """Drop the stores of all other partitions, with what their transaction has not committed."""
        gone = self.partitions.keys() - set(kept)
        for number in gone:
            del self.partitions[number]
            if not self.values.outlives_process:
                forget(self.values, number)
        if gone:
            # Others may change these orders now.
            self.recent.clear()

    def open(self, number: int) -> PartitionStore:
        """The store of a partition whose local state has just been brought to the end of its changelogs."""
        store = self.partitions[number] = PartitionStore(number, self)
        return store

    def committed(self, checkpoints: Mapping[Changelog, Checkpoint]) -> None:
        """All that was applied is committed now; called by the engine for each commit, before anything else is applied.

        `checkpoints` are of partitions held, and were taken before the commit began to be answered.
        """
        changes = [change for store in self.partitions.values() for change in store.uncommitted()]
        changes += [checkpoint.change(changelog) for changelog, checkpoint in checkpoints.items()]
        if changes:
            self.values.write(changes)
        for store in self.partitions.values():
            store.settle()

    @property
    def waiting(self) -> Iterable[WaitingRoom]:
        """The orders that wait, by partition."""
        return (store.waiting for store in self.partitions.values())


class PartitionStore:
    """State of one partition while this worker holds it. Values are whole messages as on the topics."""

    def __init__(self, number: int, worker: WorkerState) -> None:
        self._values = worker.values
        self._recent = worker.recent
        self._codec = worker.parked_codec
        self._state_group = group_of(Changelog(ORDER_STATE, number))
        self._parked_group = group_of(Changelog(PARKED, number))
        self._states: dict[OrderId, bytes] = {}
        self._parked: dict[OrderId, ParkedOrder | None] = {}
        self.waiting = WaitingRoom()
        for _, message in self._values.scan(self._parked_group):
            self.waiting.enter(self._codec.decode(message))

    def state(self, order_id: OrderId) -> bytes | None:
        """The latest version."""
        found = self._states.get(order_id) or self._recent.get(order_id)
        return found if found is not None else self._values.get(self._state_group, order_id.encode())

    def states(self, order_ids: Iterable[OrderId]) -> dict[OrderId, bytes | None]:
        """The latest versions of these, at less cost than one by one."""
        found: dict[OrderId, bytes | None] = {}
        asked = []
        for order_id in order_ids:
            held = self._states.get(order_id) or self._recent.get(order_id)
            if held is None:
                asked.append(order_id)
            else:
                found[order_id] = held
        found.update(
            zip(asked, self._values.get_many(self._state_group, [each.encode() for each in asked]), strict=True)
        )
        return found

    def parked(self, order_id: OrderId) -> ParkedOrder | None:
        """The order's place in the waiting room."""
        if order_id in self._parked:
            return self._parked[order_id]
        if order_id not in self.waiting:
            return None
        message = self._values.get(self._parked_group, order_id.encode())
        return None if message is None else self._codec.decode(message)

    def apply(self, states: Mapping[OrderId, bytes], parked: Mapping[OrderId, ParkedOrder | None]) -> None:
        """Take over what a batch has changed; its transaction has it, and is not committed yet."""
        self._states.update(states)
        for order_id, place in parked.items():
            self._parked[order_id] = place
            if place is None:
                self.waiting.leave(order_id)
            else:
                self.waiting.enter(place)

    def uncommitted(self) -> list[Change]:
        """What has been applied since `settle`."""
        group = self._state_group
        changes: list[Change] = [(group, order_id.encode(), message) for order_id, message in self._states.items()]
        for order_id, place in self._parked.items():
            value = None if place is None else self._codec.encode(place)
            changes.append((self._parked_group, order_id.encode(), value))
        return changes

    def settle(self) -> None:
        """What was uncommitted is in the local state now."""
        if self._states:
            self._recent.update(self._states)
            self._states = {}
        if self._parked:
            self._parked = {}

    def waiting_for(self, arrived: Iterable[AwaitedKey]) -> list[OrderId]:
        """Orders that wait for one of the records that have arrived, longest waiting first."""
        return self.waiting.waiting_for(arrived)

    def overdue(self, now: datetime) -> list[OrderId]:
        """Orders that have waited past their deadline."""
        return self.waiting.overdue(now)


@dataclass(slots=True)
class StoreView:
    """What a batch sees and changes; the store itself changes only when the batch's outputs are written."""

    store: PartitionStore
    _states: dict[OrderId, bytes] = field(default_factory=dict)
    _parked: dict[OrderId, ParkedOrder | None] = field(default_factory=dict)

    _foreseen: dict[OrderId, bytes | None] = field(default_factory=dict)

    def foresee(self, order_ids: Iterable[OrderId]) -> None:
        """Ask at once for what will be asked for; the store must not change until the view is done with."""
        self._foreseen = self.store.states(order_ids)

    def state(self, order_id: OrderId) -> bytes | None:
        """The latest version."""
        made = self._states.get(order_id)
        if made is not None:
            return made
        return self._foreseen[order_id] if order_id in self._foreseen else self.store.state(order_id)

    def parked(self, order_id: OrderId) -> ParkedOrder | None:
        """The order's place in the waiting room."""
        return self._parked[order_id] if order_id in self._parked else self.store.parked(order_id)

    def put_state(self, order_id: OrderId, message: bytes) -> None:
        """A new version."""
        self._states[order_id] = message

    def put_parked(self, order_id: OrderId, parked: ParkedOrder | None) -> None:
        """The order waits, or (None) no longer."""
        self._parked[order_id] = parked

    def apply(self) -> None:
        """Make the changes the store's own; called with the outputs in hand, inside the batch's guard."""
        self.store.apply(self._states, self._parked)

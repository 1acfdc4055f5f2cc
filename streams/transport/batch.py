"""What the transport hands over: the records of one partition's poll, as one event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NewType

from faust.types import TP

Headers = list[tuple[str, str | bytes | None]]
TransactionalId = NewType("TransactionalId", str)

UNKNOWN_GENERATION = -1


class Record(NamedTuple):
    """One consumed record; `timestamp` is in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, str | bytes | None]]


@dataclass(slots=True, eq=False)
class Generation:
    """One time of holding partitions: what is handed out in it can only be committed in it.

    `alive` turns False as soon as the partitions are given back, lost or rewound, and never True again.
    `number` is the group's generation id (`UNKNOWN_GENERATION` if the client library hides it) and
    `group_metadata` what the broker fences by.
    """

    number: int
    partitions: frozenset[TP]
    group_metadata: bytes
    alive: bool = True


@dataclass(slots=True, eq=False)
class Batch:
    """Consecutive records of one partition, in order, never empty."""

    topic: str
    partition: int
    generation: Generation
    records: list[Record]
    finished: bool = field(default=False, init=False)

    @property
    def generation_id(self) -> int:
        """The group's generation in which the records were fetched."""
        return self.generation.number

    @property
    def ours(self) -> bool:
        """Whether the partition is still held: cheap, for retry loops; the binding check is `Output.ours`."""
        return self.generation.alive

    @property
    def last_offset(self) -> int:
        """The offset of the last record."""
        return self.records[-1].offset

    def __len__(self) -> int:
        return len(self.records)


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """What `PartitionHooks.on_assigned` is told about the partitions that the worker now holds.

    `positions` is the offset of the first record that will be handed out. `kept` names the partition numbers
    that this worker also held in the generation directly before, with everything committed: state that was
    built for them then is still exact. For all others state must be loaded anew.
    """

    generation: Generation
    positions: Mapping[TP, int]
    kept: frozenset[int]

    @property
    def partitions(self) -> frozenset[int]:
        """The partition numbers held, whichever topic they belong to."""
        return frozenset(tp.partition for tp in self.positions)

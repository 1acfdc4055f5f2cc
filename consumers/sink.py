"""What the author of a sink implements, and what the runner promises in return.

The commit order of `consumers.runner` for each batch, the same for every sink:

1. Poll records of the assigned partitions, at most a batch.
2. `Sink.read`: bytes become values; records that cannot be read are refused.
3. Write the refused records to `orders.rejected` and wait until the brokers have them.
4. `Sink.write`: values and the positions after them, in one transaction of the destination. The expected old
   positions are compared first; another worker's progress makes it a `PositionConflict`.
5. Commit the same positions to Kafka's group, for lag tools only; nothing ever starts from them.
6. Count, and poll again.

While step 4 of one batch waits for the destination, steps 1 and 2 of the next are done, where the sink
`reads_ahead`; its steps 3 and 4 begin after step 6 of the first. Before partitions are given away the batch in hand
is written or has failed, and what was read ahead is dropped.

A crash before step 4 commits repeats the batch from step 1: step 3 may write a rejection a second time, with the
same `rejection_id`. A crash after it repeats nothing. So every record has its effect exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from confluent_kafka import Message

from schemas.attributes import Instant
from schemas.errors import InvalidMessage

V = TypeVar("V")


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


def place_of(message: Message) -> tuple[Partition, int]:
    """Partition and offset of a polled record, which always has them."""
    return Partition(message.topic() or "", message.partition() or 0), message.offset() or 0


class Advance(NamedTuple):
    """The move of one partition's position: offsets of the next record to read, before and after the batch."""

    expected: int | None
    """What the destination must hold now; None where it has never held a position of this partition."""
    reached: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that no retry can mend, and why."""

    message: Message
    error: InvalidMessage


@dataclass(frozen=True, slots=True)
class Reading(Generic[V]):
    """What `Sink.read` made of a run of records."""

    values: Sequence[V]
    refused: Sequence[Refusal] = ()
    committed_at: Sequence[Instant] = field(default=())
    """Commit times in the source of the values, for the latency metric; may be empty."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[V]):
    """What `Sink.write` makes durable at once."""

    values: Sequence[V]
    """Of each partition in the order of its offsets."""
    advances: Mapping[Partition, Advance]
    group: object
    """The client's group metadata with the generation, for sinks whose transaction is Kafka's."""


class Sink(Protocol[V]):
    """A destination with one method that writes, and the positions that lie beside what it wrote.

    The runner calls one method at a time, except that `read` may be called while `write` works in a thread of its own,
    where the sink `reads_ahead`. Each method may raise `Transient` (the runner pauses, keeps its
    membership of the group and calls again with the same arguments) and `Fatal` (the worker stops).
    """

    @property
    def name(self) -> str:
        """Name in the registry of sinks, in metrics and as `stage` of its rejections."""
        ...

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it consumes; same-numbered partitions of all of them go to the same worker."""
        ...

    @property
    def commits_group_offsets(self) -> bool:
        """Whether `write` itself commits the group's offsets, so that the runner leaves out step 5."""
        ...

    @property
    def reads_ahead(self) -> bool:
        """Whether `read` uses nothing that `write` changes, so that both may work at the same time."""
        ...

    def prepare(self) -> None:
        """Bring the destination to the form that this version needs; called once, before the first assignment.

        Several workers may call it at once; called again it changes nothing.
        """
        ...

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset of the next record of each partition, as the last `write` left it; called at each assignment.

        A partition that never had one is left out and starts at the beginning. What the sink keeps in memory about
        the partitions belongs to an earlier assignment and must be read again here.
        """
        ...

    def read(self, messages: Sequence[Message]) -> Reading[V]:
        """The values of a run of records; a record that cannot be read is refused, never raised and never dropped.

        May leave out a record whose effect a later one of the same run replaces. Has no effect outside.
        """
        ...

    def write(self, batch: Batch[V]) -> None:
        """Make the values and the positions durable, both or neither. `values` may be empty.

        Idempotent in effect: after a lost answer the runner calls again or, where the positions turn out to have
        moved, reads them again and drops the batch. An older version never overwrites a newer one.

        Raises:
            PositionConflict: a position is not the expected one; nothing was written. The runner drops the batch
                and reads the positions.
            InvalidMessage: the destination refuses a value and nothing was written. The runner halves the batch until
                it knows the record, then refuses it.
            Transient: the destination is away; nothing was written, or it was and the next call's conflict tells.
        """
        ...

    def close(self) -> None:
        """Give back connections; called once, at the end, also after a failure."""
        ...

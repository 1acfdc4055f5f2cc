"""What one look at the broker says of every consumer group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Place(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class GroupStanding(StrEnum):
    """How a group does, by the trend of its offsets; in the order of gravity."""

    FINE = "fine"
    """It reads everything, or catches up."""
    SLOW = "slow"
    """It moves, but falls back further with each look."""
    REWOUND = "rewound"
    """It committed an offset before one that it had committed: records are read a second time."""
    STALLED = "stalled"
    """It has members, records wait, and its offset does not move."""
    STOPPED = "stopped"
    """It has no members, records wait, and its offset does not move."""

    @property
    def gravity(self) -> int:
        """0 for fine, more for worse."""
        return list(GroupStanding).index(self)


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One group on one partition."""

    topic: str
    partition: int
    committed: int
    end: int
    """Behind the last record of a finished transaction."""
    lag_records: int
    """From the next record that the group has not read to the end; 0 where only markers of transactions follow."""
    lag_seconds: float
    """Age of that next record; 0 where there is none."""
    standing: GroupStanding
    expired_records: int = 0
    """Offsets that the log gave up before the group had read them."""


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One group on all partitions where it has committed."""

    group: str
    members: bool
    """Whether somebody is in it now."""
    partitions: tuple[PartitionLag, ...]

    @property
    def standing(self) -> GroupStanding:
        """That of its worst partition."""
        return max((one.standing for one in self.partitions), key=lambda one: one.gravity, default=GroupStanding.FINE)

    @property
    def lag_records(self) -> int:
        """Records that wait, over all partitions."""
        return sum(one.lag_records for one in self.partitions)

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest record that waits."""
        return max((one.lag_seconds for one in self.partitions), default=0.0)


@dataclass(frozen=True, slots=True)
class LagReport:
    """Every group of the broker at one moment, by name."""

    observed_at: datetime
    groups: tuple[GroupLag, ...]
    open_transactions: Mapping[Place, float]
    """Seconds for which readers of whole transactions have stood before the same one; 0 where none is open."""

    def group(self, name: str) -> GroupLag | None:
        """One group; None where the broker does not know it."""
        return next((one for one in self.groups if one.group == name), None)

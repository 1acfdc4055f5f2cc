"""Which part of a tree of tables is read from the source at once, and what was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from producers.cdc.changes import Row
from producers.cdc.tables import KeyValues, TablePlan


class ColumnBound(NamedTuple):
    """A limit for a column of the root table; `operator` is one of >=, <=, <."""

    column: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Rows of the top table behind `after` and up to `up_to`, in the order of its key."""

    after: KeyValues | None = None
    up_to: KeyValues | None = None
    bounds: tuple[ColumnBound, ...] = ()


@dataclass(frozen=True, slots=True)
class Keys:
    """The rows of the top table with these keys, and what hangs below these keys even where there is no row."""

    keys: tuple[KeyValues, ...]


@dataclass(frozen=True, slots=True)
class Orphans:
    """Rows of the top table (not a root) whose parent does not exist, in the order of its key."""

    after: KeyValues | None = None
    up_to: KeyValues | None = None


Portion = KeyRange | Keys | Orphans


class SnapshotView(Protocol):
    """Which transactions a reading has seen."""

    def sees(self, transaction_id: int) -> bool:
        """Whether what this committed transaction did was there when the reading was made."""
        ...


class Rows(NamedTuple):
    """The rows of one table that belong to a portion, in the columns of `plan.relation`."""

    plan: TablePlan
    rows: list[Row]


class Reading(NamedTuple):
    """A portion as the source held it at one moment: tables after their parents.

    `last_key` is where the next portion goes on; None if this was the last one (or a portion of chosen keys).
    """

    portion: Portion
    tables: list[Rows]
    last_key: KeyValues | None
    view: SnapshotView

    @property
    def row_count(self) -> int:
        """Rows of all tables."""
        return sum(len(part.rows) for part in self.tables)

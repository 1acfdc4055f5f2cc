"""What any source database tells the capture: relations, row changes and the transactions that hold them.

Values stay the bytes that the source sent, in the order of the relation's columns, so that a column nobody
maps costs nothing; a `RowReader` of the source turns the wanted ones into Python values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from typing import Final, Literal, NamedTuple, NewType, Protocol

Position = NewType("Position", int)
"""Place in the source's log; only its order has a meaning (PostgreSQL: the LSN as an integer)."""


class NotSent(Enum):
    """Marks a column whose value the source left out because it did not change (TOAST)."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = NotSent.UNCHANGED

RawValue = bytes | None | Literal[NotSent.UNCHANGED]
Row = tuple[RawValue, ...]
"""Raw values in the order of `Relation.columns`; None is SQL's NULL."""


class TableName(NamedTuple):
    """A table by schema and name, as the source's catalog spells them (no quoting)."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


class ReplicaIdentity(StrEnum):
    """Which old values the source sends with updates and deletes (PostgreSQL's own terms)."""

    DEFAULT = "default"
    NOTHING = "nothing"
    FULL = "full"
    INDEX = "index"


class KeyForm(IntEnum):
    """What of a key's value is left out because values that differ in it are equal to the source.

    NUMBER: zeros that close a fraction (`1.50`), and the sign of a zero. PADDED: blanks at the end.
    """

    AS_SENT = 0
    NUMBER = 1
    PADDED = 2


class Column(NamedTuple):
    """One column as the source describes it.

    `is_key` tells whether it belongs to the replica identity (all columns do under FULL), which need not be
    the primary key. `type_id` and `modifier` are the source's own numbers; `form` is known of live tables.
    """

    name: str
    type_id: int
    modifier: int = -1
    is_key: bool = False
    form: KeyForm = KeyForm.AS_SENT


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """The shape of a table from some point of the log on; a change of shape makes a new object.

    Compared by identity, so that whatever is prepared once for a relation can be kept in a dict by it.
    """

    relation_id: int
    name: TableName
    columns: tuple[Column, ...]
    replica_identity: ReplicaIdentity

    def index_of(self, column: str) -> int:
        """Place of a column in each row. Raises KeyError if the relation has no such column."""
        for index, candidate in enumerate(self.columns):
            if candidate.name == column:
                return index
        raise KeyError(column)

    def indexes_of(self, columns: Collection[str]) -> tuple[int, ...]:
        """Places of several columns, in the order given. Raises KeyError for an unknown one."""
        return tuple(self.index_of(column) for column in columns)


class ChangeKind(StrEnum):
    """What happened to the row (or, for TRUNCATE, to the whole table)."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    TRUNCATE = "truncate"
    READ = "read"


class RowChange(NamedTuple):
    """One change of one row.

    `new` is None for DELETE and TRUNCATE. `old` is None where the source sent nothing old: it comes with each
    DELETE, with an UPDATE of a key column, and with each UPDATE under FULL; columns outside the replica
    identity are then `UNCHANGED`. READ marks a row of a snapshot.
    """

    kind: ChangeKind
    relation: Relation
    new: Row | None
    old: Row | None


class Marker(NamedTuple):
    """A message that somebody wrote into the source's log (heartbeat, watermark), in its place."""

    prefix: str
    content: bytes
    position: Position
    transactional: bool


class SourceTransaction(NamedTuple):
    """A committed source transaction, or one part of a large one.

    Parts come in order and without other transactions between them; `first_sequence` is the number of the
    part's first change within the transaction, so (`position`, `first_sequence` + index) names each change
    for ever, also where changes share a log position. `complete` is true on the last part only, which alone
    carries `end_position`: the place from which to go on once the whole transaction is safe downstream.
    """

    transaction_id: int
    position: Position
    committed_at: datetime
    changes: Sequence[RowChange]
    first_sequence: int = 0
    complete: bool = True
    end_position: Position | None = None
    origin: str | None = None


RowValues = Callable[[Row], dict[str, object]]
"""Turns a raw row into Python values by column name; raises InvalidValue that names the column."""


class Held(IntEnum):
    """What the raw bytes of a column are the text of, where that is plain enough for native code."""

    INTEGER = 0
    NUMERIC = 1
    WORDS = 2
    PADDED_WORDS = 3
    TRUTH = 4
    DATE = 5
    MOMENT = 6


class RowReader(Protocol):
    """Knows the source's types: prepares, once for each relation, the conversion of the wanted columns."""

    def row_values(self, relation: Relation, columns: Collection[str] | None = None) -> RowValues:
        """Conversion of `columns` (all if None) of the relation's rows; `UNCHANGED` passes through.

        Raises ConfigurationError if the relation lacks one of them.
        """
        ...

    def held(self, type_id: int) -> Held | None:
        """What columns of a type hold; None where only `row_values` can read them."""
        ...


def completed(new: Row, previous: Row | None) -> Row:
    """The new row with each `UNCHANGED` column taken from the previous row, as far as that is known."""
    if previous is None or UNCHANGED not in new:
        return new
    return tuple(old if value is UNCHANGED else value for value, old in zip(new, previous, strict=True))

"""The messages of the pgoutput protocol that are not row changes, under PostgreSQL's own names."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from producers.cdc.changes import Position, Relation, RowChange


class Begin(NamedTuple):
    """Start of a committed transaction (of a prepared one, if `gid` is set)."""

    commit_position: Position
    committed_at: datetime
    transaction_id: int
    gid: str | None = None


class Commit(NamedTuple):
    """End of a transaction; replication goes on at `end_position`.

    The time stays microseconds since 2000 in UTC, because `Begin` told it already.
    """

    commit_position: Position
    end_position: Position
    committed_microseconds: int


class Origin(NamedTuple):
    """The transaction was replicated into this server from elsewhere."""

    commit_position: Position
    name: str


class TypeName(NamedTuple):
    """Name of a type that is not built in."""

    type_id: int
    schema: str
    name: str


class LogicalMessage(NamedTuple):
    """What `pg_logical_emit_message` wrote."""

    transactional: bool
    position: Position
    prefix: str
    content: bytes


class Truncate(NamedTuple):
    """One TRUNCATE command and all tables that it emptied."""

    relations: tuple[Relation, ...]
    cascade: bool
    restart_identity: bool


class Prepared(NamedTuple):
    """A transaction reached PREPARE TRANSACTION; its fate is not known yet."""

    prepare_position: Position
    end_position: Position
    prepared_at: datetime
    transaction_id: int
    gid: str
    streamed: bool = False


class PreparedCommitted(NamedTuple):
    """COMMIT PREPARED of a transaction sent earlier."""

    commit_position: Position
    end_position: Position
    committed_at: datetime
    transaction_id: int
    gid: str


class PreparedRolledBack(NamedTuple):
    """ROLLBACK PREPARED of a transaction sent earlier."""

    prepare_end_position: Position
    rollback_end_position: Position
    prepared_at: datetime
    rolled_back_at: datetime
    transaction_id: int
    gid: str


class StreamStart(NamedTuple):
    """A block of changes of a transaction still in progress begins."""

    transaction_id: int
    first_block: bool


class StreamStop(NamedTuple):
    """The block of changes ends."""


class StreamCommit(NamedTuple):
    """A transaction sent in blocks was committed."""

    transaction_id: int
    commit_position: Position
    end_position: Position
    committed_at: datetime


class StreamAbort(NamedTuple):
    """A (sub)transaction sent in blocks was rolled back."""

    transaction_id: int
    subtransaction_id: int


class Streamed(NamedTuple):
    """A message inside a block, with the (sub)transaction that it belongs to."""

    transaction_id: int
    message: RowChange | Truncate | Relation | TypeName | LogicalMessage


Message = (
    RowChange
    | Begin
    | Commit
    | Relation
    | TypeName
    | Origin
    | Truncate
    | LogicalMessage
    | Prepared
    | PreparedCommitted
    | PreparedRolledBack
    | StreamStart
    | StreamStop
    | StreamCommit
    | StreamAbort
    | Streamed
)

"""Puts decoded pgoutput messages together to committed source transactions, large ones in parts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from producers.cdc.changes import ChangeKind, Marker, Position, Relation, RowChange, SourceTransaction
from producers.cdc.native import extension
from producers.cdc.postgres.messages import Begin, Commit, LogicalMessage, Origin, Truncate, TypeName
from producers.cdc.postgres.pgoutput import Decoder
from schemas.errors import Fatal

MAX_CHANGES_PER_PART: Final = 10_000


class TransactionAssembler:
    """Reads one replication connection's messages; the capture worker feeds it each batch received.

    The server sends a transaction only once it is committed (in-progress streaming is not asked for), with
    its commit position and time first. So nothing needs to be held back: memory is bounded by one part, and
    what was rolled back or only prepared never appears.

    Row changes and whole transactions are read natively where that is built (`native/wire.c`), all else here.
    """

    __slots__ = (
        "_begin",
        "_changes",
        "_decode",
        "_first_sequence",
        "_ignored",
        "_max_changes",
        "_native",
        "_origin",
        "_parts",
        "_relations",
    )

    def __init__(
        self,
        decoder: Decoder,
        *,
        ignored_origins: Collection[str] = (),
        max_changes_per_part: int = MAX_CHANGES_PER_PART,
        natively: bool = True,
    ) -> None:
        """`ignored_origins`: replication origins whose transactions come out without changes (no loops)."""
        self._decode = decoder.decode
        self._relations = decoder.relations
        self._native = extension() if natively else None
        self._ignored = frozenset(ignored_origins)
        self._max_changes = max_changes_per_part
        self._begin: Begin | None = None
        self._origin: str | None = None
        self._changes: list[RowChange] = []
        self._first_sequence = 0
        self._parts: list[SourceTransaction | Marker] = []

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun whose end has not been received yet."""
        return self._begin is not None

    def feed(self, messages: list[bytes], at: int = 0) -> list[SourceTransaction | Marker]:
        """Everything that the messages complete, in the source's order.

        `at` is where the pgoutput message starts in each of them (`XLOG_HEADER_BYTES` for raw CopyData).
        Raises InvalidMessage for bytes that cannot be decoded and Fatal for messages out of place.
        """
        if self._native is not None:
            self._native.feed(self, self._relations, messages, at, self._max_changes)
        else:
            for data in messages:
                self.feed_slowly(data, at)
        parts, self._parts = self._parts, []
        return parts

    def feed_slowly(self, data: bytes, at: int) -> None:
        """Take one message; called by the native part for each that it leaves to us."""
        message = self._decode(data, at)
        if isinstance(message, RowChange):
            self._changes.append(message)
            if len(self._changes) >= self._max_changes:
                self._end_part()
        elif isinstance(message, Commit):
            self._end_part(message.end_position)
            self._begin = None
        elif isinstance(message, Begin) and self._begin is None:
            self._begin, self._origin, self._first_sequence = message, None, 0
        elif not isinstance(message, Relation):
            self._control(message)

    def _control(self, message: object) -> None:
        match message:
            case Truncate():
                self._changes += [
                    RowChange(ChangeKind.TRUNCATE, relation, None, None) for relation in message.relations
                ]
            case Origin():
                self._origin = message.name
            case LogicalMessage():
                self._marked(message)
            case TypeName():
                pass
            case _:
                raise Fatal(
                    f"the replication stream sent {type(message).__name__} out of place: the slot must be read "
                    "without in-progress streaming and without two-phase commit"
                )

    def _marked(self, message: LogicalMessage) -> None:
        if self._changes and not message.transactional:
            raise Fatal(f"a non-transactional message {message.prefix!r} came inside a transaction")
        if self._changes:
            self._end_part()
        self._parts.append(Marker(message.prefix, message.content, message.position, message.transactional))

    def _end_part(self, end_position: Position | None = None) -> None:
        begin = self._begin
        if begin is None:
            raise Fatal("the replication stream sent row changes or a commit outside of a transaction")
        changes, self._changes = self._changes, []
        self._parts.append(
            SourceTransaction(
                begin.transaction_id,
                begin.commit_position,
                begin.committed_at,
                () if self._origin in self._ignored else changes,
                self._first_sequence,
                end_position is not None,
                end_position,
                self._origin,
            )
        )
        self._first_sequence += len(changes)

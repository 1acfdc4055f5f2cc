"""Row changes as they come over the wire, read by the capture's own assembler."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from producers.cdc.changes import ChangeKind, Relation, RowChange, SourceTransaction
from producers.cdc.postgres.pgoutput import Decoder
from producers.cdc.postgres.transactions import TransactionAssembler
from tests.unit import pgoutput_encoding as server

AT = datetime(2026, 5, 4, 3, 2, 1, 654321, tzinfo=UTC)


def message_of(change: RowChange) -> bytes:
    """The server's message for one change."""
    number = change.relation.relation_id
    if change.kind is ChangeKind.TRUNCATE:
        return server.truncate([number])
    if change.kind is ChangeKind.DELETE:
        assert change.old is not None
        return server.delete(number, change.old)
    assert change.new is not None
    if change.kind is ChangeKind.INSERT:
        return server.insert(number, change.new)
    return server.update(number, change.new, change.old, b"K")


class Wire:
    """One replication connection."""

    def __init__(self, *, natively: bool) -> None:
        self._assembler = TransactionAssembler(Decoder(), natively=natively)
        self._described: set[int] = set()

    def sent(self, changes: Sequence[RowChange]) -> list[RowChange]:
        """The same changes, as one transaction read from the wire."""
        messages = [server.begin(50, AT, 7)]
        for change in changes:
            messages += self._describe(change.relation)
            messages.append(message_of(change))
        (part,) = self._assembler.feed([*messages, server.commit(50, 60, AT)])
        assert isinstance(part, SourceTransaction)
        return list(part.changes)

    def _describe(self, relation: Relation) -> list[bytes]:
        if relation.relation_id in self._described:
            return []
        self._described.add(relation.relation_id)
        return [server.relation(relation)]

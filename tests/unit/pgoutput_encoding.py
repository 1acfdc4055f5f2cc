"""The server's side of pgoutput for tests: writes the messages that the decoder reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from struct import pack

from producers.cdc.changes import UNCHANGED, Relation, ReplicaIdentity, Row

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_IDENTITY = {
    ReplicaIdentity.DEFAULT: b"d",
    ReplicaIdentity.NOTHING: b"n",
    ReplicaIdentity.FULL: b"f",
    ReplicaIdentity.INDEX: b"i",
}


def microseconds(moment: datetime) -> int:
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def zero_ended(text: str) -> bytes:
    return text.encode() + b"\0"


def relation(shape: Relation) -> bytes:
    head = b"R" + pack(">I", shape.relation_id) + zero_ended(shape.name.schema) + zero_ended(shape.name.table)
    columns = b"".join(
        pack(">B", column.is_key) + zero_ended(column.name) + pack(">Ii", column.type_id, column.modifier)
        for column in shape.columns
    )
    return head + _IDENTITY[shape.replica_identity] + pack(">H", len(shape.columns)) + columns


def row(values: Row) -> bytes:
    parts = [pack(">H", len(values))]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif value is UNCHANGED:
            parts.append(b"u")
        else:
            parts.append(b"t" + pack(">I", len(value)) + value)
    return b"".join(parts)


def insert(relation_id: int, new: Row) -> bytes:
    return b"I" + pack(">I", relation_id) + b"N" + row(new)


def update(relation_id: int, new: Row, old: Row | None = None, old_kind: bytes = b"O") -> bytes:
    before = b"" if old is None else old_kind + row(old)
    return b"U" + pack(">I", relation_id) + before + b"N" + row(new)


def delete(relation_id: int, old: Row, old_kind: bytes = b"K") -> bytes:
    return b"D" + pack(">I", relation_id) + old_kind + row(old)


def truncate(relation_ids: Sequence[int], options: int = 0) -> bytes:
    return b"T" + pack(">IB", len(relation_ids), options) + b"".join(pack(">I", i) for i in relation_ids)


def begin(position: int, committed_at: datetime, transaction_id: int) -> bytes:
    return b"B" + pack(">QqI", position, microseconds(committed_at), transaction_id)


def commit(position: int, end: int, committed_at: datetime) -> bytes:
    return b"C" + pack(">BQQq", 0, position, end, microseconds(committed_at))


def origin(position: int, name: str) -> bytes:
    return b"O" + pack(">Q", position) + zero_ended(name)


def logical_message(prefix: str, content: bytes, position: int, *, transactional: bool) -> bytes:
    head = b"M" + pack(">BQ", transactional, position) + zero_ended(prefix)
    return head + pack(">I", len(content)) + content

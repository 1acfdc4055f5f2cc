"""Decoder of the pgoutput logical replication protocol, versions 1 to 4 (text format), free of any I/O.

Source: PostgreSQL documentation, "Logical Replication Message Formats".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from struct import Struct
from struct import error as StructError
from typing import Final

from producers.cdc.changes import (
    UNCHANGED,
    ChangeKind,
    Column,
    Position,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    RowChange,
    TableName,
    completed,
)
from producers.cdc.postgres.messages import (
    Begin,
    Commit,
    LogicalMessage,
    Message,
    Origin,
    Prepared,
    PreparedCommitted,
    PreparedRolledBack,
    StreamAbort,
    StreamCommit,
    Streamed,
    StreamStart,
    StreamStop,
    Truncate,
    TypeName,
)
from schemas.errors import InvalidMessage

XLOG_HEADER_BYTES: Final = 25
"""Length of the XLogData header ('w', start, end, clock) before a pgoutput message in a replication stream."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_IDENTITIES = {
    "d": ReplicaIdentity.DEFAULT,
    "n": ReplicaIdentity.NOTHING,
    "f": ReplicaIdentity.FULL,
    "i": ReplicaIdentity.INDEX,
}

_u8 = Struct(">B").unpack_from
_u16 = Struct(">H").unpack_from
_u32 = Struct(">I").unpack_from
_begin = Struct(">QqI").unpack_from
_commit = Struct(">BQQq").unpack_from
_begin_prepare = Struct(">QQqI").unpack_from
_commit_xid = Struct(">BQQqI").unpack_from
_rollback_prepared = Struct(">BQQqqI").unpack_from
_stream_start = Struct(">IB").unpack_from
_stream_commit = Struct(">IBQQq").unpack_from
_stream_abort = Struct(">II").unpack_from
_stream_abort_details = Struct(">Qq").unpack_from
_message = Struct(">BQ").unpack_from
_truncate = Struct(">IB").unpack_from
_column_end = Struct(">Ii").unpack_from
_change = Struct(">IB").unpack_from
_value = Struct(">BI").unpack_from

_SHORT_VALUE: Final = b"t\0\0\0"
_INSERT, _UPDATE, _DELETE = ChangeKind.INSERT, ChangeKind.UPDATE, ChangeKind.DELETE
_new_tuple = tuple.__new__


class Decoder:
    """Decodes the messages of one replication connection in their order; keeps the relations it was told.

    A new connection needs a new decoder, because the server describes each relation anew.
    """

    __slots__ = ("_handlers", "_in_stream", "relations")

    def __init__(self) -> None:
        self.relations: dict[int, Relation] = {}
        self._in_stream = False
        self._handlers: dict[int, Callable[[bytes, int], Message]] = {
            ord(letter): handler
            for letter, handler in (
                ("I", self._insert),
                ("U", self._update),
                ("D", self._delete),
                ("T", self._truncated),
                ("R", self._relation),
                ("Y", _type_name),
                ("M", _logical_message),
                ("B", _begun),
                ("C", _committed),
                ("O", _origin),
                ("b", _begun_prepared),
                ("P", _prepared),
                ("K", _prepared_committed),
                ("r", _prepared_rolled_back),
                ("S", self._stream_started),
                ("E", self._stream_stopped),
                ("c", _stream_committed),
                ("A", _stream_aborted),
                ("p", _stream_prepared),
            )
        }

    def decode(self, data: bytes, at: int = 0) -> Message:
        """Decode the one message that fills `data` from `at` to its end.

        Raises InvalidMessage for anything that the protocol does not allow: cut off, overlong, unknown kind,
        a relation that was not described.
        """
        try:
            if self._in_stream and data[at] in b"IUDTRYM":
                return self._streamed(data, at)
            return self._handlers[data[at]](data, at + 1)
        except (KeyError, IndexError, ValueError, OverflowError, StructError) as exc:
            kind = data[at : at + 1]
            raise InvalidMessage(
                f"pgoutput message of kind {kind!r} with {len(data) - at} bytes cannot be decoded: {exc!r}; "
                "the replication stream is damaged or speaks an unknown protocol version",
                rule="invalid_pgoutput",
            ) from exc

    def _streamed(self, data: bytes, at: int) -> Streamed:
        (transaction_id,) = _u32(data, at + 1)
        message = self._handlers[data[at]](data, at + 5)
        return Streamed(transaction_id, message)  # type: ignore[arg-type]

    def _insert(self, data: bytes, at: int) -> RowChange:
        relation_id, kind = _change(data, at)
        if kind != 78:
            raise ValueError("an insert without its new row")
        relation = self.relations[relation_id]
        row, end = _row(data, at + 5, len(relation.columns))
        _must_end(data, end)
        return _new_tuple(RowChange, (_INSERT, relation, row, None))

    def _update(self, data: bytes, at: int) -> RowChange:
        relation_id, kind = _change(data, at)
        relation = self.relations[relation_id]
        count = len(relation.columns)
        old: Row | None = None
        at += 5
        if kind != 78:
            old, at = _row(data, at, count)
            old = _old_row(relation, kind, old)
            (kind,) = _u8(data, at)
            at += 1
            if kind != 78:
                raise ValueError("an update without its new row")
        new, end = _row(data, at, count)
        _must_end(data, end)
        if old is not None and relation.replica_identity is ReplicaIdentity.FULL:
            new = completed(new, old)
        return _new_tuple(RowChange, (_UPDATE, relation, new, old))

    def _delete(self, data: bytes, at: int) -> RowChange:
        relation_id, kind = _change(data, at)
        relation = self.relations[relation_id]
        row, end = _row(data, at + 5, len(relation.columns))
        _must_end(data, end)
        return _new_tuple(RowChange, (_DELETE, relation, None, _old_row(relation, kind, row)))

    def _truncated(self, data: bytes, at: int) -> Truncate:
        count, options = _truncate(data, at)
        if len(data) != at + 5 + 4 * count:
            raise ValueError(f"{count} relations announced")
        relations = tuple(self.relations[_u32(data, at + 5 + 4 * index)[0]] for index in range(count))
        return Truncate(relations, bool(options & 1), bool(options & 2))

    def _relation(self, data: bytes, at: int) -> Relation:
        (relation_id,) = _u32(data, at)
        schema, at = _string(data, at + 4)
        table, at = _string(data, at)
        identity = _IDENTITIES[chr(data[at])]
        (count,) = _u16(data, at + 1)
        at += 3
        columns = []
        for _ in range(count):
            flags = data[at]
            name, at = _string(data, at + 1)
            type_id, modifier = _column_end(data, at)
            at += 8
            columns.append(Column(name, type_id, modifier, bool(flags & 1)))
        _must_end(data, at)
        relation = Relation(relation_id, TableName(schema or "pg_catalog", table), tuple(columns), identity)
        self.relations[relation_id] = relation
        return relation

    def _stream_started(self, data: bytes, at: int) -> StreamStart:
        transaction_id, first = _stream_start(data, at)
        _must_end(data, at + 5)
        if self._in_stream:
            raise ValueError("a block inside a block")
        self._in_stream = True
        return StreamStart(transaction_id, bool(first))

    def _stream_stopped(self, data: bytes, at: int) -> StreamStop:
        _must_end(data, at)
        self._in_stream = False
        return StreamStop()


def _row(data: bytes, at: int, count: int) -> tuple[Row, int]:
    """The row at `at` and the place after it; the quick ways hold if all values are short.

    PostgreSQL's text never contains a zero byte, so splitting at the head of a value cannot hit inside one;
    each part must then have exactly its announced length, but for the marks of nulls and of values not sent
    behind it; else the careful way decides.
    """
    (announced,) = _u16(data, at)
    if announced != count:
        raise ValueError(f"{announced} values for {count} columns")
    parts = data[at + 2 :].split(_SHORT_VALUE)
    if len(parts) == count + 1:
        row = tuple([part[1:] for part in parts if part and len(part) == part[0] + 1])
        if len(row) == count and not parts[0]:
            return row, len(data)
    elif len(parts) <= count:
        mixed = _row_with_marks(parts)
        if len(mixed) == count:
            return mixed, len(data)
    return _row_by_value(data, at + 2, count)


def _row_with_marks(parts: list[bytes]) -> Row:
    """The row of these parts; an empty one if anything but short values, nulls and `UNCHANGED` is in them."""
    values: list[RawValue] = []
    append = values.append
    length, head = 0, True
    for part in parts:
        if head:
            head = False
        else:
            length = part[0] + 1
            append(part[1:length])
            if len(part) == length:
                continue
            if len(part) < length:
                return ()
        for mark in part[length:]:
            if mark == 110:
                append(None)
            elif mark == 117:
                append(UNCHANGED)
            else:
                return ()
    return tuple(values)


def _row_by_value(data: bytes, at: int, count: int) -> tuple[Row, int]:
    values: list[RawValue] = []
    append = values.append
    for _ in range(count):
        kind = data[at]
        if kind == 116:
            _, length = _value(data, at)
            at += 5
            append(data[at : at + length])
            at += length
        elif kind == 110:
            append(None)
            at += 1
        elif kind == 117:
            append(UNCHANGED)
            at += 1
        else:
            raise ValueError(f"value of unknown kind {kind} (is the slot read with binary values?)")
    if at > len(data):
        raise ValueError("cut off inside a row")
    return tuple(values), at


def _old_row(relation: Relation, kind: int, row: Row) -> Row:
    if kind == 79:
        return row
    if kind != 75:
        raise ValueError(f"old row of unknown kind {kind}")
    return tuple(value if column.is_key else UNCHANGED for value, column in zip(row, relation.columns, strict=True))


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1


def _must_end(data: bytes, at: int) -> None:
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes too many or too few")


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _gid(data: bytes, at: int) -> str:
    gid, end = _string(data, at)
    _must_end(data, end)
    return gid


def _begun(data: bytes, at: int) -> Begin:
    if len(data) != at + 20:
        raise ValueError("not 20 bytes")
    position, microseconds, transaction_id = _begin(data, at)
    return _new_tuple(Begin, (position, _EPOCH + timedelta(0, 0, microseconds), transaction_id, None))


def _committed(data: bytes, at: int) -> Commit:
    if len(data) != at + 25:
        raise ValueError("not 25 bytes")
    _, position, end_position, microseconds = _commit(data, at)
    return _new_tuple(Commit, (position, end_position, microseconds))


def _origin(data: bytes, at: int) -> Origin:
    position = int.from_bytes(data[at : at + 8], "big")
    return Origin(Position(position), _gid(data, at + 8))


def _type_name(data: bytes, at: int) -> TypeName:
    (type_id,) = _u32(data, at)
    schema, at = _string(data, at + 4)
    return TypeName(type_id, schema or "pg_catalog", _gid(data, at))


def _logical_message(data: bytes, at: int) -> LogicalMessage:
    flags, position = _message(data, at)
    prefix, at = _string(data, at + 9)
    (length,) = _u32(data, at)
    _must_end(data, at + 4 + length)
    return LogicalMessage(bool(flags & 1), Position(position), prefix, data[at + 4 :])


def _begun_prepared(data: bytes, at: int) -> Begin:
    position, _end, microseconds, transaction_id = _begin_prepare(data, at)
    return Begin(position, _time(microseconds), transaction_id, _gid(data, at + 28))


def _prepared(data: bytes, at: int) -> Prepared:
    _, position, end_position, microseconds, transaction_id = _commit_xid(data, at)
    return Prepared(position, end_position, _time(microseconds), transaction_id, _gid(data, at + 29))


def _stream_prepared(data: bytes, at: int) -> Prepared:
    return _prepared(data, at)._replace(streamed=True)


def _prepared_committed(data: bytes, at: int) -> PreparedCommitted:
    _, position, end_position, microseconds, transaction_id = _commit_xid(data, at)
    return PreparedCommitted(position, end_position, _time(microseconds), transaction_id, _gid(data, at + 29))


def _prepared_rolled_back(data: bytes, at: int) -> PreparedRolledBack:
    _, prepare_end, rollback_end, prepared, rolled_back, transaction_id = _rollback_prepared(data, at)
    gid = _gid(data, at + 37)
    return PreparedRolledBack(prepare_end, rollback_end, _time(prepared), _time(rolled_back), transaction_id, gid)


def _stream_committed(data: bytes, at: int) -> StreamCommit:
    transaction_id, _, position, end_position, microseconds = _stream_commit(data, at)
    _must_end(data, at + 29)
    return StreamCommit(transaction_id, position, end_position, _time(microseconds))


def _stream_aborted(data: bytes, at: int) -> StreamAbort:
    transaction_id, subtransaction_id = _stream_abort(data, at)
    if len(data) != at + 8:
        # Sent with streaming=parallel: the abort's own position and time.
        _stream_abort_details(data, at + 8)
        _must_end(data, at + 24)
    return StreamAbort(transaction_id, subtransaction_id)

"""Transactions put together from messages: order, numbering, parts, origins, markers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from producers.cdc.changes import (
    UNCHANGED,
    ChangeKind,
    Column,
    Marker,
    Relation,
    ReplicaIdentity,
    SourceTransaction,
    TableName,
    completed,
)
from producers.cdc.postgres.pgoutput import Decoder
from producers.cdc.postgres.transactions import TransactionAssembler
from schemas.errors import Fatal
from tests.unit import pgoutput_encoding as server

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
LINES = Relation(9, TableName("public", "lines"), (Column("id", 20, -1, True),), ReplicaIdentity.DEFAULT)
SHAPE = server.relation(LINES)


def rows(first: int, count: int) -> list[bytes]:
    return [server.insert(9, (str(number).encode(),)) for number in range(first, first + count)]


def transactions(parts: list[SourceTransaction | Marker]) -> list[SourceTransaction]:
    assert all(isinstance(part, SourceTransaction) for part in parts)
    return [part for part in parts if isinstance(part, SourceTransaction)]


def test_a_transaction_comes_out_whole_at_its_commit() -> None:
    assembler = TransactionAssembler(Decoder())
    assert assembler.feed([server.begin(50, AT, 7), SHAPE, *rows(1, 2)]) == []
    assert assembler.in_transaction
    (whole,) = transactions(assembler.feed([*rows(3, 1), server.commit(50, 60, AT)]))
    assert not assembler.in_transaction
    assert [change.new for change in whole.changes] == [(b"1",), (b"2",), (b"3",)]
    assert (whole.transaction_id, whole.position, whole.end_position, whole.committed_at) == (7, 50, 60, AT)
    assert (whole.first_sequence, whole.complete, whole.origin) == (0, True, None)


def test_a_large_transaction_comes_in_numbered_parts_and_is_not_held() -> None:
    assembler = TransactionAssembler(Decoder(), max_changes_per_part=4)
    parts = transactions(assembler.feed([server.begin(50, AT, 7), SHAPE, *rows(0, 10), server.commit(50, 60, AT)]))
    assert [(part.first_sequence, len(part.changes), part.complete, part.end_position) for part in parts] == [
        (0, 4, False, None),
        (4, 4, False, None),
        (8, 2, True, 60),
    ]
    assert [change.new for part in parts for change in part.changes] == [(str(n).encode(),) for n in range(10)]


def test_truncate_is_one_change_for_each_table() -> None:
    assembler = TransactionAssembler(Decoder())
    data = [server.begin(50, AT, 7), SHAPE, server.truncate([9]), *rows(1, 1), server.commit(50, 60, AT)]
    (whole,) = transactions(assembler.feed(data))
    assert [change.kind for change in whole.changes] == [ChangeKind.TRUNCATE, ChangeKind.INSERT]
    assert whole.changes[0].relation.name == LINES.name


def test_what_we_wrote_ourselves_comes_out_empty_but_moves_on() -> None:
    assembler = TransactionAssembler(Decoder(), ignored_origins={"ordersync"})
    own = [server.begin(50, AT, 7), server.origin(1, "ordersync"), SHAPE, *rows(1, 1), server.commit(50, 60, AT)]
    others = [server.begin(70, AT, 8), server.origin(1, "upstream"), *rows(2, 1), server.commit(70, 80, AT)]
    plain = [server.begin(90, AT, 9), *rows(3, 1), server.commit(90, 99, AT)]
    parts = transactions(assembler.feed([*own, *others, *plain]))
    assert [(part.end_position, len(part.changes), part.origin) for part in parts] == [
        (60, 0, "ordersync"),
        (80, 1, "upstream"),
        (99, 1, None),
    ]


def test_markers_keep_their_place() -> None:
    assembler = TransactionAssembler(Decoder())
    beat = server.logical_message("heartbeat", b"1", 40, transactional=False)
    inside = server.logical_message("watermark", b"2", 55, transactional=True)
    data = [beat, server.begin(60, AT, 7), SHAPE, *rows(1, 1), inside, *rows(2, 1), server.commit(60, 70, AT)]
    first, before, mark, after = assembler.feed(data)
    assert first == Marker("heartbeat", b"1", 40, False)
    assert mark == Marker("watermark", b"2", 55, True)
    assert isinstance(before, SourceTransaction) and not before.complete and before.first_sequence == 0
    assert isinstance(after, SourceTransaction) and after.complete and after.first_sequence == 1


@pytest.mark.parametrize(
    "data",
    [
        [server.commit(1, 2, AT)],
        [server.begin(1, AT, 7), server.begin(1, AT, 8)],
        [b"S\0\0\0\7\1"],
    ],
    ids=["commit without begin", "begin inside a transaction", "in-progress streaming"],
)
def test_messages_out_of_place_stop_the_capture(data: list[bytes]) -> None:
    with pytest.raises(Fatal, match="replication stream sent"):
        TransactionAssembler(Decoder()).feed(data)


def test_values_that_were_not_sent_are_completed_from_the_row_before() -> None:
    assert completed((b"2", UNCHANGED, None), (b"1", b"long", b"x")) == (b"2", b"long", None)
    assert completed((b"2", UNCHANGED), None) == (b"2", UNCHANGED)

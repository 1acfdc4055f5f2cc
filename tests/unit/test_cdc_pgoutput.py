"""The pgoutput decoder: what was written is read, and no bytes crash or hang it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.cdc.changes import (
    UNCHANGED,
    ChangeKind,
    Column,
    Relation,
    ReplicaIdentity,
    Row,
    RowChange,
    TableName,
)
from producers.cdc.postgres import messages
from producers.cdc.postgres.pgoutput import Decoder
from schemas.errors import InvalidMessage
from tests.unit import pgoutput_encoding as server

AT = datetime(2026, 5, 4, 3, 2, 1, 654321, tzinfo=UTC)
ORDERS = Relation(
    4711,
    TableName("public", "orders"),
    (Column("id", 20, -1, True), Column("customer", 25), Column("total", 1700, 786438)),
    ReplicaIdentity.DEFAULT,
)

values = st.one_of(
    st.none(),
    st.just(UNCHANGED),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(str.encode),
    # What would look like the head of a value, if it could hold a zero byte.
    st.sampled_from([b"t", b"tt", b"n", b"t" * 116, b"x" * 255, b"x" * 256, b"t" * 300, b"x" * 70_000, b""]),
)


@st.composite
def relations_and_rows(draw: st.DrawFn) -> tuple[Relation, Row, Row]:
    count = draw(st.integers(0, 12))
    columns = tuple(Column(f"c{i}", 25, -1, draw(st.booleans())) for i in range(count))
    identity = draw(st.sampled_from([ReplicaIdentity.DEFAULT, ReplicaIdentity.INDEX]))
    relation = Relation(draw(st.integers(0, 2**32 - 1)), TableName("s", "t"), columns, identity)
    rows = st.tuples(*[values] * count)
    return relation, draw(rows), draw(rows)


def decoder_with(relation: Relation) -> Decoder:
    decoder = Decoder()
    decoder.decode(server.relation(relation))
    return decoder


def test_a_relation_is_read_with_its_columns_keys_and_identity() -> None:
    decoder = Decoder()
    read = decoder.decode(server.relation(ORDERS))
    assert isinstance(read, Relation)
    assert (read.relation_id, read.name, read.columns, read.replica_identity) == (
        ORDERS.relation_id,
        ORDERS.name,
        ORDERS.columns,
        ORDERS.replica_identity,
    )
    assert decoder.relations[4711] is read


@given(relations_and_rows())
def test_each_row_comes_out_as_it_went_in(given_rows: tuple[Relation, Row, Row]) -> None:
    relation, new, old = given_rows
    decoder = decoder_with(relation)
    key = tuple(v if c.is_key else UNCHANGED for v, c in zip(old, relation.columns, strict=True))
    number = relation.relation_id

    def decoded(data: bytes) -> tuple[ChangeKind, Row | None, Row | None]:
        change = decoder.decode(b"header" + data, 6)
        assert isinstance(change, RowChange)
        assert change.relation is decoder.relations[number]
        return change.kind, change.new, change.old

    assert decoded(server.insert(number, new)) == (ChangeKind.INSERT, new, None)
    assert decoded(server.update(number, new)) == (ChangeKind.UPDATE, new, None)
    assert decoded(server.update(number, new, old, b"K")) == (ChangeKind.UPDATE, new, key)
    assert decoded(server.update(number, new, old, b"O")) == (ChangeKind.UPDATE, new, old)
    assert decoded(server.delete(number, old, b"K")) == (ChangeKind.DELETE, None, key)
    assert decoded(server.delete(number, old, b"O")) == (ChangeKind.DELETE, None, old)


def test_under_full_identity_a_value_that_was_not_sent_is_taken_from_the_old_row() -> None:
    full = Relation(1, TableName("s", "t"), (Column("a", 25), Column("b", 25)), ReplicaIdentity.FULL)
    change = decoder_with(full).decode(server.update(1, (b"2", UNCHANGED), (b"1", b"long")))
    assert isinstance(change, RowChange)
    assert change.new == (b"2", b"long")


TIME = pack(">q", server.microseconds(AT))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (server.begin(99, AT, 7), messages.Begin(99, AT, 7)),
        (server.commit(99, 120, AT), messages.Commit(99, 120, server.microseconds(AT))),
        (server.origin(5, "ordersync"), messages.Origin(5, "ordersync")),
        (b"Y" + pack(">I", 600) + b"crm\0status\0", messages.TypeName(600, "crm", "status")),
        (b"Y" + pack(">I", 600) + b"\0status\0", messages.TypeName(600, "pg_catalog", "status")),
        (
            server.logical_message("mark", b"a\0b", 77, transactional=True),
            messages.LogicalMessage(True, 77, "mark", b"a\0b"),
        ),
        (b"b" + pack(">QQ", 1, 2) + TIME + pack(">I", 7) + b"gid\0", messages.Begin(1, AT, 7, "gid")),
        (
            b"P\0" + pack(">QQ", 1, 2) + TIME + pack(">I", 7) + b"gid\0",
            messages.Prepared(1, 2, AT, 7, "gid"),
        ),
        (
            b"p\0" + pack(">QQ", 1, 2) + TIME + pack(">I", 7) + b"gid\0",
            messages.Prepared(1, 2, AT, 7, "gid", streamed=True),
        ),
        (
            b"K\0" + pack(">QQ", 1, 2) + TIME + pack(">I", 7) + b"gid\0",
            messages.PreparedCommitted(1, 2, AT, 7, "gid"),
        ),
        (
            b"r\0" + pack(">QQ", 1, 2) + TIME + TIME + pack(">I", 7) + b"gid\0",
            messages.PreparedRolledBack(1, 2, AT, AT, 7, "gid"),
        ),
        (b"S" + pack(">IB", 7, 1), messages.StreamStart(7, True)),
        (b"E", messages.StreamStop()),
        (b"c" + pack(">IBQQ", 7, 0, 1, 2) + TIME, messages.StreamCommit(7, 1, 2, AT)),
        (b"A" + pack(">II", 7, 8), messages.StreamAbort(7, 8)),
        (b"A" + pack(">IIQ", 7, 8, 1) + TIME, messages.StreamAbort(7, 8)),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bytes) else value[:1].decode(),
)
def test_each_other_message_is_read(data: bytes, message: object) -> None:
    assert Decoder().decode(data) == message


def test_truncate_names_all_its_relations() -> None:
    decoder = decoder_with(ORDERS)
    relation = decoder.relations[4711]
    assert decoder.decode(server.truncate([4711, 4711], 3)) == messages.Truncate((relation, relation), True, True)


def test_messages_of_a_streamed_block_carry_their_transaction() -> None:
    decoder = decoder_with(ORDERS)
    decoder.decode(b"S" + pack(">IB", 7, 1))
    plain = server.insert(4711, (b"1", None, b"2.00"))
    streamed = decoder.decode(b"I" + pack(">I", 8) + plain[1:])
    assert isinstance(streamed, messages.Streamed)
    assert streamed.transaction_id == 8
    decoder.decode(b"E")
    assert decoder.decode(plain) == streamed.message


WHOLE = [
    server.relation(ORDERS),
    server.insert(4711, (b"1", b"Hungry Coyote", b"12.50")),
    server.insert(4711, (b"1", None, b"x" * 300)),
    server.update(4711, (b"2", UNCHANGED, b"12.50"), (b"1", None, None), b"K"),
    server.delete(4711, (b"2", None, None)),
    server.truncate([4711]),
    server.begin(1, AT, 7),
    server.commit(1, 2, AT),
    server.origin(5, "ordersync"),
    server.logical_message("mark", b"content", 77, transactional=False),
]


@pytest.mark.parametrize("data", WHOLE, ids=lambda data: data[:1].decode())
def test_a_message_cut_off_anywhere_or_too_long_is_refused(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(InvalidMessage, match="cannot be decoded"):
            decoder_with(ORDERS).decode(data[:length])
    with pytest.raises(InvalidMessage):
        decoder_with(ORDERS).decode(data + b"\0")


def test_a_row_of_an_undescribed_relation_or_of_another_width_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        Decoder().decode(server.insert(4711, (b"1",)))
    with pytest.raises(InvalidMessage, match="1 values for 3 columns"):
        decoder_with(ORDERS).decode(server.insert(4711, (b"1",)))


def test_binary_values_are_refused() -> None:
    with pytest.raises(InvalidMessage, match="binary"):
        decoder_with(ORDERS).decode(b"I" + pack(">I", 4711) + b"N" + pack(">HBI", 3, ord("b"), 0))


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        decoder_with(ORDERS).decode(data)
    except InvalidMessage as exc:
        assert exc.rule == "invalid_pgoutput"


def test_damaged_messages_are_decoded_or_refused() -> None:
    """Fuzz: real messages with bytes flipped, cut, doubled and joined, in a fixed random order."""
    chance = random.Random(20260504)
    outcomes = {True: 0, False: 0}
    decoder = decoder_with(ORDERS)
    for _ in range(30_000):
        data = bytearray(chance.choice(WHOLE))
        for _ in range(chance.randint(1, 4)):
            match chance.randrange(4):
                case 0 if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
                case 1:
                    del data[chance.randint(0, len(data)) :]
                case 2:
                    data += chance.choice(WHOLE)[: chance.randint(0, 40)]
                case _:
                    place = chance.randint(0, len(data))
                    data[place:place] = chance.randbytes(chance.randint(0, 6))
        try:
            decoder.decode(bytes(data))
            outcomes[True] += 1
        except InvalidMessage:
            outcomes[False] += 1
        if 4711 not in decoder.relations or len(decoder.relations[4711].columns) != 3:
            decoder = decoder_with(ORDERS)
    assert min(outcomes.values()) > 100

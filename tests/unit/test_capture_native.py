"""The native parts of the capture say and do what their references in Python do, and no bytes harm them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.cdc.aggregates import Assembly, Node
from producers.cdc.changes import (
    UNCHANGED,
    ChangeKind,
    Column,
    KeyForm,
    Marker,
    Relation,
    ReplicaIdentity,
    RowChange,
    SourceTransaction,
    TableName,
)
from producers.cdc.deliveries import Tally
from producers.cdc.native import extension
from producers.cdc.postgres.pgoutput import Decoder
from producers.cdc.postgres.transactions import TransactionAssembler
from producers.cdc.rows import kept, kept_slowly, key_value, values_of
from producers.cdc.tables import TablePlans
from schemas.codec import RecordCodec, frame
from schemas.errors import Fatal, InvalidMessage
from schemas.models import OrderCaptured, SourcePosition
from schemas.models.source import EVENT_NAMESPACE, event_id_of
from tests.unit import pgoutput_encoding as server
from tests.unit.depot import RELATIONS, Depot, depot_mapping, depot_plans
from tests.unit.sent_rows import AT, Wire
from tests.unit.test_capture_aggregates import random_transaction

native: Any = extension()
pytestmark = pytest.mark.skipif(native is None, reason="the extension is not built")

PLAIN = Relation(
    9, TableName("public", "lines"), (Column("id", 20, -1, True), Column("note", 25), Column("n", 23)),
    ReplicaIdentity.DEFAULT,
)  # fmt: skip
FULL = Relation(10, TableName("public", "wide"), (Column("a", 25), Column("b", 25)), ReplicaIdentity.FULL)
VALUES = [None, UNCHANGED, b"", b"1", b"x" * 250, b"x" * 251, b"t\0\0\0\1y", "Zürich".encode(), b"z" * 70_000]


def random_row(chance: random.Random, relation: Relation) -> tuple[Any, ...]:
    return tuple(chance.choice(VALUES) for _ in relation.columns)


def random_messages(chance: random.Random) -> list[bytes]:
    """Some transactions with everything that may stand in and between them."""
    messages = [server.relation(PLAIN), server.relation(FULL)]
    for number in range(chance.randrange(1, 6)):
        messages.append(server.begin(100 * number, AT + timedelta(seconds=number), number))
        if chance.random() < 0.2:
            messages.append(server.origin(1, chance.choice(["ordersync", "upstream"])))
        for _ in range(chance.randrange(0, 12)):
            relation = chance.choice([PLAIN, FULL])
            old, new = random_row(chance, relation), random_row(chance, relation)
            kind = b"O" if relation is FULL else b"K"
            messages.append(
                chance.choice(
                    [
                        server.insert(relation.relation_id, new),
                        server.update(relation.relation_id, new),
                        server.update(relation.relation_id, new, old, kind),
                        server.delete(relation.relation_id, old, kind),
                        server.truncate([relation.relation_id]),
                        server.relation(relation),
                        server.logical_message("mark", b"x", 5, transactional=True),
                    ]
                )
            )
        messages.append(server.commit(100 * number, 100 * number + 50, AT))
        if chance.random() < 0.2:
            messages.append(server.logical_message("beat", b"", 7, transactional=False))
    return messages


def plain(part: SourceTransaction | Marker) -> object:
    if isinstance(part, Marker):
        return part
    changes = [
        (c.kind, c.relation.name, None if c.new is None else tuple(c.new), None if c.old is None else tuple(c.old))
        for c in part.changes
    ]
    return part._replace(changes=changes)


def read(messages: list[bytes], sizes: list[int], natively: bool) -> object:
    assembler = TransactionAssembler(
        Decoder(), ignored_origins={"ordersync"}, max_changes_per_part=5, natively=natively
    )
    said: list[object] = []
    at = 0
    try:
        for size in sizes:
            said += map(plain, assembler.feed([b"head" + each for each in messages[at : at + size]], 4))
            said.append(assembler.in_transaction)
            at += size
    except (InvalidMessage, Fatal) as exc:
        said.append(type(exc))
    return said


def random_sizes(chance: random.Random, count: int) -> list[int]:
    sizes = []
    while sum(sizes) < count:
        sizes.append(chance.randrange(1, 20))
    return sizes


@pytest.mark.parametrize("seed", range(150))
def test_messages_are_read_as_the_reference_reads_them(seed: int) -> None:
    chance = random.Random(seed)
    messages = random_messages(chance)
    sizes = random_sizes(chance, len(messages))
    assert read(messages, sizes, natively=True) == read(messages, sizes, natively=False)


def test_damaged_messages_are_read_or_refused_as_the_reference_does() -> None:
    """Fuzz: real messages with bytes flipped, cut, doubled and joined, in a fixed random order."""
    chance = random.Random(20261121)
    refused = 0
    for _ in range(4_000):
        messages = random_messages(chance)
        place = chance.randrange(len(messages))
        data = bytearray(messages[place][:600])
        for _ in range(chance.randint(1, 3)):
            match chance.randrange(4):
                case 0 if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
                case 1:
                    del data[chance.randint(0, len(data)) :]
                case 2:
                    data += chance.choice(messages)[: chance.randint(0, 40)]
                case _:
                    at = chance.randint(0, len(data))
                    data[at:at] = chance.randbytes(chance.randint(0, 6))
        messages[place] = bytes(data)
        ours = read(messages, [len(messages)], natively=True)
        assert ours == read(messages, [len(messages)], natively=False)
        refused += isinstance(ours, list) and ours[-1] in (InvalidMessage, Fatal)
    assert 200 < refused < 3_900


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_bytes_are_read_or_refused(messages: list[bytes]) -> None:
    given_messages = [server.relation(PLAIN), server.begin(1, AT, 1), *messages]
    assert read(given_messages, [len(given_messages)], natively=True) == read(
        given_messages, [len(given_messages)], natively=False
    )


def test_a_message_cut_off_anywhere_or_too_long_is_refused() -> None:
    rows = [
        server.insert(9, (b"1", None, b"x" * 300)),
        server.update(9, (b"2", UNCHANGED, b"12"), (b"1", None, None), b"K"),
        server.delete(9, (b"2", None, None)),
    ]
    for whole in rows:
        for damaged in [*(whole[:length] for length in range(1, len(whole))), whole + b"\0"]:
            assembler = TransactionAssembler(Decoder())
            assembler.feed([server.relation(PLAIN), server.begin(1, AT, 1)])
            with pytest.raises(InvalidMessage, match="cannot be decoded"):
                assembler.feed([damaged])


def test_a_sent_row_is_a_sequence_of_its_values() -> None:
    row = Wire(natively=True).sent(Depot().put("vendors", {"id": b"1", "code": None, "name": "Zürich".encode()}))[0].new
    assert row is not None
    assert type(row).__name__ == "SentRow"
    assert (len(row), row[0], row[-1], list(row)) == (3, b"1", "Zürich".encode(), [b"1", None, "Zürich".encode()])
    assert row == (b"1", None, "Zürich".encode()) and row != (b"1",) and None in row and UNCHANGED not in row
    with pytest.raises(IndexError):
        row[3]


class MemoryStore:
    """Nodes in a dict."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Node] = {}
        self.parents: dict[bytes, Any] = {}

    def node(self, node_id: bytes) -> Node:
        return self.kept.get(node_id) or Node(None, {}, {})

    def changed(self, node_id: bytes, node: Node) -> None:
        self.kept[node_id] = node

    def nodes(self, prefix: bytes) -> Any:
        return iter(sorted(each for each in self.kept if each.startswith(prefix)))

    def parent_of(self, row_id: bytes) -> Any:
        return self.parents.get(row_id)

    def put_parent(self, row_id: bytes, parent: Any) -> None:
        self.parents[row_id] = parent

    def parented(self, prefix: bytes) -> Any:
        return iter(sorted(each for each in self.parents if each.startswith(prefix)))

    def content(self) -> dict[bytes, tuple[Any, ...]]:
        return {key: (node.row, node.children) for key, node in self.kept.items()}


@pytest.mark.parametrize("seed", range(30))
def test_changes_are_applied_as_the_reference_applies_them(seed: int) -> None:
    chance = random.Random(seed)
    depot, wires, stores = Depot(), [Wire(natively=each) for each in (True, False)], [MemoryStore(), MemoryStore()]
    assemblies = [
        Assembly(depot_plans(), store, natively=natively) for store, natively in zip(stores, (True, False), strict=True)
    ]
    for _ in range(60):
        changes = [change for statement in random_transaction(chance) for change in statement.run(depot)]
        touched = []
        for assembly, wire in zip(assemblies, wires, strict=True):
            assembly.apply(wire.sent(changes))
            touched.append(assembly.take_touched())
        assert touched[0] == touched[1]
        assert stores[0].content() == stores[1].content()


@given(st.lists(st.one_of(st.none(), st.just(UNCHANGED), st.binary(max_size=300)), max_size=8))
def test_kept_rows_give_back_their_values(values: list[Any]) -> None:
    assert values_of(kept(values)) == tuple(values)
    assert kept(values) == kept_slowly(values)


MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
LONGS = st.integers(-(2**63), 2**63 - 1)


@given(st.text(max_size=80).filter(lambda text: text), LONGS, LONGS, LONGS, MOMENTS, MOMENTS, st.booleans())
def test_events_are_written_as_the_codec_writes_them(
    key: str, transaction: int, place: int, sequence: int, committed_at: datetime, captured_at: datetime, gone: bool
) -> None:
    writer = native.EventWriter(frame(7), b"orders.captured", b"crm", EVENT_NAMESPACE.bytes)
    try:
        key.encode()
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            writer.event(key, "upserted", transaction, place, sequence, committed_at, captured_at, None)
        return
    source = SourcePosition(system="crm", transaction_id=transaction, position=place, sequence=sequence)
    event = OrderCaptured.trusted(
        event_id=event_id_of("orders.captured", key, source),
        order_id=key,
        operation="deleted",
        source=source,
        committed_at=committed_at,
        captured_at=captured_at,
        order=None,
    )
    expected = frame(7) + RecordCodec(OrderCaptured).encode(event)
    section = None if gone else b"section"
    written = writer.event(key, "deleted", transaction, place, sequence, committed_at, captured_at, section)
    assert written == (expected if gone else expected[:-1] + b"\2section")


def test_identifiers_are_those_of_the_standard_for_every_length() -> None:
    for length in range(1, 200):
        key = "k" * length
        writer = native.EventWriter(b"", b"t", b"s", EVENT_NAMESPACE.bytes)
        written = writer.event(key, "upserted", 1, 2, 0, AT, AT, None)
        assert written[1:37].decode() == str(uuid.uuid5(EVENT_NAMESPACE, f"s/t/{key}/2/1"))


class Waiting:
    __slots__ = ("outstanding",)

    def __init__(self, outstanding: int) -> None:
        self.outstanding = outstanding


def test_answers_are_counted() -> None:
    bounds = (0.001, 0.01, 1.0)
    ours, reference = native.Tally(bounds), Tally(bounds)
    for seconds in (-1.0, 0.0, 0.001, 0.0011, 0.5, 1.0, 7.0):
        ours.observe(seconds)
        reference.observe(seconds)
    assert ours.snapshot() == reference.snapshot()
    failures: list[object] = []
    failed: Callable[[Any, Any], None] = lambda error, message: failures.append((error, message))  # noqa: E731
    waiting = Waiting(2)
    delivery = native.Delivery(ours, failed, waiting, 0.0)
    delivery(None, "message")
    delivery("error", "message")
    assert (waiting.outstanding, failures, sum(ours.snapshot()[0])) == (1, [("error", "message")], 8)
    with pytest.raises(TypeError, match="no slot"):
        native.Delivery(ours, failed, type("Other", (), {"outstanding": 3})(), 0.0)


KEYED = Relation(
    9, TableName("public", "pieces"),
    (Column("note", 25), Column("number", 1700, -1, True, KeyForm.NUMBER),
     Column("bundle", 1042, -1, True, KeyForm.PADDED), Column("shipped_at", 1184)),
    ReplicaIdentity.DEFAULT,
)  # fmt: skip


@pytest.mark.parametrize("natively", [True, False])
def test_keys_that_are_equal_to_the_source_are_one_row(natively: bool) -> None:
    relations = {relation.name: relation for relation in RELATIONS.values()} | {KEYED.name: KEYED}
    store = MemoryStore()
    assembly = Assembly(TablePlans(depot_mapping(), relations), store, natively=natively)
    wire = Wire(natively=natively)
    rows = [(b"first", b"1", b"A ", None), (b"second", b"1.00", b"A", None), (b"other", b"10", b"A", None)]
    assembly.apply(wire.sent([RowChange(ChangeKind.INSERT, KEYED, row, None) for row in rows]))
    (root,) = assembly.take_touched()
    ((children,),) = [node.children.values() for node in store.kept.values()]
    assert root[2:] == b"A"
    assert [values_of(row)[0] for row in children.values()] == [b"second", b"other"]


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (b"1.50", KeyForm.NUMBER, b"1.5"),
        (b"1.0", KeyForm.NUMBER, b"1"),
        (b"100", KeyForm.NUMBER, b"100"),
        (b"-0", KeyForm.NUMBER, b"0"),
        (b"-0.00", KeyForm.NUMBER, b"0"),
        (b"1e+20", KeyForm.NUMBER, b"1e+20"),
        (b"NaN", KeyForm.NUMBER, b"NaN"),
        (b"a  ", KeyForm.PADDED, b"a"),
        (b"a  ", KeyForm.AS_SENT, b"a  "),
    ],
)
def test_the_form_of_a_key_leaves_out_what_the_source_overlooks(value: bytes, form: KeyForm, expected: bytes) -> None:
    assert key_value(value, form) == expected

"""What may be committed, and how the generation is read out of the group's metadata."""

from __future__ import annotations

import random

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Fatal, PositionConflict, Transient
from streams.transport import Batch, Delivery, Generation, Record, TransportOptions
from streams.transport.books import Books
from streams.transport.errors import RecordsExpired, client_error
from streams.transport.group_metadata import encoded, generation_number

ORDERS = TP("orders", 0)
GENERATION = Generation(7, frozenset({ORDERS}), b"")


def batch(first: int, last: int) -> Batch:
    """A batch of `orders[0]` with these offsets."""
    return Batch(
        "orders", 0, GENERATION, [Record("orders", 0, offset, 0, None, b"", ()) for offset in range(first, last + 1)]
    )


def test_a_later_batch_waits_for_the_earlier_ones() -> None:
    books = Books({ORDERS: 10})
    early, late = batch(10, 12), batch(15, 19)
    books.hand_out(early)
    books.hand_out(late)
    late.finished = True
    assert books.finished_positions() == {}
    early.finished = True
    assert books.finished_positions() == {ORDERS: 20}


def test_what_is_settled_is_not_committed_again() -> None:
    books = Books({ORDERS: 0})
    first, second = batch(0, 4), batch(5, 9)
    books.hand_out(first)
    books.hand_out(second)
    first.finished = True
    books.settle(books.finished_positions())
    assert books.committed == {ORDERS: 5}
    assert books.finished_positions() == {}
    second.finished = True
    assert books.finished_positions() == {ORDERS: 10}


def test_a_transaction_without_new_offsets_is_fenced_by_a_committed_position() -> None:
    assert Books({ORDERS: 3}).any_position() == {ORDERS: 3}
    assert Books({}).any_position() == {}


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.integers())
def test_no_position_ever_passes_an_unfinished_record(sizes: list[int], seed: int) -> None:
    books = Books({ORDERS: 0})
    batches, offset = [], 0
    for size in sizes:
        batches.append(batch(offset, offset + size - 1))
        offset += size
        books.hand_out(batches[-1])
    for finished in random.Random(seed).sample(batches, len(batches)):
        finished.finished = True
        positions = books.finished_positions()
        books.settle(positions)
        unfinished = [b.records[0].offset for b in batches if not b.finished]
        assert books.committed[ORDERS] <= min(unfinished, default=offset)
    assert books.committed[ORDERS] == offset


def test_the_installed_library_gives_metadata_of_the_known_form() -> None:
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "orders", "log_level": 0})
    try:
        metadata = bytes(consumer.consumer_group_metadata())
    finally:
        consumer.close()
    assert metadata == encoded("orders", -1, "")


@given(st.integers(0, 2**31 - 1), st.text("abc-0", min_size=1), st.text("xyz-9", min_size=1))
def test_the_generation_is_read_only_from_the_known_form(number: int, group: str, member: str) -> None:
    metadata = encoded(group, number, member)
    assert generation_number(metadata, group, member) == number
    assert generation_number(metadata + b"more", group, member) == -1
    assert generation_number(b"CGMDv3:" + metadata[7:], group, member) == -1
    assert generation_number(metadata[:9], group, member) == -1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError.ILLEGAL_GENERATION, PositionConflict),
        (KafkaError.UNKNOWN_MEMBER_ID, PositionConflict),
        (KafkaError._TRANSPORT, Transient),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Fatal),
        (KafkaError._AUTO_OFFSET_RESET, RecordsExpired),
    ],
)
def test_client_errors_become_errors_of_the_system(code: int, expected: type[Exception]) -> None:
    error = client_error(KafkaException(KafkaError(code)), "committing")
    assert isinstance(error, expected)
    assert "while committing" in str(error)


def test_a_slot_gives_a_stable_transactional_id_and_none_a_unique_one() -> None:
    assert TransportOptions(slot="3").transactional_id("orders") == "orders-3"
    first, second = (TransportOptions().transactional_id("orders") for _ in range(2))
    assert first != second


def test_readers_see_only_what_is_committed_and_positions_are_never_reset() -> None:
    config = TransportOptions(delivery=Delivery.AT_LEAST_ONCE).consumer_config("orders", "orders-0")
    assert config["isolation.level"] == "read_committed"
    assert config["auto.offset.reset"] == "error"
    assert config["enable.auto.commit"] is False

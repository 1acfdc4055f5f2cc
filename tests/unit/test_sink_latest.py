"""Only the newest readable version of each order is decoded; nothing unreadable hides it."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from consumers.erp.latest import order_and_version, read_latest
from schemas.codec import HEADER_LENGTH, TopicCodec
from schemas.models import OrderEvent
from schemas.registry import InMemorySchemas
from schemas.topics import ORDER_EVENTS
from tests.contract.sink_samples import order_event

CODEC = TopicCodec(ORDER_EVENTS, OrderEvent, InMemorySchemas())


def message(number: int, version: int, offset: int = 0, value: bytes | None = None) -> Message:
    key = f"crm:{number}".encode()
    return Message(ORDER_EVENTS, 0, offset, key, value or CODEC.encode(order_event(number, version)))


def read(messages: list[Message]) -> tuple[dict[str, int], list[int]]:
    reading = read_latest(CODEC, messages)
    assert len(reading.committed_at) == len(reading.values)
    return (
        {event.state.order_id: event.state.version for event in reading.values},
        sorted(refusal.message.offset() or 0 for refusal in reading.refused),
    )


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 300)), max_size=20))
def test_the_highest_version_of_each_order_is_read(versions: list[tuple[int, int]]) -> None:
    highest: dict[str, int] = {}
    for number, version in versions:
        highest[f"crm:{number}"] = max(version, highest.get(f"crm:{number}", 0))
    assert read([message(*version) for version in versions]) == (highest, [])


def test_identity_stands_where_it_is_looked_for() -> None:
    assert order_and_version(CODEC.encode(order_event(77, 123_456))) == ("crm:77", 123_456)


@given(st.binary(max_size=40))
def test_any_bytes_give_an_identity_or_none(garbage: bytes) -> None:
    found: Any = order_and_version(bytes(HEADER_LENGTH) + garbage)
    assert found is None or (isinstance(found[0], str) and isinstance(found[1], int))


def test_an_unreadable_newest_version_gives_way_to_the_one_before() -> None:
    cut = CODEC.encode(order_event(1, 9))[:-30]
    assert order_and_version(cut) == ("crm:1", 9)
    messages = [message(1, 7, 0), message(1, 9, 1, cut), message(1, 8, 2), message(2, 1, 3)]
    assert read(messages) == ({"crm:1": 8, "crm:2": 1}, [1])


def test_tombstones_and_foreign_bytes_are_refused() -> None:
    tombstone = Message(ORDER_EVENTS, 0, 0, b"crm:1", None)
    assert read([tombstone, message(1, 1, 1, b"hello"), message(1, 1, 2)]) == ({"crm:1": 1}, [0, 1])

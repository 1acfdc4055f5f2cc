"""Order and version read from a value's first bytes are those that a whole decoding finds."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.backup.restore.telling import Telling
from schemas.avro import avro_schema
from schemas.codec import TopicCodec
from schemas.models import JournalEntry, OrderEvent, OrderState
from schemas.registry import InMemorySchemas
from schemas.topics import ORDER_EVENTS, ORDER_STATE, POSTINGS
from tests.contract.sink_samples import journal_entry, order_event

VALUES: list[tuple[str, type[Any], Any]] = [
    (ORDER_EVENTS, OrderEvent, lambda number, version: order_event(number, version)),
    (ORDER_STATE, OrderState, lambda number, version: order_event(number, version).state),
    (POSTINGS, JournalEntry, lambda number, version: journal_entry(number, version)),
]


@pytest.mark.parametrize(("topic", "model", "made"), VALUES, ids=[topic for topic, _, _ in VALUES])
def test_the_first_bytes_tell_what_a_decoding_tells(topic: str, model: type[Any], made: Any) -> None:
    codec = TopicCodec(topic, model, InMemorySchemas())
    telling = Telling(topic, avro_schema(model))
    for number, version in ((0, 1), (7, 63), (123_456_789, 64), (5, 1_000_000)):
        assert telling.order_and_version(codec.encode(made(number, version))) == (f"crm:{number}", version)


@pytest.mark.parametrize(("topic", "model", "made"), VALUES, ids=[topic for topic, _, _ in VALUES])
def test_where_something_else_stands_first_the_value_is_decoded(topic: str, model: type[Any], made: Any) -> None:
    schema = avro_schema(model)
    target = next((field["type"] for field in schema["fields"] if field["name"] == "state"), schema)
    # As a former or later version of the schema may have it: not plain, and before the order.
    target["fields"].insert(0, {"name": "reason", "type": ["null", "string"], "default": None})
    codec = TopicCodec(topic, model, InMemorySchemas())
    value = codec.encode(made(9, 300))
    start = value.index(b"crm:9") - 1
    if topic == POSTINGS:
        start = 5
    changed = value[:start] + b"\x00" + value[start:]
    assert Telling(topic, schema).order_and_version(changed) == ("crm:9", 300)


def test_bytes_that_end_too_soon_tell_nothing() -> None:
    codec = TopicCodec(ORDER_EVENTS, OrderEvent, InMemorySchemas())
    value, telling = codec.encode(order_event(7)), Telling(ORDER_EVENTS, avro_schema(OrderEvent))
    assert telling.order_and_version(value[:20]) is None

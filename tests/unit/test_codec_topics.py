"""The wire format, writers of other versions, and the codec of a topic."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.avro import avro_schema
from schemas.codec import ABSENT, RecordCodec, SectionedCodec, TopicCodec, frame, parsed_writer, schema_id_of
from schemas.errors import UndecodableMessage
from schemas.models import OrderCaptured, OrderState
from schemas.registry import InMemorySchemas
from tests.unit.codec_engines import ENGINES, engine
from tests.unit.order_samples import order_captured, order_state

CAPTURED = order_captured()


@pytest.mark.parametrize("schema_id", [0, 1, 255, 256, 2**31, 2**32 - 1])
def test_the_header_holds_the_schemas_id(schema_id: int) -> None:
    assert frame(schema_id) == b"\x00" + schema_id.to_bytes(4, "big")
    assert schema_id_of(frame(schema_id) + b"body") == schema_id
    assert schema_id_of(frame(schema_id)) == schema_id


@pytest.mark.parametrize("message", [b"", b"\x00", b"\x00\x00\x00\x01", b"\x01\x00\x00\x00\x01body", b'{"order_id":1}'])
def test_not_the_wire_format(message: bytes) -> None:
    with pytest.raises(UndecodableMessage, match="wire format") as refused:
        schema_id_of(message)
    assert refused.value.rule == "wire_format"


@pytest.mark.parametrize("name", ENGINES)
def test_a_topics_messages_carry_its_schemas_id(name: str) -> None:
    schemas = InMemorySchemas()
    schemas.id_of("other-value", {"type": "record", "name": "Other", "fields": []})
    codec = TopicCodec("orders.captured", OrderCaptured, schemas, engine(name, OrderCaptured))
    message = codec.encode(CAPTURED)
    assert schema_id_of(message) == codec.schema_id == 2
    assert codec.decode(message) == CAPTURED


@pytest.mark.parametrize("name", ENGINES)
def test_a_topic_reads_writers_of_other_versions(name: str) -> None:
    schemas = InMemorySchemas()
    older: dict[str, Any] = avro_schema(OrderCaptured)
    older["fields"] = [field for field in older["fields"] if field["name"] != "order"]
    older_id = schemas.id_of("orders.captured-value", older)
    codec = TopicCodec("orders.captured", OrderCaptured, schemas, engine(name, OrderCaptured))
    body = engine(name, OrderCaptured, ("order",)).encode_sections(b"", CAPTURED, [ABSENT])
    assert codec.decode(frame(older_id) + body[:-1]) == CAPTURED.model_copy(update={"order": None})
    for broken in (body[:-2], body + b"\x00"):
        with pytest.raises(UndecodableMessage):
            codec.decode(frame(older_id) + broken)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("message", [b"", b"\x00\x00\x00", b"\x01\x00\x00\x00\x01", frame(99) + b"body", frame(1)])
def test_a_topic_refuses_what_it_cannot_read(name: str, message: bytes) -> None:
    codec = TopicCodec("orders.captured", OrderCaptured, InMemorySchemas(), engine(name, OrderCaptured))
    with pytest.raises(UndecodableMessage):
        codec.decode(message)


@pytest.mark.parametrize(("old", "new"), [('"scale": 4', '"scale": 2'), ("timestamp-micros", "timestamp-millis")])
def test_a_writer_that_means_something_else_by_the_same_bytes_is_refused(old: str, new: str) -> None:
    schema = _replaced(avro_schema(OrderCaptured), old, new)
    with pytest.raises(UndecodableMessage, match="logical type"):
        RecordCodec(OrderCaptured).decode(RecordCodec(OrderCaptured).encode(CAPTURED), parsed_writer(schema))


@pytest.mark.parametrize("name", ENGINES)
def test_a_section_moves_from_one_record_into_another(name: str) -> None:
    captured = SectionedCodec(OrderCaptured, ("order",), engine(name, OrderCaptured, ("order",)))
    names = ("order", "fulfilment", "settlement")
    states = SectionedCodec(OrderState, names, engine(name, OrderState, names))
    value, (order,) = captured.decode(captured.records.encode(CAPTURED))
    assert value == CAPTURED
    state = order_state().model_copy(update=dict.fromkeys(names))
    message = states.encode(state, [order, ABSENT, ABSENT], frame(7))
    again, sections = states.decode(message, start=5)
    assert again == state.model_copy(update={"order": CAPTURED.order})
    assert sections == [order, ABSENT, ABSENT]


def test_sections_of_another_version_resolve() -> None:
    older: dict[str, Any] = avro_schema(OrderCaptured)
    older["fields"] = older["fields"][:-1]
    codec = SectionedCodec(OrderCaptured, ("order",))
    body = codec.encode(CAPTURED, [ABSENT])[:-1]
    value, sections = codec.decode(b"12345" + body, parsed_writer(older), 5)
    assert value == CAPTURED.model_copy(update={"order": None})
    assert sections == [ABSENT]


def _replaced(schema: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    text = json.dumps(schema)
    assert old in text
    replaced: dict[str, Any] = json.loads(text.replace(old, new))
    return replaced

"""Properties of every engine on any instance of every model: a round trip, and the very bytes of fastavro."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.attributes import CanonicalModel
from schemas.avro import avro_schema, shapes_of
from schemas.codec import RecordCodec, parsed_writer
from tests.unit.codec_engines import FEW, MODELS, SECTIONED, engines
from tests.unit.model_strategies import instances


@pytest.mark.parametrize("model", MODELS)
@FEW
@given(data=st.data())
def test_decoding_gives_back_what_was_encoded(model: type[CanonicalModel], data: Any) -> None:
    value = data.draw(instances(model))
    for engine in engines(model):
        message = engine.encode(b"\x00head", value)
        assert message.startswith(b"\x00head")
        again = engine.decode(message, 5)
        assert type(again) is model
        assert again == value
        assert again.model_dump() == value.model_dump()
        assert model.model_validate(again.model_dump()) == value
        assert again.model_fields_set == set(model.model_fields)
        assert again.model_copy(deep=True) == again
        assert engine.encode(b"\x00head", again) == message
        _assert_plain(again)


@pytest.mark.parametrize("model", MODELS)
@FEW
@given(data=st.data())
def test_bytes_are_those_of_fastavro_and_it_reads_them(model: type[CanonicalModel], data: Any) -> None:
    value = data.draw(instances(model))
    datum = _datum(value)
    schema = fastavro.parse_schema(avro_schema(model))
    written = BytesIO()
    fastavro.schemaless_writer(written, schema, datum)
    assert fastavro.schemaless_reader(BytesIO(written.getvalue()), schema, None) == datum
    for engine in engines(model):
        assert engine.encode(b"", value) == written.getvalue()
        assert engine.decode(written.getvalue(), 0) == value


@pytest.mark.parametrize(("model", "sections"), SECTIONED)
@FEW
@given(data=st.data())
def test_sections_are_the_bytes_of_the_whole(model: type[CanonicalModel], sections: tuple[str, ...], data: Any) -> None:
    value = data.draw(instances(model))
    without = value.model_copy(update=dict.fromkeys(sections))
    for engine in engines(model, sections):
        message = engine.encode(b"12345", value)
        again, parts = engine.decode_sections(message, 5)
        assert again == value
        assert len(parts) == len(sections)
        assert message.endswith(b"".join(parts))
        assert engine.encode_sections(b"12345", without, parts) == message
        assert engine.decode(message, 5) == value


@pytest.mark.parametrize("model", MODELS)
@FEW
@given(data=st.data())
def test_older_and_newer_writers_resolve(model: type[CanonicalModel], data: Any) -> None:
    value = data.draw(instances(model))
    # A record is defined where its name is met first, so records stay where they are.
    optional = [shape.name for shape in shapes_of(model) if shape.is_optional and shape.record is None]
    missing = data.draw(st.sets(st.sampled_from(optional))) if optional else set()
    schema = avro_schema(model)
    added = {"name": "newer", "type": ["null", "string"], "default": None}
    schema["fields"] = [added, *(field for field in schema["fields"] if field["name"] not in missing)]
    if all(shape.record is None for shape in shapes_of(model)):
        schema["fields"] = data.draw(st.permutations(schema["fields"]))
    written = BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(schema), _datum(value) | {"newer": "unknown here"})
    for engine in engines(model):
        decoded = RecordCodec(model, engine).decode(written.getvalue(), parsed_writer(schema))
        assert decoded == value.model_copy(update=dict.fromkeys(missing))


def _datum(value: Any) -> Any:
    """What fastavro is given for `value`: times in UTC, decimals with the digits of the schema."""
    if isinstance(value, CanonicalModel):
        scales = {shape.name: shape.decimal.scale for shape in shapes_of(type(value)) if shape.decimal}
        return {
            name: _exact(item, scales[name]) if isinstance(item, Decimal) else _datum(item)
            for name, item in value.__dict__.items()
        }
    if isinstance(value, list):
        return [_datum(item) for item in value]
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _exact(value: Decimal, scale: int) -> Decimal:
    return Decimal(int(value.scaleb(scale))).scaleb(-scale)


def _assert_plain(value: Any) -> None:
    if isinstance(value, CanonicalModel):
        assert value.__pydantic_extra__ is None
        assert value.__pydantic_private__ is None
        for shape in shapes_of(type(value)):
            item = value.__dict__[shape.name]
            if isinstance(item, Decimal) and shape.decimal is not None:
                assert item.as_tuple().exponent == -shape.decimal.scale
            _assert_plain(item)
    elif isinstance(value, list):
        for item in value:
            _assert_plain(item)
    else:
        assert type(value) in (str, int, bool, bytes, Decimal, datetime, date, type(None))
        assert not isinstance(value, datetime) or value.tzinfo is UTC

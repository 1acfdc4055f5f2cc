"""Whatever bytes come, an engine answers with the value or with `UndecodableMessage`, and soon."""

from __future__ import annotations

import struct
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.attributes import CanonicalModel
from schemas.codec import ABSENT, parsed_writer
from schemas.codec.engine import Engine
from schemas.errors import UndecodableMessage
from schemas.models import BackupRecord, Customer, Fulfilment, OrderCaptured, OrderLine, OrderState, Product, Violation
from tests.unit.codec_engines import ENGINES, FEW, MODELS, SECTIONED, engine, engines
from tests.unit.order_samples import order_captured, order_state, sales_order

SAMPLES = [
    pytest.param(OrderCaptured, order_captured(), id="OrderCaptured"),
    pytest.param(OrderState, order_state(), id="OrderState"),
]
SECTIONS = {OrderCaptured: ("order",), OrderState: ("order", "fulfilment", "settlement")}


def outcome(decode: Any, data: bytes, start: int = 0) -> Any:
    """What `decode` makes of `data`; None where it refuses. Any other error fails the test."""
    try:
        return decode(data, start)
    except UndecodableMessage as exc:
        assert exc.rule == "avro"
        assert str(exc)
        return None


@pytest.mark.parametrize("model", MODELS)
@FEW
@given(data=st.binary(max_size=400))
def test_random_bytes(model: type[CanonicalModel], data: bytes) -> None:
    results = [outcome(each.decode, data) for each in engines(model)]
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("model", "value"), SAMPLES)
def test_truncation_at_each_byte(model: type[CanonicalModel], value: CanonicalModel, name: str) -> None:
    whole, sectioned = engine(name, model), engine(name, model, SECTIONS[model])
    message = whole.encode(b"", value)
    for length in range(len(message)):
        assert outcome(whole.decode, message[:length]) is None
        assert outcome(sectioned.decode_sections, message[:length]) is None


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("model", "value"), SAMPLES)
def test_bytes_left_over(model: type[CanonicalModel], value: CanonicalModel, name: str) -> None:
    whole, sectioned = engine(name, model), engine(name, model, SECTIONS[model])
    message = whole.encode(b"", value) + b"\x00"
    assert outcome(whole.decode, message) is None
    assert outcome(sectioned.decode_sections, message) is None


@pytest.mark.parametrize(("model", "value"), SAMPLES)
def test_each_flipped_bit_has_the_same_outcome_in_every_engine(
    model: type[CanonicalModel], value: CanonicalModel
) -> None:
    all_engines = [engine(name, model, SECTIONS[model]) for name in ENGINES]
    message = bytearray(all_engines[0].encode(b"", value))
    for bit in range(0, len(message) * 8, 1 if model is OrderCaptured else 11):
        message[bit // 8] ^= 1 << bit % 8
        flipped = bytes(message)
        results = [outcome(each.decode, flipped) for each in all_engines]
        assert all(result == results[0] for result in results)
        if results[0] is not None:
            body = all_engines[0].encode(b"", results[0])
            assert all(each.encode(b"", results[0]) == body for each in all_engines)
            assert all(outcome(each.decode_sections, flipped)[0] == results[0] for each in all_engines)
        message[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize(("model", "sections"), SECTIONED)
@FEW
@given(data=st.binary(max_size=300), start=st.integers(0, 310))
def test_random_bytes_as_sections(
    model: type[CanonicalModel], sections: tuple[str, ...], data: bytes, start: int
) -> None:
    results = [outcome(each.decode_sections, data, start) for each in engines(model, sections)]
    assert all(result == results[0] for result in results)


def varint(number: int) -> bytes:
    """Avro's form of `number`, whatever its size."""
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    out = b""
    while rest > 127:
        out += bytes([rest & 127 | 128])
        rest >>= 7
    return out + bytes([rest])


TEXT = b"\x02x"
LINE = TEXT + b"\x02\x01"

MALFORMED = [
    pytest.param(Violation, varint(-1) + TEXT + ABSENT, id="negative length"),
    pytest.param(Violation, varint(2**62) + TEXT + ABSENT, id="length beyond the end"),
    pytest.param(Violation, varint(-(2**63)) + TEXT + ABSENT, id="least length"),
    pytest.param(Violation, b"\xff" * 10 + TEXT + ABSENT, id="varint of eleven bytes"),
    pytest.param(Violation, b"\xff" * 9 + b"\x02" + TEXT + ABSENT, id="varint of 65 bits"),
    pytest.param(Violation, b"\x04\xc3\x28" + TEXT + ABSENT, id="not UTF-8"),
    pytest.param(Violation, b"\x06\xed\xa0\x80" + TEXT + ABSENT, id="UTF-8 of a surrogate"),
    pytest.param(Violation, TEXT + TEXT + b"\x04" + TEXT, id="union branch 2"),
    pytest.param(Violation, TEXT + TEXT + b"\x01", id="union branch -1"),
    pytest.param(Fulfilment, TEXT + varint(2**62), id="more items than bytes"),
    pytest.param(Fulfilment, TEXT + varint(-(2**63)) + varint(8), id="least item count"),
    pytest.param(Fulfilment, TEXT + b"\x00", id="second list missing"),
]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("model", "data"), MALFORMED)
def test_malformed(model: type[CanonicalModel], data: bytes, name: str) -> None:
    started = perf_counter()
    with pytest.raises(UndecodableMessage) as refused:
        engine(name, model).decode(data, 0)
    assert refused.value.rule == "avro"
    assert perf_counter() - started < 5


@pytest.mark.parametrize("name", ENGINES)
def test_lists_in_several_blocks_with_and_without_their_size(name: str) -> None:
    item = TEXT + varint(0) + ABSENT + ABSENT + ABSENT + b"\x00" + ABSENT
    data = TEXT + varint(1) + item + varint(-2) + varint(2 * len(item)) + item * 2 + b"\x00" * 3
    assert len(engine(name, Fulfilment).decode(data, 0).shipments) == 3


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("micros", [-62_135_596_800_000_001, 253_402_300_800_000_000, 2**63 - 1, -(2**63)])
def test_a_time_outside_the_years_1_to_9999(name: str, micros: int) -> None:
    # `committed_at` is the only timestamp of a master record that stands before another one.
    source = TEXT + varint(0) * 3
    assert outcome(engine(name, Customer).decode, source + varint(micros) + varint(0) + TEXT) is None
    with pytest.raises(UndecodableMessage):
        engine(name, Product).decode(source + varint(0) + varint(micros) + TEXT, 0)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("unscaled", [b"", b"\x7f" * 9, b"\x80" + b"\x00" * 8, b"\x01" + b"\x00" * 9999])
def test_a_decimal_beyond_its_precision(name: str, unscaled: bytes) -> None:
    line = engine(name, OrderLine)
    body = line.encode(b"", sales_order().order_lines[0])
    quantity = body.index(b"\x06C62") - 4
    assert body[quantity : quantity + 1] == b"\x06"
    assert line.decode(body[:quantity] + b"\x08\x00" + body[quantity + 1 :], 0) is not None
    with pytest.raises(UndecodableMessage):
        line.decode(body[:quantity] + varint(len(unscaled)) + unscaled + body[quantity + 4 :], 0)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("flag", [2, 3, 128, 255])
def test_a_boolean_is_zero_or_one(name: str, flag: int) -> None:
    model_engine: Engine[Any] = engine(name, Customer)
    body = TEXT + varint(0) * 5 + TEXT * 2 + ABSENT * 7
    assert model_engine.decode(body + b"\x01" + ABSENT, 0).is_blocked is True
    assert model_engine.decode(body + b"\x00" + ABSENT, 0).is_blocked is False
    assert outcome(model_engine.decode, body + bytes([flag]) + ABSENT) is None


@pytest.mark.parametrize("name", ENGINES)
def test_large_octets_are_whole(name: str) -> None:
    octets = bytes(range(256)) * 8000
    original = {"topic": "t", "partition": 0, "offset": 0, "timestamp_at": order_captured().committed_at}
    value = BackupRecord.model_validate(
        {"sequence": 1, "previous_hash": octets, "hash": b"", "original": {**original, "value": octets, "headers": []}}
    )
    model_engine: Engine[Any] = engine(name, BackupRecord)
    assert model_engine.decode(model_engine.encode(struct.pack(">bI", 0, 7), value), 5) == value


@pytest.mark.parametrize("schema", ["not a schema", {"type": "record"}, {"type": "array", "items": "nothing"}, 5])
def test_a_writers_schema_that_is_none(schema: Any) -> None:
    with pytest.raises(UndecodableMessage, match="not Avro"):
        parsed_writer(schema)

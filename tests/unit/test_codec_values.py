"""What must not be written is refused with the field's name: an engine never writes a value of another type."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import pytest

from schemas.attributes import CanonicalModel
from schemas.errors import InvalidValue
from schemas.models import BackupRecord, Customer, OrderCaptured, SourcePosition
from tests.unit.codec_engines import ENGINES, engine
from tests.unit.order_samples import order_captured, sales_order

ORDER = sales_order()
LINE = ORDER.order_lines[0]
CAPTURED = order_captured()
CUSTOMER = Customer.model_validate(
    {
        "source": CAPTURED.source,
        "committed_at": CAPTURED.committed_at,
        "captured_at": CAPTURED.captured_at,
        "customer_id": "C-1",
        "name": "Mustermann GmbH",
    }
)
COPIED = BackupRecord.model_validate(
    {
        "sequence": 1,
        "previous_hash": b"",
        "hash": b"",
        "original": {"topic": "t", "partition": 0, "offset": 0, "timestamp_at": CAPTURED.committed_at, "headers": []},
    }
)


NESTED = ("order_lines", "delivery_address", "source")
"""Fields of records: what is refused there is named as a value of its own model."""


class Nowhere(tzinfo):
    """A time zone that does not know its offset, which makes its times naive."""

    def utcoffset(self, _: datetime | None) -> timedelta | None:
        return None

    def dst(self, _: datetime | None) -> timedelta | None:
        return None

    def tzname(self, _: datetime | None) -> str | None:
        return None


class Text(str):
    """A str, as enumerations of str are."""


WRONG = [
    pytest.param(LINE, "quantity", Decimal("NaN"), "decimal", id="NaN"),
    pytest.param(LINE, "quantity", Decimal("-NaN123"), "decimal", id="NaN with payload"),
    pytest.param(LINE, "quantity", Decimal("sNaN"), "decimal", id="signalling NaN"),
    pytest.param(LINE, "quantity", Decimal("Infinity"), "decimal", id="infinity"),
    pytest.param(LINE, "quantity", Decimal("-Infinity"), "decimal", id="negative infinity"),
    pytest.param(LINE, "quantity", Decimal("0.0000001"), "decimal", id="too many decimals"),
    pytest.param(LINE, "quantity", Decimal("1.0000000000000000000000000000000000000000000001"), "decimal", id="far"),
    pytest.param(LINE, "quantity", Decimal("1." + "0" * 90 + "1"), "decimal", id="farther"),
    pytest.param(LINE, "quantity", Decimal("1E-999999"), "decimal", id="tiny"),
    pytest.param(LINE, "quantity", Decimal("1E+999999"), "decimal", id="huge"),
    pytest.param(LINE, "quantity", Decimal("9" * 200), "decimal", id="200 digits"),
    pytest.param(LINE, "quantity", Decimal(10**13), "decimal", id="too many digits"),
    pytest.param(LINE, "quantity", Decimal(-(10**13)), "decimal", id="too many digits below zero"),
    pytest.param(LINE, "quantity", Decimal("18446744073709.551616"), "decimal", id="2**64 in the last place"),
    pytest.param(LINE, "tax_percent", Decimal(100_000), "decimal", id="too many digits of a percentage"),
    pytest.param(LINE, "quantity", 5, "avro", id="an int as a decimal"),
    pytest.param(LINE, "quantity", 5.0, "avro", id="a float as a decimal"),
    pytest.param(LINE, "quantity", "5", "avro", id="a str as a decimal"),
    pytest.param(LINE, "quantity", None, "avro", id="null as a decimal"),
    pytest.param(LINE, "line_id", 1, "avro", id="an int as a str"),
    pytest.param(LINE, "line_id", b"1", "avro", id="bytes as a str"),
    pytest.param(LINE, "line_id", None, "avro", id="null as a str"),
    pytest.param(LINE, "item_name", 1, "avro", id="an int as an optional str"),
    pytest.param(LINE, "line_id", "\ud800", "avro", id="a lone surrogate"),
    pytest.param(CAPTURED.source, "sequence", True, "avro", id="a bool as an int"),
    pytest.param(CAPTURED.source, "sequence", 1.0, "avro", id="a float as an int"),
    pytest.param(CAPTURED.source, "sequence", "1", "avro", id="a str as an int"),
    pytest.param(CAPTURED.source, "sequence", 2**63, "avro", id="an int beyond 64 bits"),
    pytest.param(CAPTURED.source, "sequence", -(2**63) - 1, "avro", id="an int below 64 bits"),
    pytest.param(CAPTURED.source, "sequence", 10**400, "avro", id="a huge int"),
    pytest.param(CAPTURED, "committed_at", datetime(2026, 11, 21), "avro", id="a naive time"),  # noqa: DTZ001
    pytest.param(CAPTURED, "committed_at", datetime(2026, 11, 21, tzinfo=Nowhere()), "avro", id="no offset"),
    pytest.param(CAPTURED, "committed_at", date(2026, 11, 21), "avro", id="a date as a time"),
    pytest.param(CAPTURED, "committed_at", 1_763_717_400, "avro", id="an int as a time"),
    pytest.param(
        CAPTURED,
        "committed_at",
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        "avro",
        id="a time in the year 10000 in UTC",
    ),
    pytest.param(ORDER, "issue_date", CAPTURED.committed_at, "avro", id="a time as a date"),
    pytest.param(ORDER, "issue_date", "2026-11-21", "avro", id="a str as a date"),
    pytest.param(ORDER, "order_lines", None, "avro", id="null as a list"),
    pytest.param(ORDER, "order_lines", (LINE,), "avro", id="a tuple as a list"),
    pytest.param(ORDER, "order_lines", [LINE, None], "avro", id="null in a list"),
    pytest.param(ORDER, "order_lines", [LINE, ORDER], "avro", id="another model in a list"),
    pytest.param(ORDER, "order_lines", [LINE.model_dump()], "avro", id="a dict in a list"),
    pytest.param(ORDER, "delivery_address", LINE, "avro", id="another model"),
    pytest.param(ORDER, "delivery_address", {}, "avro", id="a dict as a model"),
    pytest.param(CAPTURED, "source", None, "avro", id="null as a model"),
    pytest.param(CUSTOMER, "is_blocked", 1, "avro", id="an int as a bool"),
    pytest.param(CUSTOMER, "is_blocked", None, "avro", id="null as a bool"),
    pytest.param(COPIED, "hash", "ab", "avro", id="a str as bytes"),
    pytest.param(COPIED, "hash", bytearray(b"ab"), "avro", id="a bytearray as bytes"),
    pytest.param(COPIED, "hash", [1, 2], "avro", id="a list as bytes"),
]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("instance", "field", "value", "rule"), WRONG)
def test_refused(instance: CanonicalModel, field: str, value: Any, rule: str, name: str) -> None:
    model = type(instance)
    wrong = model.model_construct(**(instance.__dict__ | {field: value}))
    with pytest.raises(InvalidValue) as refused:
        engine(name, model).encode(b"", wrong)
    assert refused.value.rule == rule
    assert refused.value.field == (field if field not in NESTED else refused.value.field)
    assert type(value).__name__ in str(refused.value) or field in NESTED
    engine(name, model).encode(b"", instance)


@pytest.mark.parametrize("name", ENGINES)
def test_another_model_or_none_is_refused(name: str) -> None:
    for value in (LINE, None, 5, CAPTURED.model_dump()):
        with pytest.raises(InvalidValue, match="OrderCaptured"):
            engine(name, OrderCaptured).encode(b"", value)


@pytest.mark.parametrize("name", ENGINES)
def test_an_instance_without_a_field_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="sequence"):
        engine(name, SourcePosition).encode(
            b"", SourcePosition.model_construct(system="crm", transaction_id=1, position=2)
        )


@pytest.mark.parametrize("name", ENGINES)
def test_an_int_equal_to_a_decimal_written_before_is_refused_all_the_same(name: str) -> None:
    engine(name, type(LINE)).encode(b"", LINE.model_copy(update={"quantity": Decimal(77)}))
    with pytest.raises(InvalidValue):
        engine(name, type(LINE)).encode(b"", LINE.model_copy(update={"quantity": 77}))


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("value", "again"),
    [
        ("1E+3", "1000.000000"),
        ("1.50000000000000000000000000000000000000000000000000", "1.500000"),
        ("-0", "0.000000"),
        ("0E+999", "0.000000"),
        ("0E-999", "0.000000"),
        ("9999999999999.999999", "9999999999999.999999"),
        ("-9999999999999.999999", "-9999999999999.999999"),
        ("-9223372036854.775808", "-9223372036854.775808"),
        ("9223372036854.775808", "9223372036854.775808"),
        ("-0.000128", "-0.000128"),
        ("0.000128", "0.000128"),
    ],
)
def test_decimals_come_back_with_the_scale_of_the_schema(name: str, value: str, again: str) -> None:
    model = engine(name, type(LINE))
    body = model.encode(b"", LINE.model_copy(update={"quantity": Decimal(value)}))
    quantity = model.decode(body, 0).quantity
    assert str(quantity) == again
    assert quantity == Decimal(value)
    assert hash(quantity) == hash(Decimal(value))
    assert quantity + 1 == Decimal(again) + 1
    assert quantity.quantize(Decimal("0.01")) == Decimal(again).quantize(Decimal("0.01"))


@pytest.mark.parametrize("name", ENGINES)
def test_subclasses_of_the_fields_types_are_written(name: str) -> None:
    class Amount(Decimal):
        pass

    class Moment(datetime):
        pass

    model = engine(name, type(LINE))
    line = LINE.model_construct(**(LINE.__dict__ | {"line_id": Text("1"), "quantity": Amount("2.5")}))
    assert model.decode(model.encode(b"", line), 0).quantity == Decimal("2.5")
    moment = Moment(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=1)))
    captured = CAPTURED.model_construct(**(CAPTURED.__dict__ | {"committed_at": moment}))
    model = engine(name, OrderCaptured)
    assert model.decode(model.encode(b"", captured), 0).committed_at == datetime(2026, 11, 21, 11, tzinfo=UTC)


@pytest.mark.parametrize("name", ENGINES)
def test_sections_are_refused_unless_they_are_all_there_as_bytes(name: str) -> None:
    codec = engine(name, OrderCaptured, ("order",))
    assert codec.encode_sections(b"", CAPTURED, [b"\x00"]) == codec.encode(
        b"", CAPTURED.model_copy(update={"order": None})
    )
    for sections in ([], [b"\x00", b"\x00"], [None], ["\x00"], [[0]]):
        with pytest.raises(InvalidValue):
            codec.encode_sections(b"", CAPTURED, sections)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ENGINES)
def test_fields_that_are_not_the_last_are_no_sections(name: str) -> None:
    for sections in (("source",), ("captured_at", "source"), ("nothing",)):
        with pytest.raises(TypeError, match="not the last fields"):
            ENGINES[name](OrderCaptured, sections)

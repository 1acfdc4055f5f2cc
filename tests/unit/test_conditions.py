"""The language of conditions: what it means, that Python and the native engine agree, and what it refuses."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec.engine import engine_of
from schemas.codec.fastpath import FastPath, FastPathDeclaration, Given, OutputDeclaration, is_available
from schemas.conditions import compile_predicate, parse_conditions
from schemas.errors import ConfigurationError
from schemas.models import Address, AwaitedRecord, OrderCaptured, SalesOrder
from tests.unit.model_strategies import instances
from tests.unit.order_lives import Item, Life, order

VOCABULARY = {
    "STATUSES": {"placed": 0, "confirmed": 0},
    "CURRENCIES": {"EUR": 2, "JPY": 0, "KWD": 3},
    "LIMITS": {"EUR": 274, "USD": 9},
}
CONSTANTS = {"MOST": Decimal("273.66"), "LEAST": Decimal("-0.5")}
RECORDS = ("event", "order", "line")

# (condition, holds for the order below)
MEANINGS = [
    ("order.order_status == 'placed'", True),
    ("order.order_status != 'placed'", False),
    ("order.order_status in STATUSES", True),
    ("order.order_status not in STATUSES", False),
    ("order.note is None", True),
    ("order.note is not None", False),
    ("order.note == 'x'", False),
    ("not order.note == 'x'", None),
    ("order.delivery_address.country_code == 'DE'", True),
    ("order.payable_amount > 273.65", True),
    ("order.payable_amount > 273.66", False),
    ("order.payable_amount >= 273.66", True),
    ("order.payable_amount < 273.660001", True),
    ("273.66 <= order.payable_amount <= 273.66", True),
    ("order.payable_amount == order.tax_exclusive_amount + order.tax_amount", True),
    ("order.payable_amount - order.tax_amount == order.tax_exclusive_amount", True),
    ("-order.payable_amount < 0", True),
    ("total(line.line_extension_amount) == order.line_extension_amount", True),
    ("total(line.quantity * line.price_amount) == 229.97", True),
    ("count(line) == 2", True),
    ("unique(line.line_id)", True),
    ("unique(line.unit_code)", False),
    ("line.quantity > 3", False),
    ("line.quantity >= 3", True),
    ("line.quantity > 3 or line.line_id == '1'", True),
    ("matches(line.unit_code, '[A-Z0-9]{2,3}')", True),
    ("matches(line.unit_code, '[A-Z]{3}')", False),
    ("matches(line.unit_code, '[A-Z0-9]{2}')", False),
    ("before(event.order_id, ':') == event.source.system", True),
    ("before(order.order_status, ':') == 'placed'", True),
    ("whole(order.payable_amount, CURRENCIES[order.document_currency_code])", True),
    ("whole(order.payable_amount * 0.1, CURRENCIES[order.document_currency_code])", False),
    ("whole(order.payable_amount, CURRENCIES[order.order_status])", False),
    ("order.issue_date <= order.requested_delivery_date", True),
    ("order.issue_date > order.requested_delivery_date", False),
    ("event.committed_at == event.captured_at", True),
    ("order.order_status in {'placed', 'confirmed'}", True),
    ("order.order_status not in {'placed', 'confirmed'}", False),
    ("order.note in {'x'}", False),
    ("order.order_id in {'x', 'a text of more than sixteen octets'}", False),
    ("order.order_id not in {'crm:SO-1', 'a text of more than sixteen octets'}", False),
    ("event.event_id not in {'a text of more than sixteen octets', 'another one of as many octets'}", True),
    ("order.payable_amount <= LIMITS[order.document_currency_code]", True),
    ("order.payable_amount > LIMITS[order.document_currency_code]", False),
    ("order.payable_amount <= LIMITS[order.order_status]", False),
    ("order.payable_amount <= MOST and order.payable_amount >= -LEAST and LEAST < 0", True),
    ("order.issue_date == day('2026-11-21')", True),
    ("order.issue_date < day('2026-11-21')", False),
    ("later(order.issue_date, 30) == day('2026-12-21')", True),
    ("order.requested_delivery_date <= later(order.issue_date, -1)", False),
    ("midnight(order.issue_date) <= event.committed_at < midnight(later(order.issue_date, 1))", True),
    ("midnight(day('2026-11-22')) <= event.committed_at", False),
    ("order.order_status == 'placed' and (order.note is None or order.note == '')", True),
]
SAMPLE = order([Item("1", "P1", "3", "9.99"), Item("2", "P2", "10", "20.00")]).model_copy(
    update={"delivery_address": Address(country_code="DE"), "requested_delivery_date": date(2026, 11, 21)}
)


def in_python(text: str, event: OrderCaptured) -> bool:
    assert event.order is not None
    conditions = parse_conditions(text, RECORDS, VOCABULARY, "test", CONSTANTS)
    holds = compile_predicate(conditions, RECORDS, ("line",), VOCABULARY)
    return holds(event, event.order, event.order.order_lines)


def natively(text: str, event: OrderCaptured) -> bool:
    path = FastPath(
        FastPathDeclaration(
            prefix=b"",
            model=OrderCaptured,
            names={"event": "", "order": "order"},
            items="line",
            key="event.order_id",
            instant="event.committed_at",
            looked_up={},
            conditions=tuple(parse_conditions(text, RECORDS, VOCABULARY, "test", CONSTANTS)),
            vocabulary=VOCABULARY,
            outputs=(OutputDeclaration(b"", AwaitedRecord, {"topic": Given("t"), "key": Given("k")}),),
            present=frozenset({"order"}),
        )
    )
    made = path.take(engine_of(OrderCaptured).encode(b"", event), event.order_id.encode(), ())
    assert made is None or made == (b"\x02t\x02k", made[1])
    return made is not None


@pytest.mark.parametrize(("text", "expected"), MEANINGS)
def test_conditions_mean_what_python_means(text: str, expected: bool | None) -> None:
    event = Life().ordered(SAMPLE)
    if expected is not None:
        assert in_python(text, event) is expected
    if is_available:
        # What compares a null does not hold natively, whatever stands around it.
        assert natively(text, event) is bool(expected)


@pytest.mark.skipif(not is_available, reason="the native codec is not built on this machine")
@settings(max_examples=150, deadline=None)
@given(st.sampled_from([text for text, _ in MEANINGS]), instances(SalesOrder))
def test_what_holds_natively_holds_in_python(text: str, facts: SalesOrder) -> None:
    event = Life().ordered(facts)
    assert not natively(text, event) or in_python(text, event)


@pytest.mark.skipif(not is_available, reason="the native codec is not built on this machine")
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.integers(-(10**15), 10**15),
    st.integers(-(10**15), 10**15),
    st.sampled_from(["{0} {op} {1}", "{0} * {1} {op} {1}", "{0} - {1} {op} {1} + {0}", "{0} * 1.25 {op} {1}"]),
)
def test_arithmetic_is_exact(operator: str, one: int, other: int, form: str) -> None:
    facts = SAMPLE.model_copy(
        update={"payable_amount": Decimal(one).scaleb(-4), "tax_amount": Decimal(other).scaleb(-4)}
    )
    text = form.format("order.payable_amount", "order.tax_amount", op=operator)
    assert natively(text, Life().ordered(facts)) is in_python(text, Life().ordered(facts))


WRONG: list[tuple[str, str]] = [
    ("order.note ==", "is no condition"),
    ("order.lines[0]", "only a vocabulary"),
    ("lambda: 1", "Lambda is not part of the language"),
    ("__import__('os')", "there are the functions"),
    ("vendor.name == 'x'", "'vendor' is unknown"),
    ("order.order_status in COLOURS", "'COLOURS' is unknown"),
    ("matches(order.note, 'a.*')", "a pattern is a set of characters"),
    ("total(line.quantity, 2) > 0", "total takes 1 values"),
    ("before(order.note, '--') == 'x'", "one character"),
    ("order.note == True and order.note == b'x'", "is no text or number"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_not_in_the_language_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_conditions(text, RECORDS, VOCABULARY, "rule x.y")
    assert "rule x.y" in str(caught.value)


UNFIT: list[tuple[str, str]] = [
    ("order.colour == 'red'", "order.colour is no attribute"),
    ("order.note < 'x'", "texts are only equal or not"),
    ("order.issue_date < 3", r"\(day\) is not compared with 3 \(number\)"),
    ("order.note", "is not true or false"),
    ("order.order_status + 1 == 2", "is no number but a text"),
    ("order.order_lines == 1", "is no text, number"),
    ("order.note is 3", "is not None"),
    ("line.price_amount * line.price_amount * line.price_amount * line.price_amount > 0", "24 decimals"),
]


@pytest.mark.skipif(not is_available, reason="the native codec is not built on this machine")
@pytest.mark.parametrize(("text", "message"), UNFIT)
def test_conditions_that_do_not_fit_the_records_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        natively(text, Life().ordered(SAMPLE))


def test_native_numbers_follow_the_header() -> None:
    """The enums of Python and C are one list."""
    from pathlib import Path

    from schemas.codec.fastpath.nodes import Operation
    from schemas.codec.fastpath.projection import PieceKind

    folder = Path(__file__).parents[2] / "schemas/codec/native"
    for enum, file, name in ((Operation, "scan.h", "Operation"), (PieceKind, "fastpath.c", "PieceKind")):
        text = (folder / file).read_text().split(f"enum {name} {{", 1)[1].split("}", 1)[0]
        names: list[Any] = [entry.strip() for entry in text.split(",") if entry.strip()]
        assert names[:-1] == [member.name for member in enum]

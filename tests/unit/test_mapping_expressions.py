"""The expression language: every function, every refusal, exact numbers, and no way out of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError, InvalidMessage, InvalidValue
from schemas.mapping.expressions import parse_expression
from schemas.mapping.functions import functions_of
from schemas.models import OrderLine

LOOKUPS = {"countries": {"Germany": "DE", "7": "seven"}}
ROW = {
    "order_number": 4711,
    "name": " Ada ",
    "empty": None,
    "blank": "  ",
    "price": Decimal("14.40"),
    "quantity": 12,
    "discount": Decimal("0.15"),
    "ordered_on": date(2026, 11, 21),
    "ordered_at": datetime(2026, 11, 21, 23, 30, tzinfo=UTC),
    "country": "Germany",
    "flag": True,
    "Order Date": "spaced",
    "class": "keyword",
    "text": "a column named as a function",
}


def evaluate(source: str, row: dict[str, Any] = ROW, zone: str = "UTC") -> Any:
    expression = parse_expression(source, where="here", lookups=LOOKUPS, lists={})
    scope: dict[str, Any] = {**functions_of(ZoneInfo(zone), LOOKUPS), "__builtins__": {}}
    return eval(expression.code, scope, {"row": row, "root": row, "parent": row})


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("name", " Ada "),
        ("'constant'", "constant"),
        ("42", 42),
        ("True", True),
        ("None", None),
        ("root.order_number", 4711),
        ("parent.order_number", 4711),
        ("text", "a column named as a function"),
        ("column('Order Date')", "spaced"),
        ("column('class')", "keyword"),
        ("concat('crm:', order_number)", "crm:4711"),
        ("concat('a', empty)", None),
        ("concat()", ""),
        ("text(order_number)", "4711"),
        ("text(empty)", None),
        ("number('12.50')", Decimal("12.50")),
        ("number(quantity)", Decimal(12)),
        ("number(empty)", None),
        ("coalesce(empty, name, 'x')", " Ada "),
        ("coalesce(empty, 0)", 0),
        ("coalesce()", None),
        ("money(price * quantity * (1 - discount), 'USD')", Decimal("146.88")),
        ("money(2.675, 'EUR')", Decimal("2.68")),
        ("money(-2.675, 'EUR')", Decimal("-2.68")),
        ("money(10.5, 'JPY')", Decimal(11)),
        ("money(1, 'KWD')", Decimal("1.000")),
        ("money(empty, 'EUR')", None),
        ("day('2026-11-21')", date(2026, 11, 21)),
        ("day('2026-11-21T10:00:00+00:00')", date(2026, 11, 21)),
        ("day(ordered_on)", date(2026, 11, 21)),
        ("day(ordered_at)", date(2026, 11, 21)),
        ("day(empty)", None),
        ("instant(ordered_on)", datetime(2026, 11, 21, tzinfo=UTC)),
        ("instant('2026-11-21T10:00:00+02:00')", datetime(2026, 11, 21, 8, tzinfo=UTC)),
        ("instant('2026-11-21T10:00:00')", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("instant(ordered_at)", ROW["ordered_at"]),
        ("instant(empty)", None),
        ("upper(name)", " ADA "),
        ("upper(empty)", None),
        ("lower(name)", " ada "),
        ("lower(empty)", None),
        ("strip(name)", "Ada"),
        ("strip(blank)", None),
        ("strip(empty)", None),
        ("lookup('countries', country)", "DE"),
        ("lookup('countries', 7)", "seven"),
        ("lookup('countries', empty)", None),
        ("price * 2 - 1 + 0.6", Decimal("28.40")),
        ("-price", Decimal("-14.40")),
        ("1 / 8", Decimal("0.125")),
        ("price / quantity", Decimal("1.20")),
        ("'yes' if flag else 'no'", "yes"),
        ("flag and not empty", True),
        ("empty is None or name == 'x'", True),
        ("empty is not None", False),
        ("country in ('Germany', 'France')", True),
        ("country not in ('France',)", True),
        ("0 < quantity <= 12", True),
        ("quantity != 12", False),
        ("price >= 14.4", True),
    ],
)
def test_an_expression_has_the_value_it_says(source: str, value: Any) -> None:
    result = evaluate(source)
    assert result == value
    assert type(result) is type(value)


def test_days_and_midnights_are_those_of_the_sources_zone() -> None:
    assert evaluate("day(ordered_at)", zone="Europe/Berlin") == date(2026, 11, 22)
    assert evaluate("instant(ordered_on)", zone="Europe/Berlin") == datetime(2026, 11, 20, 23, tzinfo=UTC)
    assert evaluate("instant('2026-07-01T12:00:00')", zone="Europe/Berlin") == datetime(2026, 7, 1, 10, tzinfo=UTC)
    east = {"ordered_at": datetime(2026, 11, 21, 5, tzinfo=timezone(timedelta(hours=9)))}
    assert evaluate("day(ordered_at)", east) == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "is not an expression"),
        ("name +", "is not an expression: invalid syntax (column"),
        ("name\x00", "null bytes"),
        ("(" * 3000 + "1" + ")" * 3000, "is not an expression"),
        ("1" * 5000, "is not an expression"),
        ("lambda: 1", "Lambda is not part of the mapping language"),
        ("[1, 2]", "List is not part of the mapping language"),
        ("{'a': 1}", "Dict is not part of the mapping language"),
        ("[x for x in name]", "ListComp is not part of the mapping language"),
        ("name[0]", "Subscript is not part of the mapping language"),
        ("f'{name}'", "JoinedStr is not part of the mapping language"),
        ("(x := 1)", "NamedExpr is not part of the mapping language"),
        ("2 ** 9", "Pow is not part of the mapping language"),
        ("7 // 2", "FloorDiv is not part of the mapping language"),
        ("7 % 2", "Mod is not part of the mapping language"),
        ("~7", "Invert is not part of the mapping language"),
        ("await name", "is not part of the mapping language"),
        ("concat(*name)", "Starred is not part of the mapping language"),
        ("b'bytes'", "constant b'bytes' is not part of the mapping language"),
        ("1j", "constant 1j is not part of the mapping language"),
        ("...", "constant Ellipsis is not part of the mapping language"),
        ("name.upper", "only root.COLUMN and parent.COLUMN may have a dot"),
        ("root.name.upper", "only root.COLUMN and parent.COLUMN may have a dot"),
        ("name.upper()", "a call is NAME(value, ...)"),
        ("text(value=1)", "a call is NAME(value, ...)"),
        ("text", None),
        ("text()", "text(value): missing a required argument: 'value'"),
        ("money(price)", "money(value, currency): missing a required argument: 'currency'"),
        ("strip(name, 'x')", "strip(value): too many positional arguments"),
        ("eval('1')", "unknown function 'eval'; there are coalesce, column, concat"),
        ("__import__('os')", "unknown function '__import__'"),
        ("__builtins__", "'__builtins__' is no column name"),
        ("root.__class__", "'__class__' is no column name"),
        ("column('__class__')", "'__class__' is no column name"),
        ("column(name)", "column('NAME') needs the column's name as a text"),
        ("column()", "column('NAME') needs the column's name as a text"),
        ("lookup('nowhere', name)", "lookup('TABLE', value) needs a table from [lookups]: countries"),
        ("lookup(name, country)", "needs a table from [lookups]"),
        ("lookup('countries')", "needs a table from [lookups]"),
        ("total(order_lines, 'tax_amount')", "it has none"),
        ("name is 'Ada'", "is compares with None only; use =="),
        ("None is name", "is compares with None only; use =="),
    ],
)
def test_what_the_language_does_not_have_is_refused_by_name(source: str, problem: str | None) -> None:
    if problem is None:
        evaluate(source)
        return
    with pytest.raises(ConfigurationError) as refusal:
        parse_expression(source, where="mapping x: order.note", lookups=LOOKUPS, lists={})
    assert problem in str(refusal.value)
    assert str(refusal.value).startswith("mapping x: order.note: ")


def test_a_total_takes_a_list_of_the_record_and_one_of_its_numbers() -> None:
    lists = {"order_lines": OrderLine}
    assert (
        parse_expression("total(order_lines, 'tax_amount')", where="x", lookups={}, lists=lists).columns == frozenset()
    )
    for source, problem in (
        ("total(order_lines, 'item_name')", "order_lines has no number 'item_name'; it has quantity, price_amount"),
        ("total(order_lines, '__dict__')", "order_lines has no number '__dict__'"),
        ("total(lines, 'tax_amount')", "needs a list of this record: order_lines"),
        ("total(order_lines)", "needs a list of this record"),
        ("total(order_lines, item_name)", "needs a list of this record"),
    ):
        with pytest.raises(ConfigurationError) as refusal:
            parse_expression(source, where="x", lookups={}, lists=lists)
        assert problem in str(refusal.value)


@pytest.mark.parametrize("source", ["number(x)", "money(x, 'EUR')", "text(x)", "concat('a', x)", "x / 2", "2 / x"])
def test_binary_floats_are_refused(source: str) -> None:
    with pytest.raises(InvalidValue, match=r"0\.1 is a binary float: its (decimal value|text) is a guess"):
        evaluate(source, {"x": 0.1})


@pytest.mark.parametrize(
    ("source", "value", "problem"),
    [
        ("number(x)", "twelve", "'twelve' is not a number"),
        ("number(x)", "", "'' is not a number"),
        ("number(x)", True, "True is not a number"),
        ("number(x)", date(2026, 1, 1), "is not a number"),
        ("money(x, 'EUR')", Decimal("NaN"), "NaN is not a finite number"),
        ("money(x, 'EUR')", Decimal("Infinity"), "Infinity is not a finite number"),
        ("money(1, x)", "EURO", "'EURO' is not an ISO 4217 currency"),
        ("lookup('countries', x)", "Narnia", "[lookups.countries] has no entry 'Narnia'; add it"),
    ],
)
def test_values_without_a_meaning_are_refused(source: str, value: Any, problem: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        evaluate(source, {"x": value})
    assert problem in str(refusal.value)


def test_constants_keep_every_digit_that_is_written() -> None:
    assert evaluate("0.1000000000000000000001") == Decimal("0.1000000000000000000001")
    assert evaluate("  1e-7 * 2") == Decimal("2e-7")


def test_the_columns_of_an_expression_are_known() -> None:
    expression = parse_expression("concat(a, root.b) if parent.c else column('d e')", where="x", lookups={}, lists={})
    assert expression.columns == {"a", "d e"}
    assert expression.root_columns == {"b"}
    assert expression.parent_columns == {"c"}


@given(st.text(alphabet="abr()[]{}._'\"*+-/<>=!,:; 0123456789\n", max_size=40))
def test_any_text_is_an_expression_or_a_named_refusal(source: str) -> None:
    try:
        code = parse_expression(source, where="here", lookups=LOOKUPS, lists={}).code
    except ConfigurationError as refusal:
        assert str(refusal).startswith("here: ")
        return
    assert "__" not in code


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_money_is_within_half_a_coin(value: Decimal) -> None:
    result = evaluate("money(x, 'EUR')", {"x": value})
    assert abs(result - value) <= Decimal("0.005")
    assert result == result.quantize(Decimal("0.01"))


def test_refusals_are_of_the_message_not_of_the_worker() -> None:
    assert issubclass(InvalidValue, InvalidMessage)
    assert not issubclass(ConfigurationError, InvalidMessage)

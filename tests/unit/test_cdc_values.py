"""PostgreSQL's text output as Python values, type by type."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.cdc.changes import UNCHANGED, Column, Relation, ReplicaIdentity, TableName
from producers.cdc.postgres.arrays import parse_array
from producers.cdc.postgres.lsn import lsn_text, position_of
from producers.cdc.postgres.values import PgType, PostgresRowReader
from schemas.errors import ConfigurationError, InvalidValue

BERLIN = ZoneInfo("Europe/Berlin")
TYPES = {
    70000: PgType(70000, "order_status", "e"),
    70001: PgType(70001, "amount", "d", base=1700),
    70002: PgType(70002, "_amount", "b", element=70001),
    70003: PgType(70003, "shop_amount", "d", base=70001),
    1007: PgType(1007, "_int4", "b", element=23),
    1009: PgType(1009, "_text", "b", element=25),
    1020: PgType(1020, "_box", "b", element=603, delimiter=";"),
    603: PgType(603, "box", "b"),
}
UUID_TEXT = "11111111-2222-3333-4444-555555555555"


def read(type_id: int, value: bytes | None) -> object:
    relation = Relation(1, TableName("s", "t"), (Column("c", type_id),), ReplicaIdentity.DEFAULT)
    return PostgresRowReader(TYPES.get, local_timezone=BERLIN).row_values(relation)((value,))["c"]


@pytest.mark.parametrize(
    ("type_id", "value", "expected"),
    [
        (20, b"-9223372036854775808", -9223372036854775808),
        (23, b"7", 7),
        (1700, b"12345678901234567890.123400", Decimal("12345678901234567890.123400")),
        (1700, b"-Infinity", Decimal("-Infinity")),
        (701, b"0.1", Decimal("0.1")),
        (701, b"1e+300", Decimal("1e300")),
        (790, b"-$1,234.50", Decimal("-1234.50")),
        (16, b"t", True),
        (16, b"f", False),
        (25, "Zoë ".encode(), "Zoë "),
        (1042, b"EUR   ", "EUR"),
        (1043, b"x ", "x "),
        (2950, UUID_TEXT.encode(), UUID(UUID_TEXT)),
        (1082, b"2026-02-28", date(2026, 2, 28)),
        (1083, b"23:59:59.5", time(23, 59, 59, 500000)),
        (1184, b"2026-02-28 23:30:00.12+00", datetime(2026, 2, 28, 23, 30, 0, 120000, UTC)),
        (1184, b"2026-02-28 23:30:00+05:30", datetime(2026, 2, 28, 18, 0, tzinfo=UTC)),
        (1114, b"2026-07-01 12:00:00", datetime(2026, 7, 1, 10, 0, tzinfo=UTC)),
        (17, b"\\x00ff", b"\0\xff"),
        (3802, b'{"lines": [{"price": 0.1, "n": 3}]}', {"lines": [{"price": Decimal("0.1"), "n": 3}]}),
        (70000, b"shipped", "shipped"),
        (70001, b"1.10", Decimal("1.10")),
        (70003, b"1.10", Decimal("1.10")),
        (70002, b"{1.10,NULL}", [Decimal("1.10"), None]),
        (1007, b"[0:1]={1,2}", [1, 2]),
        (1007, b"{{1,2},{3,4}}", [[1, 2], [3, 4]]),
        (1009, b'{"a \\"b\\" \\\\ c",NULL,"NULL","","x,y"}', ['a "b" \\ c', None, "NULL", "", "x,y"]),
        (1020, b"{(1,1),(0,0);(2,2),(1,1)}", ["(1,1),(0,0)", "(2,2),(1,1)"]),
        (99999, b"whatever", "whatever"),
        (1700, None, None),
    ],
)
def test_a_value_is_read(type_id: int, value: bytes | None, expected: object) -> None:
    found = read(type_id, value)
    assert found == expected
    assert type(found) is type(expected)


def test_not_a_number_stays_a_decimal_that_money_refuses() -> None:
    found = read(1700, b"NaN")
    assert isinstance(found, Decimal)
    assert found.is_nan()


@pytest.mark.parametrize(
    ("type_id", "value"),
    [
        (1184, b"infinity"),
        (1184, b"-infinity"),
        (1184, b"0044-03-15 12:00:00+00 BC"),
        (1184, b"10000-01-01 00:00:00+00"),
        (1114, b"infinity"),
        (1082, b"0044-03-15 BC"),
        (1082, b"infinity"),
        (1083, b"24:00:00"),
        (23, b"seven"),
        (16, b"yes"),
        (1700, b"1,2"),
        (25, b"\xff\xfe"),
        (17, b"abc"),
        (3802, b"{"),
        (3802, b"[" * 100_000),
        (1007, b"{1,"),
        (1007, b"1"),
        (1007, b"{{{{{{{1}}}}}}}"),
        (2950, b"none"),
    ],
)
def test_a_value_without_meaning_is_refused_by_column_and_text(type_id: int, value: bytes) -> None:
    with pytest.raises(InvalidValue, match=r"column s\.t\.c holds") as caught:
        read(type_id, value)
    assert caught.value.field == "c"


def test_only_wanted_columns_are_read_and_what_was_not_sent_stays_marked() -> None:
    columns = (Column("id", 20), Column("bad", 23), Column("note", 25))
    relation = Relation(1, TableName("s", "t"), columns, ReplicaIdentity.DEFAULT)
    values = PostgresRowReader(TYPES.get).row_values(relation, ["note", "id"])
    assert values((b"5", b"seven", UNCHANGED)) == {"note": UNCHANGED, "id": 5}


def test_a_column_that_the_table_lost_is_named() -> None:
    relation = Relation(1, TableName("crm", "orders"), (Column("id", 20),), ReplicaIdentity.DEFAULT)
    with pytest.raises(ConfigurationError, match=r"crm\.orders no longer sends the column total; it has id"):
        PostgresRowReader(TYPES.get).row_values(relation, ["id", "total"])


def quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


texts = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))


@given(st.lists(texts))
def test_each_array_of_texts_comes_back(values: list[str | None]) -> None:
    assert parse_array("{" + ",".join(map(quoted, values)) + "}", bytes.decode) == values


@given(st.text(alphabet='{}",\\ aN[]:=1', max_size=40))
def test_any_text_is_an_array_or_a_value_error(text: str) -> None:
    try:
        parse_array(text, bytes.decode)
    except ValueError as exc:
        assert str(exc)


@given(st.integers(0, 2**64 - 1))
def test_positions_and_lsns_are_the_same(position: int) -> None:
    assert position_of(lsn_text(position)) == position


def test_a_text_that_is_no_lsn_is_refused() -> None:
    with pytest.raises(InvalidValue, match="not a log sequence number"):
        position_of("16-B3")

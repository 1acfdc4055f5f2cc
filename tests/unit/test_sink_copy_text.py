"""Rows in COPY's text format."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from consumers.postgres.text import copied


def test_each_type_has_its_form() -> None:
    row = ("a", 7, Decimal("1.50"), datetime(2026, 1, 2, 3, 4, 5, 6, UTC), date(2026, 1, 2), True, False, None, "")
    assert copied([row]) == b"a\t7\t1.50\t2026-01-02T03:04:05.000006+00:00\t2026-01-02\tt\tf\t\\N\t\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("tab\there", "tab\\there"),
        ("line\nfeed\rreturn", "line\\nfeed\\rreturn"),
        ("back\\slash", "back\\\\slash"),
        ("\\N", "\\\\N"),
        ("\\.", "\\\\."),
        ("zürich €", "zürich €"),
    ],
)
def test_what_separates_rows_and_columns_is_escaped(value: str, written: str) -> None:
    assert copied([(value,), ("next",)]) == f"{written}\nnext\n".encode()


def test_a_value_of_another_type_is_a_fault() -> None:
    with pytest.raises(KeyError):
        copied([(1.5,)])

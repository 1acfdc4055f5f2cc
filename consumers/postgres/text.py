"""Rows in COPY's text format; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

NULL: Final = "\\N"


def text(value: str) -> str:
    """A text, with what separates columns and rows escaped."""
    if value.isprintable() and "\\" not in value:
        return value
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def copied(rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Rows of texts, numbers, times, truth values and nulls, each ending with a line feed.

    Raises:
        KeyError: a value of another type.
    """
    written = _WRITTEN
    return "".join(["\t".join([written[type(value)](value) for value in row]) + "\n" for row in rows]).encode()


_WRITTEN: Final[dict[type[object], Callable[[Any], str]]] = {
    str: text,
    int: int.__str__,
    Decimal: Decimal.__str__,
    datetime: lru_cache(maxsize=4096)(datetime.isoformat),
    date: lru_cache(maxsize=4096)(date.isoformat),
    bool: lambda value: "t" if value else "f",
    type(None): lambda _: NULL,
}

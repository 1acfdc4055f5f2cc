"""Loads a table's columns as the canonical texts of attributes, without a Python value in between."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Final

from psycopg.abc import Buffer
from psycopg.adapt import Loader

from consumers.reconcile.attributes import text_of


@lru_cache(maxsize=65_536)
def _number(written: bytes) -> str:
    return text_of(Decimal(written.decode()))


@lru_cache(maxsize=65_536)
def _moment(written: bytes) -> str:
    """The server writes it in UTC; what Python could not hold (infinity, years before Christ) stays as it is."""
    text = written.decode()
    if len(text) < 22 or text[10] != " " or not text.endswith("+00"):
        return text
    seconds, _, fraction = text[11:-3].partition(".")
    return f"{text[:10]}T{seconds}.{fraction:0<6}+00:00"


class _NumberText(Loader):
    def load(self, data: Buffer) -> str:
        return _number(bytes(data))


class _MomentText(Loader):
    def load(self, data: Buffer) -> str:
        return _moment(bytes(data))


class _PlainText(Loader):
    """Days and whole numbers: the server's text is the canonical one."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


CANONICAL_TEXTS: Final[Mapping[str, type[Loader]]] = {
    "numeric": _NumberText,
    "timestamptz": _MomentText,
    "date": _PlainText,
    "int4": _PlainText,
    "int8": _PlainText,
}
"""Type of a column to what loads it; texts need no other loader."""

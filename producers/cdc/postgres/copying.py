"""Rows as PostgreSQL's COPY writes them in its text format."""

from __future__ import annotations

import re
import select
from typing import Final

import psycopg
from psycopg import pq, sql

from producers.cdc.changes import Row
from producers.cdc.postgres.errors import result_error
from producers.cdc.postgres.libpq import Copied, quick_copied
from schemas.errors import InvalidMessage

_ESCAPES: Final = {
    b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\",
}  # fmt: skip
_ESCAPED: Final = re.compile(rb"\\(.?)", re.DOTALL)


def copied_rows(connection: psycopg.Connection, query: sql.Composed, width: int) -> list[Row]:
    """All rows of a query, each with so many values.

    Raises psycopg.Error if the server refuses or the connection ends, InvalidMessage if a row does not fit.
    """
    copy = sql.SQL("COPY ({}) TO STDOUT").format(query)
    copied = quick_copied(connection.pgconn)
    if copied is not None:
        return _quickly(connection, copy.as_bytes(connection), copied, width)
    with connection.cursor() as cursor, cursor.copy(copy) as lines:
        return [copied_row(bytes(line), width) for line in lines]


def _quickly(connection: psycopg.Connection, copy: bytes, copied: Copied, width: int) -> list[Row]:
    pgconn = connection.pgconn
    result = pgconn.exec_(copy)
    if result.status != pq.ExecStatus.COPY_OUT:
        raise result_error(result)
    rows: list[Row] = []
    ready = select.poll()
    ready.register(pgconn.socket, select.POLLIN)
    try:
        while copied(rows, width) == 0:
            ready.poll()
            pgconn.consume_input()
    except ValueError as exc:
        raise InvalidMessage(f"a snapshot row cannot be read: {exc}") from exc
    while (ended := pgconn.get_result()) is not None:
        if ended.status == pq.ExecStatus.FATAL_ERROR:
            raise result_error(ended)
    return rows


def copied_row(line: bytes, width: int) -> Row:
    """One line of COPY's text format (with its newline). Raises InvalidMessage if it does not fit."""
    if not line.endswith(b"\n"):
        raise InvalidMessage("a snapshot row is cut off")
    # Without columns the line is empty; with one, an empty line is an empty value.
    values = line[:-1].split(b"\t") if width or line != b"\n" else []
    if len(values) != width:
        raise InvalidMessage(f"a snapshot row has {len(values)} values for {width} columns")
    if b"\\" not in line:
        return tuple(values)
    return tuple([None if value == b"\\N" else _unescaped(value) if b"\\" in value else value for value in values])


def _unescaped(value: bytes) -> bytes:
    return _ESCAPED.sub(_stands_for, value)


def _stands_for(escape: re.Match[bytes]) -> bytes:
    found = _ESCAPES.get(escape[1])
    if found is None:
        raise InvalidMessage(f"a snapshot row has an unknown escape: {escape[0]!r}")
    return found

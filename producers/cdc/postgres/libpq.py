"""Takes many messages out of libpq in one call: one by one, psycopg's way costs as much as all that is done with them.

The functions are those of the very libpq that psycopg is linked with, found through its own module.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from psycopg import pq

from producers.cdc.changes import Row
from producers.cdc.native import extension

Drain = Callable[[list[bytes], int], "int | bytes"]
"""`(messages, most)`: appends XLogData until there are `most` (gives 1), nothing more is there (0), the stream has
ended (-1), or another message comes (gives that)."""


Copied = Callable[[list[Row], int], int]
"""`(rows, width)`: appends the rows of a COPY that are there; gives 0 if more may come, less at the end."""


def quick_copied(pgconn: pq.abc.PGconn) -> Copied | None:
    """The rows of a COPY on this connection; None where the extension is not built or libpq is not found."""
    native, functions = extension(), _functions()
    connection: int | None = getattr(pgconn, "pgconn_ptr", None)
    if native is None or functions is None or connection is None:
        return None
    get, free = functions

    def copied(rows: list[Row], width: int) -> int:
        result: int = native.copied(get, free, connection, rows, width)
        return result

    return copied


def quick_drain(pgconn: pq.abc.PGconn) -> Drain | None:
    """The drain of this connection; None where the extension is not built or libpq is not found."""
    native, functions = extension(), _functions()
    connection: int | None = getattr(pgconn, "pgconn_ptr", None)
    if native is None or functions is None or connection is None:
        return None
    get, free = functions

    def drain(messages: list[bytes], most: int) -> int | bytes:
        result: int | bytes = native.drain(get, free, connection, messages, most)
        return result

    return drain


@cache
def _functions() -> tuple[int, int] | None:
    """The addresses of PQgetCopyData and PQfreemem."""
    module: Any = sys.modules.get(pq.PGconn.__module__)
    path = getattr(module, "__file__", None)
    if path is None or path.endswith(".py"):
        return None
    try:
        library = ctypes.CDLL(path)
        get, free = library.PQgetCopyData, library.PQfreemem
    except (OSError, AttributeError):
        return None
    return _address(get), _address(free)


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address

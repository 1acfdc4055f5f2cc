"""The one place that maps PostgreSQL's errors, by class and SQLSTATE, to the error tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from schemas.errors import ConfigurationError, Fatal, OrdersyncError, Transient


class SlotMissing(Fatal):
    """The replication slot does not exist (any more): what it held back is gone and has to be read again."""


class SlotLost(Fatal):
    """The slot leaves a gap in the log: it has to be created anew, and what was missed to be read again."""


class SnapshotGone(Fatal):
    """The snapshot that a slot exported cannot be taken any more: drop the slot and begin again."""


_MENDING: Final = {
    "28": "check user, password and pg_hba.conf (a replication connection needs a line for the database)",
    "3D": "check the name of the database",
    "42501": "GRANT the privilege: the role needs REPLICATION and SELECT on each mapped table",
    "42704": "create what is missing; `ordersync mappings check` names it",
    "42710": "use another slot name, or drop the existing slot first",
    "53400": "raise max_replication_slots or drop unused slots (SELECT * FROM pg_replication_slots)",
    "42": "run `ordersync mappings check` against this database",
}
_RETRIED_CLASSES: Final = frozenset({"08", "40", "53", "57", "58"})
_UNDEFINED_FILE: Final = "58P01"
_RETRIED_CODES: Final = frozenset({"55006", "55P03"})


def mapped(exc: psycopg.Error, doing: str) -> OrdersyncError:
    """The error of the tree for a psycopg error; `doing` says what was being done, and where."""
    code = exc.sqlstate
    reason = f"{doing} failed: {str(exc).strip()}" + (f" (SQLSTATE {code})" if code else "")
    if code is None:
        return _mapped_by_class(exc, reason)
    if code == _UNDEFINED_FILE:
        return SlotLost(f"{reason}; the server removed log that is still needed")
    mending = _MENDING.get(code) or _MENDING.get(code[:2])
    if mending is not None:
        return ConfigurationError(f"{reason}; {mending}")
    if code[:2] in _RETRIED_CLASSES or code in _RETRIED_CODES:
        return Transient(reason, retry_after_seconds=2.0 if code == "55006" else 1.0)
    return Fatal(reason)


def _mapped_by_class(exc: psycopg.Error, reason: str) -> OrdersyncError:
    if isinstance(exc, psycopg.errors.ConnectionTimeout):
        return Transient(reason, retry_after_seconds=2.0)
    if isinstance(exc, psycopg.OperationalError):
        connection = exc.pgconn
        if connection is not None and connection.needs_password:
            return ConfigurationError(f"{reason}; set the password of the source database")
        return Transient(reason, retry_after_seconds=1.0)
    if isinstance(exc, psycopg.ProgrammingError):
        return ConfigurationError(f"{reason}; check the connection settings")
    return Fatal(reason)


@contextmanager
def mapped_errors(doing: str) -> Iterator[None]:
    """Around each use of psycopg in this package."""
    try:
        yield
    except psycopg.Error as exc:
        raise mapped(exc, doing) from exc


def result_error(result: pq.abc.PGresult) -> psycopg.Error:
    """The exception that psycopg would raise for a failed result of a command sent through libpq."""
    return error_from_result(result)

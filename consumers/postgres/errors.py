"""PostgreSQL's errors mapped to ours, by SQLSTATE class; the only place that does so."""

from __future__ import annotations

import psycopg

from schemas.errors import ConfigurationError, Fatal, InvalidValue, OrdersyncError, Transient

# Classes of Appendix A of PostgreSQL's manual.
_TRANSIENT = frozenset({"08", "40", "53", "55", "57", "58"})
"""Connection, rollback for concurrency, resources, object in use, operator intervention, system."""
_TIMED_OUT = frozenset({"25P03", "25P04"})
"""The server ended a transaction that stood still: this process was frozen or starved in it."""
_VALUE = frozenset({"21", "22", "23", "44", "54"})
"""Cardinality, data, integrity constraint, check option, limits: a row is at fault."""
_CONFIGURATION = frozenset({"0P", "28", "3D", "3F", "42"})
"""Role, authorization, database, schema, undefined or forbidden objects."""


def postgres_error(exc: psycopg.Error, doing: str) -> OrdersyncError:
    """Our error for one of psycopg's; `doing` says what was attempted and where."""
    state = exc.sqlstate
    if state is None:
        if isinstance(exc, psycopg.DataError):
            # The client refuses to send the value, a text with a NUL character for one.
            return InvalidValue(f"{doing}: {_text(exc)}", rule="unwritable_value")
        # Without a SQLSTATE the server has not spoken: it is away, or the connection broke.
        if isinstance(exc, psycopg.OperationalError | psycopg.InterfaceError):
            return Transient(f"{doing}: PostgreSQL does not answer ({_text(exc)})")
        return Fatal(f"{doing}: {_text(exc)}")
    group = state[:2]
    if group in _TRANSIENT or state in _TIMED_OUT:
        return Transient(f"{doing}: {_text(exc)} (SQLSTATE {state})")
    if group in _VALUE:
        place = exc.diag.constraint_name or exc.diag.column_name
        return InvalidValue(f"{doing}: {_text(exc)} (SQLSTATE {state})", rule=f"sqlstate_{state}", field=place)
    if group in _CONFIGURATION:
        return ConfigurationError(
            f"{doing}: {_text(exc)} (SQLSTATE {state}); check the database's name, the role's privileges and that its "
            "tables are those of this version"
        )
    return Fatal(f"{doing}: {_text(exc)} (SQLSTATE {state})")


def _text(exc: psycopg.Error) -> str:
    # The server's details repeat the row at fault, with whatever it says of a person.
    return " ".join((exc.diag.message_primary or str(exc)).split()) or type(exc).__name__

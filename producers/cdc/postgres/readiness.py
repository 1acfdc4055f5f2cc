"""Whether server and role are ready for the capture, found out before anything is created."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import psycopg
from psycopg import sql

from producers.cdc.postgres.catalog import Table
from producers.cdc.postgres.errors import mapped_errors
from schemas.errors import ConfigurationError

OLDEST_VERSION = 140000

_ROLE: LiteralString = """
    SELECT current_user::text, current_setting('wal_level'),
           (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
           current_setting('max_replication_slots')::int
             - (SELECT count(*) FROM pg_catalog.pg_replication_slots),
           EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = %s)
"""
_UNREADABLE: LiteralString = """
    SELECT c.oid::bigint FROM pg_catalog.pg_class c
     WHERE c.oid = ANY(%s) AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')
"""


def require_ready(connection: psycopg.Connection, slot: str, tables: Sequence[Table]) -> None:
    """Check version, wal_level, room for the slot and the role's rights; the worker calls it at start.

    A refused replication connection comes without a SQLSTATE and could only be tried again; this says why.
    Raises ConfigurationError that lists each problem with the statement that mends it.
    """
    problems = []
    with mapped_errors("checking that the source database is ready"):
        ((role, wal_level, may_replicate, free_slots, exists),) = connection.execute(_ROLE, (slot,)).fetchall()
    quoted = sql.Identifier(role).as_string(connection)
    if connection.info.server_version < OLDEST_VERSION:
        problems.append(f"the server is version {connection.info.server_version // 10000}; 14 is the oldest supported")
    if wal_level != "logical":
        problems.append(f"wal_level is {wal_level!r}: ALTER SYSTEM SET wal_level = 'logical', then restart PostgreSQL")
    if not may_replicate:
        problems.append(f"role {role!r} may not replicate: ALTER ROLE {quoted} REPLICATION")
    if not exists and free_slots < 1:
        problems.append("no replication slot is free: raise max_replication_slots, or drop a slot that nobody uses")
    problems += unreadable(connection, tables)
    if problems:
        raise ConfigurationError("the source database is not ready for the capture:\n  " + "\n  ".join(problems))


def unreadable(connection: psycopg.Connection, tables: Sequence[Table]) -> list[str]:
    """The tables that the role may not read, each with the statement that mends it."""
    with mapped_errors("checking which tables the role may read"):
        found = {row[0] for row in connection.execute(_UNREADABLE, ([table.table_id for table in tables],))}
        ((role,),) = connection.execute("SELECT current_user::text").fetchall()
    quoted = sql.Identifier(role).as_string(connection)
    return [
        f"role {role!r} may not read {table.name}: "
        f"GRANT SELECT ON {sql.Identifier(*table.name).as_string(connection)} TO {quoted}"
        for table in tables
        if table.table_id in found
    ]

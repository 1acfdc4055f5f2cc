"""The publication that tells the server which tables to send: exactly the mapped ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from producers.cdc.changes import TableName
from producers.cdc.postgres.catalog import MappedTables, Table, needs_generated_columns
from producers.cdc.postgres.errors import mapped_errors
from schemas.errors import ConfigurationError

_GENERATED_SINCE = 180000
_PUBLICATION: LiteralString = """
    SELECT p.pubviaroot, p.puballtables, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate,
           coalesce(to_jsonb(p) ->> 'pubgencols', 'n')
      FROM pg_catalog.pg_publication p WHERE p.pubname = %s
"""
_PUBLISHED: LiteralString = """
    SELECT n.nspname::text, c.relname::text
      FROM pg_catalog.pg_publication_rel r
      JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
      JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE p.pubname = %s
"""
_FILTERED: LiteralString = """
    SELECT to_jsonb(r) ->> 'prqual' IS NOT NULL OR to_jsonb(r) ->> 'prattrs' IS NOT NULL
      FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
     WHERE p.pubname = %s
"""


@dataclass(frozen=True, slots=True)
class Publication:
    """The publication as it is now; `added` are tables that were not in it before and need a snapshot."""

    name: str
    generated_columns: bool
    added: tuple[TableName, ...]
    removed: tuple[TableName, ...]


def ensure_publication(
    connection: psycopg.Connection, name: str, tables: Sequence[Table], mapped: MappedTables
) -> Publication:
    """Create or alter the publication so that it sends exactly these tables, through their partition roots.

    Called before the slot is created (the server looks the publication up as it was when a row changed) and
    again whenever the mapping changes. Changes nothing if all is well already, so that a role without the
    privilege can run on what an administrator prepared. Raises ConfigurationError with the SQL to run where
    the privilege is missing.
    """
    generated = needs_generated_columns(tables, mapped)
    wanted = {table.name for table in tables}
    with mapped_errors(f"reading publication {name!r}"):
        row = connection.execute(_PUBLICATION, (name,)).fetchone()
        present = {TableName(*found) for found in connection.execute(_PUBLISHED, (name,))}
        filtered = any(found for (found,) in connection.execute(_FILTERED, (name,)))
    options = _options(generated)
    if row is None:
        create = sql.SQL("CREATE PUBLICATION {} FOR TABLE {} WITH ({})")
        _run(connection, create.format(sql.Identifier(name), _list(wanted), options))
        return Publication(name, generated, tuple(sorted(wanted)), ())
    via_root, all_tables, complete, gencols = row
    sends_generated = gencols == "s"
    if not (via_root and complete) or (generated and not sends_generated):
        alter = sql.SQL("ALTER PUBLICATION {} SET ({})")
        _run(connection, alter.format(sql.Identifier(name), options))
        sends_generated = generated
    if all_tables:
        return Publication(name, sends_generated, (), ())
    if present != wanted or filtered:
        alter = sql.SQL("ALTER PUBLICATION {} SET TABLE {}")
        _run(connection, alter.format(sql.Identifier(name), _list(wanted)))
    added, removed = sorted(wanted - present), sorted(present - wanted)
    return Publication(name, sends_generated, tuple(added), tuple(removed))


def _options(generated: bool) -> sql.SQL:
    if generated:
        return sql.SQL(
            "publish = 'insert, update, delete, truncate', publish_via_partition_root = true, "
            "publish_generated_columns = stored"
        )
    return sql.SQL("publish = 'insert, update, delete, truncate', publish_via_partition_root = true")


def _list(tables: set[TableName]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*table) for table in sorted(tables))


def _run(connection: psycopg.Connection, command: sql.Composed) -> None:
    try:
        with mapped_errors("preparing the publication"):
            connection.execute(command)
    except ConfigurationError as exc:
        raise ConfigurationError(
            f"{exc}. The role may not do this; as owner of the tables run: {command.as_string(connection)}"
        ) from exc

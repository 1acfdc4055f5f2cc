"""The columns of the system's own records that are written: are they there, and may this role write them?"""

from __future__ import annotations

from consumers.postgres.database import Rows
from schemas.errors import ConfigurationError
from schemas.mapping.write_back import FIELDS, WriteBack

_FIRST_VERSION = 160_000
_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), has_column_privilege(attrelid, attnum, 'UPDATE'),
    has_column_privilege(attrelid, attnum, 'SELECT')
FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attname = ANY (%s)
"""


def column_types(cursor: Rows, write_back: WriteBack, place: str) -> dict[str, str]:
    """The types of the key and of each column, as the database writes them.

    Raises:
        ConfigurationError: a column is missing, this role may not write it, or the server is too old.
    """
    if cursor.connection.info.server_version < _FIRST_VERSION:
        raise ConfigurationError(
            f"{place}: PostgreSQL 16 or newer is needed to write to the system's own records; leave [write_back] out "
            "of the mapping file, and let the system read the table ordersync_order"
        )
    wanted = [write_back.key, *write_back.columns]
    cursor.execute(_COLUMNS, (write_back.table.qualified_name, wanted))
    found = {name: (type_, may_write, may_read) for name, type_, may_write, may_read in cursor}
    table = write_back.table.qualified_name
    if missing := [column for column in wanted if column not in found]:
        adding = ", ".join(f"ADD COLUMN {column} text" for column in missing)
        meant = "; ".join(
            f"{column}: {FIELDS[write_back.columns[column]]}" for column in missing if column in write_back.columns
        )
        raise ConfigurationError(
            f"{place} has no {table} with {', '.join(missing)} ({meant}): let its owner run "
            f"ALTER TABLE {table} {adding}"
        )
    unwritable = [column for column in write_back.columns if not found[column][1]]
    unreadable = [column for column in wanted if not found[column][2]]
    if unwritable or unreadable:
        rights = [
            f"{verb} ({', '.join(names)})" for verb, names in (("UPDATE", unwritable), ("SELECT", unreadable)) if names
        ]
        raise ConfigurationError(
            f"{place}: this role may not write how orders stand: let the owner run "
            f"GRANT {', '.join(rights)} ON {table} TO it"
        )
    return {column: found[column][0] for column in wanted}

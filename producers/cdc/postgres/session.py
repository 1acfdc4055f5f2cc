"""Connections to a source whose text output does not depend on the server's or the role's settings."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from producers.cdc.postgres.errors import mapped_errors

_OUTPUT_SETTINGS: Final = {
    "datestyle": "ISO",
    "timezone": "UTC",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "search_path": "pg_catalog",
}
CONNECT_TIMEOUT_SECONDS: Final = 10


def session_conninfo(conninfo: str, *, application_name: str, replication: bool = False) -> str:
    """The caller's connection string with the settings that make values come out in one known form."""
    given = conninfo_to_dict(conninfo)
    options = [str(given["options"])] if given.get("options") else []
    options += [f"-c {name}={value}" for name, value in _OUTPUT_SETTINGS.items()]
    fixed = {
        "options": " ".join(options),
        "client_encoding": "UTF8",
        "application_name": application_name,
        "connect_timeout": str(given.get("connect_timeout") or CONNECT_TIMEOUT_SECONDS),
        "keepalives_idle": str(given.get("keepalives_idle") or 30),
    }
    if replication:
        fixed["replication"] = "database"
    return make_conninfo(conninfo, **fixed)


def connect(conninfo: str, *, application_name: str = "ordersync-cdc", replication: bool = False) -> psycopg.Connection:
    """A connection in autocommit mode for catalog, snapshot or replication commands.

    Raises Transient if the server cannot be reached, ConfigurationError if it asks for a password in vain.
    """
    with mapped_errors("connecting to the source database"):
        return psycopg.connect(
            session_conninfo(conninfo, application_name=application_name, replication=replication),
            autocommit=True,
        )

"""One connection of a sink to its database: opened when needed, opened anew after a failure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from typing import Any

import psycopg
from psycopg import Connection, Cursor

from consumers.postgres.errors import postgres_error
from consumers.postgres.origin import claim_origin
from schemas.errors import ConfigurationError
from schemas.settings import DatabaseSettings

Rows = Cursor[tuple[Any, ...]]
Session = Connection[tuple[Any, ...]]

_log = logging.getLogger(__name__)
# A server that vanished without a word must be noticed before the group gives the partitions away; and a worker that
# froze in a transaction holds locks on its positions, for which its successor waits until the server ends it.
_CONNECTION = {
    "connect_timeout": "5",
    "tcp_user_timeout": "20000",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "options": "-c statement_timeout=45s -c idle_in_transaction_session_timeout=10s -c TimeZone=UTC "
    "-c client_min_messages=warning",
}
_MIGRATION_LOCK = 0x6F726465


class Database:
    """A sink's database. `on_connect` sets up each new session (temporary tables, role).

    Sessions mark their changes as replicated, unless `is_sink` says that nothing of theirs could be captured.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        application: str,
        on_connect: Callable[[Rows], None],
        *,
        is_sink: bool = True,
    ) -> None:
        self.place = f"{settings.dbname} at {settings.host}:{settings.port}"
        self._conninfo = settings.conninfo(application_name=application, **_CONNECTION)
        self._on_connect = on_connect
        self._is_sink = is_sink
        self._session: Session | None = None

    @contextmanager
    def transaction(self, doing: str) -> Iterator[Rows]:
        """A cursor in a transaction that commits at the end of the block, or leaves nothing.

        Raises:
            Transient: the server is away or busy; the connection is opened anew at the next call.
            InvalidValue: it refuses a row.
            ConfigurationError, Fatal: it refuses the rest.
        """
        try:
            session = self._session or self._connect()
            with session.transaction(), session.cursor() as cursor:
                yield cursor
        except psycopg.Error as exc:
            raise postgres_error(exc, f"{doing} in {self.place}") from exc
        finally:
            if self._session is not None and self._session.broken:
                self.close()

    def migrate(self, *scripts: Traversable) -> None:
        """Run DDL that may run again; one worker at a time, all scripts or none.

        Raises:
            ConfigurationError: the role may not create them.
            Transient: the server is away.
        """
        try:
            with psycopg.connect(self._conninfo) as session:
                session.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
                for script in scripts:
                    session.execute(script.read_bytes())
        except psycopg.Error as exc:
            raise postgres_error(exc, f"preparing the tables in {self.place}") from exc

    def may_define(self, table: str) -> bool:
        """Whether this role may make tables here; where not, their owner has made them before.

        Raises:
            ConfigurationError: it may not, and there is no `table`.
            Transient: the server is away.
        """
        try:
            # Not the session of the work, which expects the tables to be there.
            with psycopg.connect(self._conninfo) as session:
                found = session.execute(
                    "SELECT has_schema_privilege(current_schema(), 'CREATE'), to_regclass(%s) IS NOT NULL", (table,)
                ).fetchone()
        except psycopg.Error as exc:
            raise postgres_error(exc, f"asking what this role may do in {self.place}") from exc
        assert found is not None
        may, there = found
        if not (may or there):
            raise ConfigurationError(
                f"{self.place} has no table {table}, and this role may make none: let the worker start once as the "
                "owner of the database, or give this role CREATE on the schema"
            )
        return bool(may)

    def close(self) -> None:
        """End the session; the next transaction opens another."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _connect(self) -> Session:
        # Plans made while the tables were empty must not be kept, so nothing is prepared.
        session = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        try:
            origin = claim_origin(session) if self._is_sink else None
            with session.cursor() as cursor:
                self._on_connect(cursor)
        except BaseException:
            session.close()
            raise
        self._session = session
        _log.info("connected to %s, replication origin %s", self.place, origin or "none")
        return session

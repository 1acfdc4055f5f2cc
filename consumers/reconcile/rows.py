"""Reads tables of a PostgreSQL database in one snapshot, streaming, with the values that the capture gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from itertools import count
from typing import Any, LiteralString, Protocol

import psycopg
from psycopg import sql
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader

from consumers.postgres.errors import postgres_error
from schemas.settings import DatabaseSettings

FETCHED_ROWS = 2000
Row = tuple[Any, ...]

_OPTIONS = (
    "-c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=1 -c lc_monetary=C -c client_min_messages=warning "
    "-c lock_timeout=5s"
)
# Whoever locks a table must not stop the comparison of all others, nor a wire that was cut without a word.
_WIRE = {
    "connect_timeout": "10",
    "tcp_user_timeout": "20000",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}


class Snapshot:
    """One read-only transaction that sees one state of the database from its first query to its end."""

    def __init__(self, connection: psycopg.Connection[Row], place: str) -> None:
        self._connection = connection
        self._place = place
        self._numbers = count()

    def rows(
        self, query: sql.Composed, columns: Sequence[str] = (), loaders: Mapping[str, type[Loader]] | None = None
    ) -> Iterator[Row]:
        """The rows of a query, fetched in pieces; several may be read in turn.

        `loaders` make other values than usual of some types.

        Raises:
            ConfigurationError: a table or column is missing, or the role may not read it.
            Transient: the server is away.
        """
        try:
            with self._connection.cursor(name=f"reconcile_{next(self._numbers)}") as cursor:
                cursor.itersize = FETCHED_ROWS
                for kind, loader in (loaders or {}).items():
                    cursor.adapters.register_loader(kind, loader)
                cursor.execute(query)
                yield from cursor
        except psycopg.Error as exc:
            raise postgres_error(exc, f"reading {', '.join(columns) or 'orders'} from {self._place}") from exc

    def all_rows(
        self, query: sql.Composed, columns: Sequence[str] = (), tuning: LiteralString | None = None
    ) -> list[Row]:
        """The rows of a query at once, which the server may spread over its processors; for few rows.

        `tuning` are statements that hold for this transaction.

        Raises:
            ConfigurationError, Transient: as `rows`.
        """
        try:
            with self._connection.cursor() as cursor:
                if tuning is not None:
                    cursor.execute(tuning)
                return cursor.execute(query).fetchall()
        except psycopg.Error as exc:
            raise postgres_error(exc, f"reading {', '.join(columns) or 'orders'} from {self._place}") from exc

    def types(self, columns: Sequence[sql.Composable], source: sql.Composable, name: str) -> list[int]:
        """The numbers that the catalogue has for the types of these expressions over a source of rows.

        Raises:
            ConfigurationError, Transient: as `rows`.
        """
        query = sql.SQL("SELECT {} FROM {} LIMIT 0").format(sql.SQL(", ").join(columns), source)
        try:
            found = self._connection.execute(query).description
        except psycopg.Error as exc:
            raise postgres_error(exc, f"reading {name} from {self._place}") from exc
        return [column.type_code for column in found or ()]


class Snapshots(Protocol):
    """Gives a snapshot of a database, in a session of its own or in one that is kept."""

    def __call__(self, settings: DatabaseSettings, *, zone: tzinfo = UTC) -> AbstractContextManager[Snapshot]:
        """As `snapshot`."""
        ...


@contextmanager
def snapshot(settings: DatabaseSettings, *, zone: tzinfo = UTC) -> Iterator[Snapshot]:
    """A snapshot of a database; times of its columns without time zone are in `zone`.

    Raises:
        ConfigurationError: it refuses the role.
        Transient: it is away.
    """
    connection = connected(settings, zone)
    try:
        yield Snapshot(connection, place_of(settings))
    finally:
        connection.close()


def connected(settings: DatabaseSettings, zone: tzinfo) -> psycopg.Connection[Row]:
    """A session in which every transaction is one snapshot.

    Raises:
        ConfigurationError: the database refuses the role.
        Transient: it is away.
    """
    conninfo = settings.conninfo(application_name="ordersync-reconcile", options=_OPTIONS, **_WIRE)
    try:
        connection = psycopg.connect(conninfo, autocommit=False)
    except psycopg.Error as exc:
        raise postgres_error(exc, f"connecting to {place_of(settings)}") from exc
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    _register(connection, zone)
    return connection


def place_of(settings: DatabaseSettings) -> str:
    """A database's name for people."""
    return f"{settings.dbname} at {settings.host}:{settings.port}"


def text_array(values: Sequence[str]) -> sql.Literal:
    """A literal that takes the type of the column it is compared with, so that the column's index serves."""
    quoted = ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return sql.Literal("{" + quoted + "}")


def _register(context: AdaptContext, zone: tzinfo) -> None:
    """Give columns the Python values that the capture gives them, so that one mapping makes the same of both."""
    adapters = context.adapters
    assert adapters is not None
    for name in ("float4", "float8"):
        adapters.register_loader(name, _ExactLoader)
    adapters.register_loader("money", _MoneyLoader)
    adapters.register_loader("bpchar", _PaddedLoader)
    for name in ("json", "jsonb"):
        adapters.register_loader(name, _DocumentLoader)
    for name in ("date", "timestamptz"):
        adapters.register_loader(name, _CalendarLoader)
    adapters.register_loader("timestamp", type("_LocalLoader", (_CalendarLoader,), {"zone": zone}))
    for name in ("interval", "inet", "cidr", "timetz"):
        adapters.register_loader(name, _TextLoader)


def _text(data: Buffer) -> str:
    return bytes(data).decode()


class _TextLoader(Loader):
    def load(self, data: Buffer) -> Any:
        return _text(data)


class _ExactLoader(Loader):
    """Floats as the decimals that the server prints."""

    def load(self, data: Buffer) -> Any:
        return Decimal(_text(data))


class _MoneyLoader(Loader):
    def load(self, data: Buffer) -> Any:
        return Decimal(_text(data).replace("$", "").replace(",", ""))


class _PaddedLoader(Loader):
    """`char(n)`: the padding is not part of the value."""

    def load(self, data: Buffer) -> Any:
        return _text(data).rstrip(" ")


class _DocumentLoader(Loader):
    def load(self, data: Buffer) -> Any:
        return json.loads(bytes(data), parse_float=Decimal)


class _CalendarLoader(Loader):
    """Days and times; one that Python cannot hold stays a text, which a mapping refuses by its column."""

    zone: tzinfo = UTC

    def load(self, data: Buffer) -> Any:
        text = _text(data)
        try:
            if len(text) == 10:
                return date.fromisoformat(text)
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=self.zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            return text

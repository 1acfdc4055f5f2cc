"""Finds the system that a person names on the command line as one side of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import ValidationError

from consumers.reconcile.comparison import ERP, LEDGER, SOURCE, STATE
from consumers.reconcile.erp import ErpReader
from consumers.reconcile.ledger import LedgerReader
from consumers.reconcile.pairs import ErpSide, LedgerSide, Side, SourceSide, StateSide
from consumers.reconcile.settings import ReconcileSettings
from consumers.reconcile.source import SourceReader
from consumers.reconcile.state import StateReader
from consumers.reconcile.topic import TopicReader
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_STATE

KINDS = (SOURCE, STATE, ERP, LEDGER)
_KEYS = {"host", "port", "dbname", "user", "password", "sslmode", "sslrootcert"}


class SideFinder:
    """Opens sides; what they hold open is closed by `closing`."""

    def __init__(self, settings: ReconcileSettings, schemas: SchemaIds, closing: ExitStack) -> None:
        self._settings, self._schemas, self._closing = settings, schemas, closing

    def find(self, name: str) -> Side:
        """`source`, `state`, `erp` or `ledger`; after a colon the prefix of restored names, or where a database is.

        Raises:
            ConfigurationError: there is no such system, topic or prefix, or the connection string is wrong.
            SchemaDrift: this version's schemas are not registered.
            Transient: Kafka or the registry is away.
        """
        kind, _, place = name.partition(":")
        openers: dict[str, Callable[[str, str], Side]] = {
            SOURCE: self._source, STATE: self._state, ERP: self._erp, LEDGER: self._ledger,
        }  # fmt: skip
        if kind not in openers or (":" in name and not place):
            raise ConfigurationError(
                f"{name!r} is no system: name {', '.join(KINDS)}; a restored copy as state:restore.NAME. or "
                "erp:restore.NAME., another database as erp:NAME or 'ledger:host=... dbname=...'"
            )
        return openers[kind](place, _label(kind, place))

    def _source(self, place: str, label: str) -> Side:
        if not place:
            return SourceSide([SourceReader(source) for source in self._settings.sources], label)
        raise ConfigurationError(
            f"source:{place}: the sources are those of ORDERSYNC_SOURCES together; set that to compare other ones"
        )

    def _state(self, prefix: str, label: str) -> Side:
        topic = prefix + ORDER_STATE
        # Asked for first: without the topic there is no schema of it either, and that is the worse message.
        asked = TopicReader(self._settings.kafka, topic)
        try:
            asked.ends()
        except ConfigurationError as exc:
            if not prefix:
                raise
            raise ConfigurationError(
                f"topic {topic} cannot be read: is {prefix!r}, with any dot at its end, what was restored to? "
                f"`ordersync backup restore --prefix {prefix}` makes it"
            ) from exc
        finally:
            asked.close()
        reader = StateReader(self._settings.kafka, self._schemas, topic)
        self._closing.callback(reader.close)
        return StateSide(reader, label)

    def _erp(self, place: str, label: str) -> Side:
        return ErpSide(ErpReader(self._database(self._settings.erp, place, ERP)), label)

    def _ledger(self, place: str, label: str) -> Side:
        return LedgerSide(LedgerReader(self._database(self._settings.ledger, place, LEDGER)), label)

    def _database(self, usual: DatabaseSettings, place: str, kind: str) -> DatabaseSettings:
        if not place.endswith(".") or "=" in place:
            return database_at(usual, place)
        # Only here: the backup's libraries are not installed everywhere.
        from deploy.backup.restoring import DatabaseServers, restored_places

        servers = DatabaseServers(erp=self._settings.erp, ledger=self._settings.ledger)
        places = restored_places(self._settings.kafka, servers, place)
        return places.erp if kind == ERP else places.ledger


def database_at(usual: DatabaseSettings, place: str) -> DatabaseSettings:
    """The usual database; another one of its server, by name; or any, by what a connection string says otherwise.

    Raises:
        ConfigurationError: the connection string is wrong, or names what is not used here.
    """
    if "=" not in place:
        return usual.model_copy(update={"dbname": place}) if place else usual
    try:
        given = {key: str(value) for key, value in conninfo_to_dict(place).items()}
    except psycopg.ProgrammingError as exc:
        raise ConfigurationError(f"a connection string is wrong: {str(exc).strip()}") from exc
    if unknown := given.keys() - _KEYS:
        told = ", ".join(sorted(unknown))
        raise ConfigurationError(f"a connection string names {told}; use {', '.join(sorted(_KEYS))}")
    if "sslrootcert" in given:
        given["ca_location"] = given.pop("sslrootcert")
    try:
        return DatabaseSettings.model_validate(usual.model_dump() | given)
    except ValidationError as exc:
        told = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in exc.errors(include_input=False))
        raise ConfigurationError(f"a connection string is wrong: {told}") from exc


def _label(kind: str, place: str) -> str:
    """Without a password that a connection string may hold."""
    if "=" not in place:
        return f"{kind}:{place}" if place else kind
    try:
        shown = {key: value for key, value in conninfo_to_dict(place).items() if key in ("host", "port", "dbname")}
    except psycopg.ProgrammingError:
        return kind
    return f"{kind}:{' '.join(f'{key}={value}' for key, value in shown.items())}"

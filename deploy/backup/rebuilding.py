"""ERP and ledger from restored topics: the sinks follow these to their ends, into databases that are new."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import psycopg
from prometheus_client import CollectorRegistry
from psycopg import sql

from consumers.backup.restore.proof import RestoredPlaces
from consumers.postgres.errors import postgres_error
from consumers.registry import sink_named
from deploy.until_done import until_done
from schemas.errors import ConfigurationError
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings, RegistrySettings

ERP, WAREHOUSE = "erp", "warehouse"
"""The sinks whose databases are written anew."""


def new_database(beside: DatabaseSettings, name: str, *, may_exist: bool = False) -> DatabaseSettings:
    """A database on the server of another one.

    Raises:
        ConfigurationError: it exists, or the role may not create it.
        Transient: the server is away.
    """
    doing = f"making the database {name} at {beside.host}:{beside.port}"
    try:
        with closing(psycopg.connect(beside.conninfo(connect_timeout="10"), autocommit=True)) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.errors.DuplicateDatabase as exc:
        if not may_exist:
            raise ConfigurationError(
                f"{doing}: it exists, and a restore writes to new databases only; choose another --prefix, or go on "
                "with --resume where an earlier attempt of the same restore was interrupted"
            ) from exc
    except psycopg.Error as exc:
        raise postgres_error(exc, doing) from exc
    return beside.model_copy(update={"dbname": name})


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """Which restored topics become which databases."""

    places: RestoredPlaces
    registry: RegistrySettings
    data_dir: Path

    def run(self) -> None:
        """Let each sink do all that its topics hold.

        Called after the topics were restored. Exactly once, as the sinks always are: called again after an
        interruption it goes on.

        Raises:
            OrdersyncError: what a sink raised.
        """
        databases = {ERP: self.places.erp, WAREHOUSE: self.places.ledger}
        stops = {name: Event() for name in databases}
        # Side by side: while one shapes rows, the other's database writes.
        with ThreadPoolExecutor(len(databases), thread_name_prefix="rebuilding") as pool:
            following = [pool.submit(self._follow, name, databases[name], stops[name]) for name in databases]
            try:
                for one in as_completed(following):
                    one.result()
            except BaseException:
                for stop in stops.values():
                    stop.set()
                raise

    def _follow(self, name: str, database: DatabaseSettings, stop: Event) -> None:
        definition, places = sink_named(name), self.places
        settings = definition.settings(
            kafka=places.kafka,
            registry=self.registry,
            database=database,
            data_dir=self.data_dir / name,
            topic_prefix=places.prefix,
            group_id=f"{places.prefix}ordersync-restore-{name}",
        )
        with closing(SchemaRegistry(self.registry)) as schemas:
            runner = definition.runner(settings, schemas, CollectorRegistry())
            with until_done(runner, places.kafka, stop):
                runner.run(stop)

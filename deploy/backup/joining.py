"""Joins restored servers of ERP and ledger to restored topics: one position for all, proved."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

import psycopg

from consumers.backup.restore.cut import Cut
from consumers.backup.restore.joining import PositionsInRestore
from consumers.backup.restore.proof import Proof, RestoredPlaces, posted_in, prove
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.restoration import require_reach
from consumers.backup.restore.target import RestoreTarget
from consumers.postgres.database import Rows
from consumers.postgres.errors import postgres_error
from consumers.postgres.positions import all_positions, replace_positions
from consumers.sink import Partition
from deploy.backup.rebuilding import ERP, WAREHOUSE, Rebuilding
from deploy.commands.options import Cluster
from schemas.errors import BackupRefused, ConfigurationError
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings, WorkerSettings
from schemas.topics import CATALOGUE

_ENDING_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
_JOINED = """
CREATE TABLE IF NOT EXISTS sink_join (
    sink text PRIMARY KEY, topic_prefix text NOT NULL, moment timestamptz NOT NULL
)
"""
_IS_USED = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
_IS_JOINED = "SELECT 1 FROM sink_join WHERE sink = %s AND topic_prefix = %s AND moment = %s"
_NOTE = """
INSERT INTO sink_join (sink, topic_prefix, moment) VALUES (%s, %s, %s)
ON CONFLICT (sink) DO UPDATE SET topic_prefix = excluded.topic_prefix, moment = excluded.moment
"""


class RestoredServers(WorkerSettings):
    """The databases that a server's own backup gave; not those in use, which no restore changes."""

    restored_erp: DatabaseSettings
    restored_ledger: DatabaseSettings


@dataclass(frozen=True, slots=True)
class Joining:
    """Topics that were restored to a moment under a prefix, and databases that were restored to it or before."""

    reader: ArchiveReader
    cluster: Cluster
    at: datetime
    prefix: str

    def run(self, servers: RestoredServers, told: Callable[[str], None] = lambda _: None) -> Proof:
        """Let the sinks of both databases go on in the restored topics, to their ends, and prove that all agree.

        Called again after an interruption it goes on: each database's positions are exchanged in one transaction,
        which also notes that it was done.

        Raises:
            ConfigurationError: the topics are not those of the moment, or a database is in use, or restored to later.
            BackupRefused: state, ERP, ledger and archive do not agree.
            OrdersyncError: a server or a sink failed.
        """
        require_reach(self.reader, self.at)
        cut = Cut(self.reader, self.at)
        positions = PositionsInRestore(self.reader, cut)
        erp, ledger = servers.restored_erp, servers.restored_ledger
        for sink, database in ((ERP, erp), (WAREHOUSE, ledger)):
            told(f"placing {sink} in the restored topics")
            self._place(sink, database, positions)
        places = RestoredPlaces(self.cluster.kafka, erp, ledger, self.prefix)
        told("following the topics to their ends")
        with tempfile.TemporaryDirectory(prefix="ordersync-join-") as scratch:
            Rebuilding(places, self.cluster.registry, Path(scratch)).run()
        told("comparing state, ERP, ledger and archive")
        with closing(SchemaRegistry(self.cluster.registry)) as schemas:
            proof = prove(places, schemas, posted_in(self.reader, cut))
        if proof.faults:
            raise BackupRefused(
                f"{erp.dbname} and {ledger.dbname} do not agree with the restored topics: {'; '.join(proof.faults)}",
                reason="restore_differs",
            )
        return proof

    def _place(self, sink: str, database: DatabaseSettings, positions: PositionsInRestore) -> None:
        conninfo = database.conninfo(application_name="ordersync join", connect_timeout="10")
        try:
            with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
                if cursor.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
                    raise ConfigurationError(
                        f"the server of {database.dbname} still replays its log; wait until it has opened"
                    )
                _require_unused(cursor, sink, database.dbname)
                cursor.execute(_JOINED)
                if cursor.execute(_IS_JOINED, (sink, self.prefix, self.at)).fetchone() is not None:
                    return
                held = {_catalogued(place): offset for place, offset in all_positions(cursor, sink).items()}
                if not held:
                    raise ConfigurationError(f"{database.dbname} holds no position of the sink {sink}: which was it?")
                found = positions.translated(held)
                self._require_topics(positions, list(held))
                replace_positions(cursor, sink, {self._named(place): offset for place, offset in found.items()})
                cursor.execute(_NOTE, (sink, self.prefix, self.at))
        except psycopg.Error as exc:
            raise postgres_error(exc, f"joining {database.dbname} to the restored topics") from exc

    def _named(self, place: Partition) -> Partition:
        return Partition(self.prefix + place.topic, place.number)

    def _require_topics(self, positions: PositionsInRestore, partitions: list[Partition]) -> None:
        for place, end in RestoreTarget(self.cluster.kafka, self.prefix).ends(partitions).items():
            if (wanted := positions.size(place)) != end:
                raise ConfigurationError(
                    f"{self.prefix}{place.topic}/{place.number} has {end} records, of {self.at.isoformat()} are "
                    f"{wanted}: restore the topics first, with the same --at and --prefix, and start no worker on them"
                )


def _require_unused(cursor: Rows, sink: str, dbname: str) -> None:
    """Refuse a database that a worker writes to; one that has just ended is still there for a moment."""
    deadline = monotonic() + _ENDING_SECONDS
    while cursor.execute(_IS_USED, (f"ordersync {sink}",)).fetchone() is not None:
        if monotonic() > deadline:
            raise ConfigurationError(
                f"a worker {sink} is connected to {dbname}: stop it, or name the restored database"
            )
        sleep(_PAUSE_SECONDS)
        # Else the whole transaction sees the sessions of its first look.
        cursor.execute("SELECT pg_stat_clear_snapshot()")


def _catalogued(place: Partition) -> Partition:
    """The partition under its topic's name in the catalogue, whatever prefix the installation had."""
    names = [name for name in CATALOGUE if place.topic == name or place.topic.endswith(f".{name}")]
    if not names:
        raise ConfigurationError(f"a sink's position is of {place.topic}, which is no topic of the catalogue")
    return Partition(max(names, key=len), place.number)

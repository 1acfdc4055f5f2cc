"""A restore into new topics and new databases of running servers, at one position and proved to be so."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from consumers.backup.restore.cut import Cut
from consumers.backup.restore.proof import Proof, RestoredPlaces, posted_in, prove
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.restoration import Restoration, Restored, RestoredPartition, RestorePlan
from consumers.backup.restore.target import RestoreTarget
from consumers.backup.vault.catalogue import Catalogue
from deploy.backup.rebuilding import ERP, WAREHOUSE, Rebuilding, new_database
from deploy.commands.options import Cluster
from schemas.errors import BackupRefused, ConfigurationError
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings, KafkaSettings, WorkerSettings


class DatabaseServers(WorkerSettings):
    """A database on each server that ERP and ledger are to be restored on."""

    erp: DatabaseSettings
    ledger: DatabaseSettings

    @classmethod
    def of(cls, home: Path) -> DatabaseServers:
        """ORDERSYNC_ERP__... and ORDERSYNC_LEDGER__..., or those of the stack that runs in `home`.

        Raises:
            ConfigurationError: neither is there.
        """
        if "ORDERSYNC_ERP__DBNAME" in os.environ:
            return cls.load()
        # Only here: the stack's libraries are not installed where only workers run.
        from deploy.demo.landscape import ERP as erp
        from deploy.demo.landscape import LEDGER as ledger
        from deploy.local.stack import EmbeddedStack

        endpoints = EmbeddedStack.find(home)
        if endpoints is None:
            raise ConfigurationError(
                f"no stack runs in {home}: name the servers with ORDERSYNC_ERP__HOST, ORDERSYNC_ERP__DBNAME, "
                "ORDERSYNC_LEDGER__HOST, ORDERSYNC_LEDGER__DBNAME and so on"
            )
        return cls(erp=endpoints.database(erp), ledger=endpoints.database(ledger))


@dataclass(frozen=True, slots=True)
class Restoring:
    """One restore by a person."""

    reader: ArchiveReader
    cluster: Cluster
    plan: RestorePlan

    def topics(self, told: Callable[[RestoredPartition], None]) -> Restored:
        """The topics, proved to the byte. Raises as `Restoration.run`."""
        with closing(SchemaRegistry(self.cluster.registry)) as registry:
            target = RestoreTarget(self.cluster.kafka, self.plan.prefix)
            return Restoration(self.reader, target, registry, self.plan, told).run()

    def databases(self, servers: DatabaseServers) -> tuple[RestoredPlaces, Proof]:
        """ERP and ledger at the position of the restored topics, in new databases.

        Raises:
            ConfigurationError: one of them exists.
            BackupRefused: what was written does not agree with the topics or the archive.
            OrdersyncError: a sink or a server failed.
        """
        plan, kafka = self.plan, self.cluster.kafka
        erp = new_database(servers.erp, _database(plan.prefix, ERP), may_exist=plan.resume)
        ledger = new_database(servers.ledger, _database(plan.prefix, WAREHOUSE), may_exist=plan.resume)
        places = RestoredPlaces(kafka, erp, ledger, plan.prefix)
        with tempfile.TemporaryDirectory(prefix="ordersync-restore-") as scratch:
            Rebuilding(places, self.cluster.registry, Path(scratch)).run()
        with closing(SchemaRegistry(self.cluster.registry)) as schemas:
            proof = prove(places, schemas, posted_in(self.reader, Cut(self.reader, plan.at)))
        if proof.faults:
            raise BackupRefused(
                f"{erp.dbname} and {ledger.dbname} do not agree with the restored topics: {'; '.join(proof.faults)}",
                reason="restore_differs",
            )
        return places, proof


def counted(
    catalogue: Catalogue, topics: Sequence[str], progress: Callable[[str, int, int], None]
) -> Callable[[RestoredPartition], None]:
    """Tells how many records are restored and proved, of those that the backup has of the topics (none for all)."""
    every = catalogue.segments.items()
    total = sum(one.holds.records for place, held in every if not topics or place.topic in topics for one in held)
    done = 0

    def told(partition: RestoredPartition) -> None:
        nonlocal done
        done += partition.records
        progress("records restored", done, total)

    return told


def restored_places(kafka: KafkaSettings, servers: DatabaseServers, prefix: str) -> RestoredPlaces:
    """Where a restore with databases to a prefix is."""
    erp = servers.erp.model_copy(update={"dbname": _database(prefix, ERP)})
    ledger = servers.ledger.model_copy(update={"dbname": _database(prefix, WAREHOUSE)})
    return RestoredPlaces(kafka, erp, ledger, prefix)


def _database(prefix: str, name: str) -> str:
    return f"{prefix}{name}".replace(".", "_").replace("-", "_")

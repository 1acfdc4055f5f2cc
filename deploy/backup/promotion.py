"""Puts a restore into use: its topics keep records as the originals do, its databases take the originals' names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from psycopg import sql

from consumers.backup.restore.proof import RestoredPlaces, prove, trial_balance
from consumers.backup.vault.audit import AuditEntry
from consumers.kafka import kafka_error
from consumers.postgres.errors import postgres_error
from deploy.commands.options import Cluster
from schemas.errors import BackupRefused, ConfigurationError
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings
from schemas.topics import CATALOGUE

STARTED, RESTORED, PROMOTING, PROMOTED = "RestoreStarted", "BackupRestored", "PromotionStarted", "RestorePromoted"
"""Actions of the audit log."""

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Renaming:
    """One database that takes the place of another on the same server."""

    server: DatabaseSettings
    """The database that goes; its server's `postgres` is connected to."""
    restored: str
    aside: str
    """The name that the one that goes gets."""


def require_restored(entries: Iterable[AuditEntry], prefix: str, keyid: str) -> AuditEntry:
    """The end of the last restore to a prefix, which somebody else than `keyid` did.

    Raises:
        ConfigurationError: there is none, it has not ended, or it was promoted already.
    """
    mine = [one for one in entries if one.subject.endswith(f" to {prefix}")]
    told = [one for one in mine if one.action in (STARTED, RESTORED, PROMOTED)]
    if not told or told[-1].action == STARTED:
        why = "no restore" if not told else "no restore that has ended"
        raise ConfigurationError(f"the audit log knows {why} to {prefix!r}; see `backup audit`")
    if told[-1].action == PROMOTED:
        raise ConfigurationError(f"the restore to {prefix!r} was put into use at {told[-1].occurred_at.isoformat()}")
    if told[-1].keyid == keyid:
        raise ConfigurationError("who restored may not put it into use as well: have somebody else look at it")
    return told[-1]


def settle_topics(cluster: Cluster, prefix: str) -> Sequence[str]:
    """Let the restored topics keep records for as long as the catalogue says; gives their names.

    Raises:
        ConfigurationError: there are none.
        Transient: the brokers are away.
    """
    admin, doing = AdminClient(cluster.kafka.client_config()), "setting how long the restored topics keep records"
    try:
        known = admin.list_topics(timeout=_SECONDS).topics
        there = [topic for topic in CATALOGUE if prefix + topic in known]
        if not there:
            raise ConfigurationError(f"the cluster has no topic {prefix}...; was the restore to another prefix?")
        changes = [_kept(prefix + topic, CATALOGUE[topic].config()) for topic in there]
        futures: dict[Any, Any] = admin.incremental_alter_configs(changes, request_timeout=_SECONDS)
        for future in futures.values():
            future.result()
    except KafkaException as exc:
        raise kafka_error(exc, doing) from exc
    return [prefix + topic for topic in there]


def _kept(name: str, config: dict[str, str]) -> ConfigResource:
    value = config.get("retention.ms")
    operation = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    entry = ConfigEntry("retention.ms", value or "", incremental_operation=operation)
    return ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])


def require_agreement(places: RestoredPlaces, cluster: Cluster) -> int:
    """Compare the restored state, ERP and ledger once more; gives how many orders.

    Raises:
        BackupRefused: they do not agree (any more).
    """
    with closing(SchemaRegistry(cluster.registry)) as schemas:
        proof = prove(places, schemas, trial_balance(places.ledger))
    if proof.faults:
        raise BackupRefused(f"the restore is not put into use: {'; '.join(proof.faults)}", reason="restore_differs")
    return proof.orders


def renamings(
    erp: DatabaseSettings, ledger: DatabaseSettings, restored: RestoredPlaces, now: datetime
) -> list[Renaming]:
    """The restored databases in the places of those that are in use."""
    stamp = now.strftime("%Y%m%d_%H%M%S")
    pairs = ((erp, restored.erp), (ledger, restored.ledger))
    return [Renaming(one, other.dbname, f"{one.dbname}_before_{stamp}") for one, other in pairs]


def rename(every: Sequence[Renaming]) -> None:
    """All names of one server in one transaction.

    Raises:
        ConfigurationError: a database does not exist, or the role may not rename it.
        Transient: somebody is still connected to one of them.
    """
    servers = {one.server.conninfo(dbname="postgres", connect_timeout="10"): one.server for one in every}
    for conninfo, server in servers.items():
        mine = [one for one in every if (one.server.host, one.server.port) == (server.host, server.port)]
        told = ", ".join(f"{one.restored} to {one.server.dbname}" for one in mine)
        steps = [step for one in mine for step in ((one.server.dbname, one.aside), (one.restored, one.server.dbname))]
        try:
            with closing(psycopg.connect(conninfo)) as connection, connection.transaction():
                for old, new in steps:
                    words = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                    connection.execute(words.format(sql.Identifier(old), sql.Identifier(new)))
        except psycopg.Error as exc:
            raise postgres_error(exc, f"renaming {told}; its workers must not run meanwhile") from exc

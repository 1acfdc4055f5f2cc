"""The backup that a demonstration leaves in its home, brought up to the ends of the topics."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from consumers.backup.archive.settings import ArchiveSettings, KeeperSettings
from deploy.backup.provisioning import local_backup
from deploy.backup.state import Access, Backup
from deploy.backup.workers import archive_worker, keeper_worker
from deploy.local.endpoints import Endpoints
from tests.integration.backup_world import RunningWorker


def backup_of(home: Path) -> Backup:
    """As a restorer sees it."""
    local = local_backup(home)
    return Access(local.policy, local.root, home / "trusted").load()


def caught_up(stack: Endpoints, home: Path) -> Backup:
    """The backup when archive and keeper have done all: a demonstration that ends does not wait for them."""
    local, metrics, now = local_backup(home), CollectorRegistry(), datetime.now(UTC)
    archive = ArchiveSettings(
        kafka=stack.kafka(),
        registry=stack.registry(),
        policy=local.policy,
        root=local.root,
        creator_key=local.key("creator"),
    )
    keeper = KeeperSettings(
        policy=local.policy,
        root=local.root,
        keeper_key=local.key("keeper"),
        data_dir=home / "workers" / "keeper",
        interval_seconds=0.1,
    )

    def is_complete() -> bool:
        through = backup_of(home).catalogue.complete_through_at
        return through is not None and through >= now

    with (
        RunningWorker(keeper_worker(keeper, metrics), metrics),
        RunningWorker(archive_worker(archive, metrics), metrics) as running,
    ):
        running.until(is_complete, "the backup is complete")
    return backup_of(home)

"""How the workers of the backup are put together from their settings."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry

from consumers.backup.archive.keeping import KeeperWorker
from consumers.backup.archive.settings import ArchiveSettings, KeeperSettings
from consumers.backup.archive.worker import ArchiveWorker
from consumers.backup.policy import Policy
from consumers.backup.vault.creator import Creator
from consumers.backup.vault.keeper import Keeper
from consumers.backup.vault.trust import read_signer
from deploy.backup.options import copies_of, read_file
from deploy.worker_contract import Assembled


def archive() -> Assembled:
    """The creator's process, from the environment."""
    settings = ArchiveSettings.load()
    return Assembled(settings, lambda: archive_worker(settings, REGISTRY))


def archive_worker(settings: ArchiveSettings, registry: CollectorRegistry) -> ArchiveWorker:
    """The creator. Raises `ConfigurationError` where the policy, the root, the key or a copy cannot be used."""
    policy = Policy.read(settings.policy)
    copies = copies_of(policy)
    creator = Creator(policy, copies, read_signer(settings.creator_key), read_file(settings.root, "the root"))
    return ArchiveWorker(settings, policy, copies, creator, registry)


def keeper() -> Assembled:
    """The keeper's process, from the environment."""
    settings = KeeperSettings.load()
    return Assembled(settings, lambda: keeper_worker(settings, REGISTRY))


def keeper_worker(settings: KeeperSettings, registry: CollectorRegistry) -> KeeperWorker:
    """The keeper. Raises `ConfigurationError` as `archive_worker` does."""
    policy = Policy.read(settings.policy)
    copies, root = copies_of(policy), read_file(settings.root, "the root")
    keeper = Keeper(policy, copies, read_signer(settings.keeper_key), root, settings.data_dir / "trusted")
    return KeeperWorker(settings, policy, keeper, registry)

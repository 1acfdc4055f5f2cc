"""The worker `keeper`: proves each new commit and signs it as the newest state, every second or so."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from threading import Event

from prometheus_client import CollectorRegistry, Gauge

from consumers.backup.archive.patience import Patience, StoppedWaiting
from consumers.backup.archive.settings import KeeperSettings
from consumers.backup.policy import Policy
from consumers.backup.vault.drills import Rehearsals
from consumers.backup.vault.keeper import Keeper
from schemas import metrics

NAME = "keeper"
_log = logging.getLogger(__name__)


class KeeperWorker:
    """One at a time; it needs the copies and its own key, neither Kafka nor a database."""

    def __init__(self, settings: KeeperSettings, policy: Policy, keeper: Keeper, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._keeper = keeper
        self._ready = False
        self._metrics = _KeeperMetrics(policy, registry)

    def ready(self) -> bool:
        """Whether it has found the last state that it signed."""
        return self._ready

    def run(self, stop: Event) -> None:
        """Work until `stop` is set.

        Raises:
            BackupRefused: a commit, or the copies, are not what they must be; nothing was signed.
            PositionConflict: another keeper signs too.
        """
        patience = Patience(NAME, stop, self._settings.retry_limit_seconds)
        try:
            patience.until_done(self._keeper.open)
            self._ready = True
            while True:
                now = datetime.now(UTC)
                published = patience.until_done(lambda: self._keeper.publish(datetime.now(UTC)))
                self._metrics.drilled(self._keeper.rehearsals, now)
                if published is not None:
                    self._metrics.published.set(published.head.version)
                    _log.info(
                        "commit %d is the newest, timestamp %d", *(published.head.version, published.timestamp_version)
                    )
                patience.until_done(lambda: self._keeper.remove_expired(datetime.now(UTC)))
                if stop.wait(self._settings.interval_seconds):
                    return
        except StoppedWaiting:
            _log.info("stopped while waiting for the copies")
        finally:
            self._ready = False


class _KeeperMetrics:
    """What one keeper tells."""

    def __init__(self, policy: Policy, registry: CollectorRegistry) -> None:
        self._every_days = policy.drill.every_days
        published = metrics.BACKUP_PUBLISHED_COMMIT
        self.published = Gauge(published.name, published.help, registry=registry)
        drill, overdue = metrics.BACKUP_DRILL_TIMESTAMP_SECONDS, metrics.BACKUP_DRILL_OVERDUE
        self._drill = Gauge(drill.name, drill.help, drill.labels, registry=registry)
        self._overdue = Gauge(overdue.name, overdue.help, registry=registry)

    def drilled(self, rehearsals: Rehearsals, now: datetime) -> None:
        """The state of the drills."""
        for outcome, at in (("passed", rehearsals.passed_at), ("failed", rehearsals.failed_at)):
            self._drill.labels(outcome).set(at.timestamp() if at is not None else 0)
        self._overdue.set(rehearsals.alarm(self._every_days, now) is not None)

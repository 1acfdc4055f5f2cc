"""The worker `lag`: shows how far behind every consumer group of the broker is, and how it does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from threading import Event

from prometheus_client import CollectorRegistry

from deploy.telemetry.lag.metrics import LagMetrics
from deploy.telemetry.lag.monitor import LagMonitor
from deploy.telemetry.lag.report import GroupLag, GroupStanding, LagReport
from deploy.telemetry.lag.trend import TrendSettings
from schemas.errors import Transient
from schemas.settings import WorkerSettings

_log = logging.getLogger(__name__)
_VALID_LOOKS = 3


class LagSettings(WorkerSettings):
    """How the lag worker looks."""

    lag: TrendSettings = TrendSettings()


class LagWorker:
    """Only reads; any number of them may run. It joins no group and commits nothing."""

    def __init__(self, settings: LagSettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._metrics = LagMetrics(registry, _VALID_LOOKS * settings.lag.interval_seconds + settings.lag.unread_seconds)
        self._standings: dict[str, GroupStanding] = {}

    def run(self, stop: Event) -> None:
        """Look once an interval until `stop` is set.

        Raises:
            ConfigurationError: the brokers refuse to tell.
        """
        with closing(LagMonitor(self._settings.kafka, self._settings.lag)) as monitor:
            while not stop.is_set():
                try:
                    report = monitor.look()
                except Transient as exc:
                    _log.warning("%s; looking again in %.1f s", exc, exc.retry_after_seconds)
                    stop.wait(exc.retry_after_seconds)
                    continue
                self._metrics.looked(report)
                self._tell(report)
                stop.wait(self._settings.lag.interval_seconds)

    def ready(self) -> bool:
        """Whether what it shows is current."""
        return self._metrics.current is not None

    def health(self) -> Mapping[str, object]:
        """Every group with its standing, for machines."""
        report = self._metrics.current
        if report is None:
            return {"severity": "warning", "observed_at": None, "groups": []}
        worst = max((one.standing.gravity for one in report.groups), default=0)
        return {
            "severity": "warning" if worst else "fine",
            "observed_at": report.observed_at,
            "groups": [_shown(one) for one in report.groups],
        }

    def _tell(self, report: LagReport) -> None:
        standings = {one.group: one.standing for one in report.groups}
        for group in report.groups:
            if group.standing is not self._standings.get(group.group, GroupStanding.FINE):
                _log.info(
                    "%s is %s: %d records wait, the oldest for %.0f s",
                    group.group,
                    group.standing.value,
                    group.lag_records,
                    group.lag_seconds,
                )
        self._standings = standings


def _shown(group: GroupLag) -> Mapping[str, object]:
    return {
        "group": group.group,
        "standing": group.standing.value,
        "members": group.members,
        "lag_records": group.lag_records,
        "lag_seconds": group.lag_seconds,
    }

"""The latest lag report as metrics; one that has become too old is not shown, for it would look like health."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from time import time

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from deploy.telemetry.lag.report import GroupStanding, LagReport
from schemas import metrics


class LagMetrics(Collector):
    """What `/metrics` of the lag worker shows; `registry` may be asked in any thread."""

    def __init__(self, registry: CollectorRegistry, valid_seconds: float) -> None:
        self._valid_seconds = valid_seconds
        self._lock = Lock()
        self._report: LagReport | None = None
        self._rewinds: dict[str, int] = {}
        self._rewound: set[str] = set()
        registry.register(self)

    @property
    def current(self) -> LagReport | None:
        """The latest report, while it is valid."""
        with self._lock:
            report = self._report
        if report is None or time() - report.observed_at.timestamp() > self._valid_seconds:
            return None
        return report

    def looked(self, report: LagReport) -> None:
        """There is a new report."""
        rewound = {one.group for one in report.groups for part in one.partitions if part.standing is _REWOUND}
        with self._lock:
            self._report = report
            self._rewinds = {one.group: self._rewinds.get(one.group, 0) for one in report.groups}
            for group in rewound - self._rewound:
                self._rewinds[group] += 1
            self._rewound = rewound

    def collect(self) -> Iterable[Metric]:
        """The families, made anew for each scrape."""
        with self._lock:
            latest, rewinds = self._report, dict(self._rewinds)
        observed = metrics.LAG_OBSERVED_TIMESTAMP_SECONDS
        yield GaugeMetricFamily(observed.name, observed.help, latest.observed_at.timestamp() if latest else 0)
        report = self.current
        if report is None:
            return
        yield from _partitions(report)
        yield _standings(report)
        yield _open_transactions(report)
        counted = metrics.CONSUMER_REWINDS_TOTAL
        family = CounterMetricFamily(counted.name, counted.help, labels=counted.labels)
        for group, number in rewinds.items():
            family.add_metric([group], number)
        yield family


_REWOUND = GroupStanding.REWOUND


def _partitions(report: LagReport) -> Iterable[Metric]:
    records, seconds, expired = (
        GaugeMetricFamily(one.name, one.help, labels=one.labels)
        for one in (metrics.CONSUMER_LAG_RECORDS, metrics.CONSUMER_LAG_SECONDS, metrics.CONSUMER_EXPIRED_RECORDS)
    )
    for group in report.groups:
        for part in group.partitions:
            labels = [group.group, part.topic, str(part.partition)]
            records.add_metric(labels, part.lag_records)
            seconds.add_metric(labels, part.lag_seconds)
            expired.add_metric(labels, part.expired_records)
    return records, seconds, expired


def _open_transactions(report: LagReport) -> Metric:
    shown = metrics.OPEN_TRANSACTION_SECONDS
    family = GaugeMetricFamily(shown.name, shown.help, labels=shown.labels)
    for place, seconds in report.open_transactions.items():
        family.add_metric([place.topic, str(place.partition)], seconds)
    return family


def _standings(report: LagReport) -> Metric:
    shown = metrics.CONSUMER_STANDING
    family = GaugeMetricFamily(shown.name, shown.help, labels=shown.labels)
    for group in report.groups:
        for standing in GroupStanding:
            family.add_metric([group.group, standing.value], standing is group.standing)
    return family

"""The instruments of the workers that deliver to vendors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge

from consumers.vendors.deliveries.book import Standing, Unacknowledged
from schemas import metrics
from schemas.metrics import Metric


class DeliveryMetrics:
    """All that one worker of one channel counts; `registry` is what its `/metrics` shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        attempts = metrics.VENDOR_ATTEMPTS_TOTAL
        self._attempts = Counter(attempts.name, attempts.help, attempts.labels, registry=registry)
        self._waiting = _gauge(metrics.VENDOR_WAITING, registry)
        self._oldest = _gauge(metrics.VENDOR_OLDEST_SECONDS, registry)
        self._dead = _gauge(metrics.VENDOR_DEAD_LETTERS, registry)
        self._unacknowledged = _gauge(metrics.VENDOR_UNACKNOWLEDGED, registry)

    def attempted(self, subscriber: str, outcome: str) -> None:
        """A request, or a file, was tried."""
        self._attempts.labels(subscriber, outcome).inc()

    def stands(
        self, labels: Mapping[str, str], standing: Iterable[Standing], missing: Iterable[Unacknowledged]
    ) -> None:
        """What is open now, for every subscriber, each under its label."""
        known = {one.subscriber: one for one in standing}
        late: dict[str, int] = {}
        for one in missing:
            late[one.subscriber] = late.get(one.subscriber, 0) + 1
        for name, label in labels.items():
            found = known.get(name, Standing(name, 0, 0, 0.0))
            self._waiting.labels(label).set(found.waiting)
            self._oldest.labels(label).set(found.oldest_seconds)
            self._dead.labels(label).set(found.dead)
            self._unacknowledged.labels(label).set(late.get(name, 0))

    def forget(self, label: str) -> None:
        """A subscriber is gone: its last numbers must not stand on."""
        for gauge in (self._waiting, self._oldest, self._dead, self._unacknowledged):
            with suppress(KeyError):
                gauge.remove(label)


def _gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)

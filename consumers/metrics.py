"""The instruments of a sink's worker."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas import metrics
from schemas.attributes import Instant
from schemas.metrics import Metric

if TYPE_CHECKING:
    from consumers.sink import Refusal


class SinkMetrics:
    """All that one sink's worker counts; `registry` is what its `/metrics` shows."""

    def __init__(self, sink: str, registry: CollectorRegistry) -> None:
        events = _counter(metrics.EVENTS_TOTAL, registry)
        self._written = events.labels(sink, "written")
        self._refused = events.labels(sink, "refused")
        self._retried = events.labels(sink, "retried")
        self._dead_letters = _counter(metrics.DEAD_LETTERS_TOTAL, registry)
        latency = metrics.EVENT_LATENCY_SECONDS
        self._latency = Histogram(
            latency.name, latency.help, latency.labels, buckets=latency.buckets, registry=registry
        ).labels(sink)
        self._complete_through = _gauge(metrics.COMPLETE_THROUGH_TIMESTAMP_SECONDS, registry).labels(sink)

    def wrote(self, records: int, committed_at: Sequence[Instant]) -> None:
        """A batch became durable just now."""
        self._written.inc(records)
        now = time()
        for committed in committed_at:
            self._latency.observe(now - committed.timestamp())

    def refused(self, refused: Sequence[Refusal]) -> None:
        """Records went to the dead letters."""
        self._refused.inc(len(refused))
        for refusal in refused:
            self._dead_letters.labels(refusal.error.rule).inc()

    def retried(self, records: int) -> None:
        """A batch of so many records waits for its next attempt."""
        self._retried.inc(records)

    def complete_through(self, seconds: float) -> None:
        """Everything up to this time, seconds since 1970, is durable."""
        self._complete_through.set(seconds)


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def _gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)

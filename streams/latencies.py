"""The histogram of a stage's latencies, counted batch by batch: prometheus_client's own costs as much as the codec."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas import metrics


class Latencies(Collector):
    """What `/metrics` shows of `EVENT_LATENCY_SECONDS` for one stage; the handler counts, the server's thread asks."""

    def __init__(self, stage: str, registry: CollectorRegistry = REGISTRY) -> None:
        self._stage = stage
        self._bounds = [(bound, round(bound * 1_000_000)) for bound in metrics.EVENT_LATENCY_SECONDS.buckets]
        self._within = [0] * len(self._bounds)
        self._count = 0
        self._micros = 0
        self._lock = threading.Lock()
        registry.register(self)

    def count(self, committed_at: Collection[int], now: int) -> None:
        """Count the events that the source committed at these times and that are done now, all in microseconds."""
        ordered = sorted(committed_at)
        micros = len(ordered) * now - sum(ordered)
        # Clocks differ: what was committed after now took no time.
        micros += sum(at - now for at in ordered[bisect_right(ordered, now) :])
        with self._lock:
            for place, (_, bound) in enumerate(self._bounds):
                self._within[place] += len(ordered) - bisect_left(ordered, now - bound)
            self._count += len(ordered)
            self._micros += micros

    def collect(self) -> Iterable[Metric]:
        """What `/metrics` shows."""
        instrument = metrics.EVENT_LATENCY_SECONDS
        family = HistogramMetricFamily(instrument.name, instrument.help, labels=instrument.labels)
        with self._lock:
            buckets = [(str(float(bound)), float(n)) for (bound, _), n in zip(self._bounds, self._within, strict=True)]
            family.add_metric([self._stage], [*buckets, ("+Inf", self._count)], self._micros / 1_000_000)
        yield family

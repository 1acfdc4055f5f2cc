"""Takes Kafka's answers: counts a checkpoint's outstanding events down, and how long each event took from its commit.

There is one answer for each event, so this is done natively where that is built (`native/deliveries.c`).
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from math import isnan, nan
from typing import Any, Protocol

from confluent_kafka import KafkaError, Message
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from producers.cdc.native import extension
from schemas import metrics

Answered = Callable[[KafkaError | None, Message], None]
"""What the producer calls once for each record: with the error, or without one when the brokers have it."""


class Counting(Protocol):
    """Something that waits for answers; a `__slots__` member, so that native code finds it."""

    outstanding: int


class Tally:
    """How many events took how long, by bucket; what `_capture.Tally` is natively."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one event."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def snapshot(self) -> tuple[list[int], float]:
        """The counts of the buckets, the last without bound, and the sum of all."""
        return list(self._counts), self._sum


class Latencies(Collector):
    """The histogram of one stage's latencies, fed by the callbacks it makes."""

    def __init__(self, instrument: metrics.Metric, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._instrument = instrument
        self._labels = tuple(labels)
        self._bounds = tuple(float(bound) for bound in instrument.buckets)
        native = extension()
        self._tally: Any = Tally(self._bounds) if native is None else native.Tally(self._bounds)
        self._delivery: Callable[..., Answered] = _Delivery if native is None else native.Delivery
        registry.register(self)

    def callback(
        self, checkpoint: Counting, committed_at: datetime | None, failed: Callable[[KafkaError, Message], None]
    ) -> Answered:
        """For events that were all committed at that time; without one their latency is not counted."""
        committed = nan if committed_at is None else committed_at.timestamp()
        return self._delivery(self._tally, failed, checkpoint, committed)

    def collect(self) -> Iterable[Metric]:
        """What `/metrics` shows."""
        counts, total = self._tally.snapshot()
        family = HistogramMetricFamily(self._instrument.name, self._instrument.help, labels=self._instrument.labels)
        buckets, count = [], 0
        for bound, more in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
            count += more
            buckets.append((bound, count))
        family.add_metric(self._labels, buckets, total)
        yield family


class _Delivery:
    __slots__ = ("_checkpoint", "_committed", "_failed", "_tally")

    def __init__(
        self,
        tally: Tally,
        failed: Callable[[KafkaError, Message], None],
        checkpoint: Counting,
        committed: float,
    ) -> None:
        self._tally = tally
        self._failed = failed
        self._checkpoint = checkpoint
        self._committed = committed

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed(error, message)
            return
        if not isnan(self._committed):
            self._tally.observe(time.time() - self._committed)
        self._checkpoint.outstanding -= 1

"""What a capture worker counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from producers.cdc.deliveries import Latencies
from producers.cdc.facts import Outcome, Refused, Stated, Withdrawn
from producers.cdc.records import STAGE
from schemas import metrics


class _EventCounts(Collector):
    """The events by outcome, as plain numbers until somebody asks: there are tens of thousands a second."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.written = self.deleted = self.refused = 0
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """What `/metrics` shows."""
        total = metrics.EVENTS_TOTAL
        family = CounterMetricFamily(total.name, total.help, labels=total.labels)
        for outcome, count in (("written", self.written), ("deleted", self.deleted), ("refused", self.refused)):
            family.add_metric([STAGE, outcome], count)
        yield family


class CaptureMetrics:
    """The instruments of one capture; `registry` is what its `/metrics` shows."""

    def __init__(self, slot: str, registry: CollectorRegistry) -> None:
        self._events = _EventCounts(registry)
        self._dead_letters = _counter(metrics.DEAD_LETTERS_TOTAL, registry)
        self.latencies = Latencies(metrics.EVENT_LATENCY_SECONDS, [STAGE], registry)
        self._retained = _gauge(metrics.REPLICATION_SLOT_RETAINED_BYTES, registry).labels(slot)
        self._safe = _gauge(metrics.REPLICATION_SLOT_SAFE_BYTES, registry)
        self._present = _gauge(metrics.REPLICATION_SLOT_PRESENT, registry)
        self._slot = slot
        self._reread = _counter(metrics.CAPTURE_REREAD_ROWS_TOTAL, registry)
        self._rereading = _gauge(metrics.CAPTURE_REREADING, registry)
        self._stopped = _gauge(metrics.CAPTURE_STOPPED, registry)
        self._stopped_tables: set[str] = set()
        self._gaps = _counter(metrics.CAPTURE_GAPS_TOTAL, registry)

    def stated(self, events: int) -> None:
        """So many events about what is there were handed to Kafka."""
        self._events.written += events

    def counted(self, outcomes: Sequence[Outcome]) -> None:
        """A transaction's outcomes were handed to Kafka."""
        events = self._events
        for outcome in outcomes:
            if outcome.__class__ is Stated:
                events.written += 1
            elif outcome.__class__ is Withdrawn:
                events.deleted += 1
            else:
                self._refusal(outcome)

    def _refusal(self, outcome: Outcome) -> None:
        assert isinstance(outcome, Refused)
        self._events.refused += 1
        for reason in outcome.reasons:
            self._dead_letters.labels(reason.rule).inc()

    def slot(self, retained_bytes: int, safe_bytes: int | None, *, present: bool) -> None:
        """Whether the source can serve the slot, the log that it keeps for it, and how much more it may write."""
        # Before the first look nothing is known, and 0 would be an alarm.
        self._present.labels(self._slot).set(present)
        self._retained.set(retained_bytes)
        if safe_bytes is not None:
            self._safe.labels(self._slot).set(safe_bytes)

    def reread(self, rows: int) -> None:
        """So many rows were read again."""
        self._reread.inc(rows)

    def rereading(self, table: str, now: bool) -> None:
        """Whether a root table is being read again."""
        self._rereading.labels(table).set(now)

    def stopped(self, tables: Collection[str]) -> None:
        """Nothing is captured of these root tables."""
        for table in self._stopped_tables - set(tables):
            self._stopped.labels(table).set(0)
        self._stopped_tables |= set(tables)
        for table in tables:
            self._stopped.labels(table).set(1)

    def gap(self) -> None:
        """The slot was lost; everything is read again."""
        self._gaps.inc()


def _counter(metric: metrics.Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def _gauge(metric: metrics.Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)

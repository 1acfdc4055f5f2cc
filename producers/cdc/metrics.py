"""What a capture worker counts."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from producers.cdc.facts import Outcome, Refused, Withdrawn
from producers.cdc.records import STAGE
from schemas import metrics


class CaptureMetrics:
    """The instruments of one capture; `registry` is what its `/metrics` shows."""

    def __init__(self, slot: str, registry: CollectorRegistry) -> None:
        events = Counter(
            metrics.EVENTS_TOTAL.name, metrics.EVENTS_TOTAL.help, metrics.EVENTS_TOTAL.labels, registry=registry
        )
        self._stated = events.labels(STAGE, "written")
        self._withdrawn = events.labels(STAGE, "deleted")
        self._refused = events.labels(STAGE, "refused")
        self._dead_letters = Counter(
            metrics.DEAD_LETTERS_TOTAL.name,
            metrics.DEAD_LETTERS_TOTAL.help,
            metrics.DEAD_LETTERS_TOTAL.labels,
            registry=registry,
        )
        latency = metrics.EVENT_LATENCY_SECONDS
        self._latency = Histogram(
            latency.name, latency.help, latency.labels, buckets=latency.buckets, registry=registry
        ).labels(STAGE)
        retained = metrics.REPLICATION_SLOT_RETAINED_BYTES
        self._retained = Gauge(retained.name, retained.help, retained.labels, registry=registry).labels(slot)

    def counted(self, outcomes: Sequence[Outcome]) -> None:
        """A transaction's outcomes were handed to Kafka."""
        refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
        withdrawn = sum(isinstance(outcome, Withdrawn) for outcome in outcomes)
        self._stated.inc(len(outcomes) - len(refused) - withdrawn)
        if withdrawn:
            self._withdrawn.inc(withdrawn)
        if refused:
            self._refused.inc(len(refused))
        for outcome in refused:
            for reason in outcome.reasons:
                self._dead_letters.labels(reason.rule).inc()

    def acknowledged(self, seconds: float) -> None:
        """Kafka acknowledged an event so long after its source committed."""
        self._latency.observe(max(0.0, seconds))

    def retained(self, size: int) -> None:
        """The source keeps so many bytes of log for the slot."""
        self._retained.set(size)

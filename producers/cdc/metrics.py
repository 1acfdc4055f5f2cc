"""What a capture worker counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from producers.cdc.deliveries import Latencies
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
        self.latencies = Latencies(metrics.EVENT_LATENCY_SECONDS, [STAGE], registry)
        retained = metrics.REPLICATION_SLOT_RETAINED_BYTES
        self._retained = Gauge(retained.name, retained.help, retained.labels, registry=registry).labels(slot)
        self._safe = Gauge(
            "ordersync_replication_slot_safe_bytes",
            "Log that the source may still write before it may invalidate the slot; absent without a limit",
            ("slot",),
            registry=registry,
        )
        self._slot = slot
        self._reread = Counter(
            "ordersync_capture_reread_rows_total",
            "Rows read again from the source, by snapshot or resync",
            registry=registry,
        )
        self._rereading = Gauge(
            "ordersync_capture_rereading",
            "1 while the aggregates of this root table are read again",
            ("table",),
            registry=registry,
        )
        self._stopped = Gauge(
            "ordersync_capture_stopped",
            "1 while nothing is captured of this root table, because the source no longer fits the mapping",
            ("table",),
            registry=registry,
        )
        self._stopped_tables: set[str] = set()
        self._gaps = Counter(
            "ordersync_capture_gaps_total",
            "Slots that were lost, dropped or recreated, answered by reading again",
            registry=registry,
        )

    def counted(self, outcomes: Sequence[Outcome]) -> None:
        """A transaction's outcomes were handed to Kafka."""
        refused = [outcome for outcome in outcomes if outcome.__class__ is Refused]
        withdrawn = sum(outcome.__class__ is Withdrawn for outcome in outcomes)
        self._stated.inc(len(outcomes) - len(refused) - withdrawn)
        if withdrawn:
            self._withdrawn.inc(withdrawn)
        if refused:
            self._refused.inc(len(refused))
        for outcome in refused:
            for reason in outcome.reasons:
                self._dead_letters.labels(reason.rule).inc()

    def slot(self, retained_bytes: int, safe_bytes: int | None) -> None:
        """Log that the source keeps for the slot, and how much more it may write before it gives the slot up."""
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

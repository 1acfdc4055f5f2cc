"""The instruments of the reconciliation's worker."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from prometheus_client import CollectorRegistry, Counter, Gauge

from consumers.reconcile.comparison import ERP, LEDGER, STATE
from consumers.reconcile.open_mismatches import OpenMismatches
from schemas import metrics
from schemas.metrics import Metric

STEADY, FULL, SOURCE = "steady", "full", "source"
"""The kinds of rounds: what changed, all rows of the sinks, all rows of the sources."""


class ReconcileMetrics:
    """All that the worker counts; `registry` is what its `/metrics` shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rounds = Counter(
            metrics.RECONCILE_ROUNDS_TOTAL.name,
            metrics.RECONCILE_ROUNDS_TOTAL.help,
            metrics.RECONCILE_ROUNDS_TOTAL.labels,
            registry=registry,
        )
        self._seconds = _gauge(metrics.RECONCILE_ROUND_SECONDS, registry)
        self._reconciled_at = _gauge(metrics.RECONCILED_TIMESTAMP_SECONDS, registry)
        self._orders = _gauge(metrics.RECONCILED_ORDERS, registry)
        self._waiting = _gauge(metrics.RECONCILE_WAITING_ORDERS, registry)
        self._on_the_way = _gauge(metrics.ORDERS_ON_THE_WAY, registry)
        self._mismatches = _gauge(metrics.MISMATCHES, registry)
        self._amounts = _gauge(metrics.MISMATCH_AMOUNT, registry)
        self._causes = _gauge(metrics.MISMATCH_CAUSES, registry)
        self._complete_through = _gauge(metrics.SINK_COMPLETE_THROUGH_TIMESTAMP_SECONDS, registry)
        self._imbalance = _gauge(metrics.LEDGER_IMBALANCE, registry)
        for kind in (STEADY, FULL, SOURCE):
            self._reconciled_at.labels(kind).set(0)
        for system in (STATE, ERP, LEDGER):
            self._on_the_way.labels(system).set(0)

    def done(self, kind: str, started_at: float, seconds: float) -> None:
        """A round of that kind was done."""
        self._rounds.labels(kind, "done").inc()
        self._seconds.labels(kind).set(seconds)
        self._reconciled_at.labels(kind).set(started_at)

    def failed(self, kind: str) -> None:
        """A round was not done, for its environment was away."""
        self._rounds.labels(kind, "failed").inc()

    def orders(self, known: int, waiting: int, on_the_way: Mapping[str, int]) -> None:
        """How many orders there are, and how many are still to be compared or need not be there yet."""
        self._orders.set(known)
        self._waiting.set(waiting)
        for system, orders in on_the_way.items():
            self._on_the_way.labels(system).set(orders)

    def complete_through(self, system: str, seconds: float) -> None:
        """Everything up to this time is in the system."""
        self._complete_through.labels(system).set(seconds)

    def imbalance(self, amounts: Mapping[str, Decimal]) -> None:
        """Debits less credits by currency."""
        for currency, amount in amounts.items():
            self._imbalance.labels(currency).set(float(amount))

    def open(self, mismatches: OpenMismatches) -> None:
        """What stands open now; what has healed shows as 0 no more, but not at all."""
        for gauge in (self._mismatches, self._amounts, self._causes):
            gauge.clear()
        for (system, kind), count in mismatches.counts().items():
            self._mismatches.labels(system, kind).set(count)
        for (system, currency), amount in mismatches.amounts().items():
            self._amounts.labels(system, currency).set(float(amount))
        for cause, count in mismatches.causes().items():
            self._causes.labels(cause).set(count)


def _gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)

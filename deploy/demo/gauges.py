"""What the workers of this machine say about themselves on `/metrics`, added up for a person who watches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.landscape import LocalWorker
from schemas import metrics

_TIMEOUT_SECONDS = 2.0


Buckets = Mapping[float, float]
"""Cumulative count of events by upper bound in seconds."""


@dataclass(frozen=True, slots=True)
class WorkerGauges:
    """One worker at one moment; empty where it does not answer."""

    name: str
    answers: bool = False
    ready: bool = False
    outcomes: Mapping[str, float] = field(default_factory=dict)
    """Events so far, by outcome."""
    parked: float = 0
    latency_buckets: Buckets = field(default_factory=dict)
    """From the commit in the source to the worker's durable effect."""

    @property
    def events(self) -> float:
        """Events handled so far."""
        return sum(self.outcomes.values())


class GaugeReader:
    """Asks all workers at once; used by one thread."""

    def __init__(self, workers: Iterable[LocalWorker]) -> None:
        self._workers = list(workers)
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False)
        self._pool = ThreadPoolExecutor(max(1, len(self._workers)), thread_name_prefix="gauges")

    def read(self) -> dict[str, WorkerGauges]:
        """Each worker by name, asked now."""
        return {gauges.name: gauges for gauges in self._pool.map(self._ask, self._workers)}

    def close(self) -> None:
        """Give the connections back."""
        self._pool.shutdown()
        self._client.close()

    def _ask(self, worker: LocalWorker) -> WorkerGauges:
        address = f"http://127.0.0.1:{worker.metrics_port}"
        try:
            ready = self._client.get(f"{address}/health/ready").is_success
            text = self._client.get(f"{address}/metrics").text
        except httpx.TransportError:
            return WorkerGauges(worker.name)
        return gauges_of(worker.name, ready, text)


def gauges_of(name: str, ready: bool, text: str) -> WorkerGauges:
    """The gauges in the text that a worker serves on `/metrics`."""
    outcomes: dict[str, float] = {}
    buckets: dict[float, float] = {}
    parked = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == metrics.EVENTS_TOTAL.name:
                outcome = sample.labels["outcome"]
                outcomes[outcome] = outcomes.get(outcome, 0) + sample.value
            elif sample.name == metrics.PARKED_ORDERS.name:
                parked += sample.value
            elif sample.name == f"{metrics.EVENT_LATENCY_SECONDS.name}_bucket":
                bound = float(sample.labels["le"])
                buckets[bound] = buckets.get(bound, 0) + sample.value
    return WorkerGauges(name, True, ready, outcomes, parked, buckets)


def quantile(buckets: Buckets, share: float, since: Buckets | None = None) -> float | None:
    """The latency in seconds below which `share` of the events lie, as Prometheus' `histogram_quantile` reckons it.

    `since` holds the buckets at the beginning of the time in question. None where nothing was counted.
    """
    counts = {bound: count - (since or {}).get(bound, 0) for bound, count in sorted(buckets.items())}
    total = max(counts.values(), default=0)
    if total <= 0:
        return None
    wanted, lower, below = share * total, 0.0, 0.0
    for bound, count in counts.items():
        if count >= wanted:
            # Beyond the last finite bound nothing more is known.
            return lower if bound == float("inf") else lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return lower

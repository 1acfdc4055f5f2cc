"""What the stream processor counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import Counter, Gauge

from schemas import metrics
from schemas.codec.scalars import datetime_to_micros
from streams.latencies import Latencies
from streams.processing.processor import Outcome
from streams.processing.waiting import WaitingRoom

STAGE = "streams"

_EVENTS = Counter(metrics.EVENTS_TOTAL.name, metrics.EVENTS_TOTAL.help, metrics.EVENTS_TOTAL.labels)
for _outcome in ("accepted", "superseded", "parked", "released", "rejected"):
    # From the start, so that the first of a kind is an increase, and an alert sees it.
    _EVENTS.labels(STAGE, _outcome)
_LATENCIES = Latencies(STAGE)
_DEAD_LETTERS = Counter(
    metrics.DEAD_LETTERS_TOTAL.name, metrics.DEAD_LETTERS_TOTAL.help, metrics.DEAD_LETTERS_TOTAL.labels
)
PARKED_ORDERS = Gauge(metrics.PARKED_ORDERS.name, metrics.PARKED_ORDERS.help)
PARKED_OLDEST = Gauge(metrics.PARKED_OLDEST_TIMESTAMP_SECONDS.name, metrics.PARKED_OLDEST_TIMESTAMP_SECONDS.help)
STATE_RECORDS_TO_LOAD = Gauge(metrics.STATE_RECORDS_TO_LOAD.name, metrics.STATE_RECORDS_TO_LOAD.help)


def parked(waiting: Iterable[WaitingRoom]) -> None:
    """How many orders wait in these partitions, and since when; called when they come and with each look at them."""
    rooms = list(waiting)
    PARKED_ORDERS.set(sum(map(len, rooms)))
    since = min(filter(None, (room.parked_since for room in rooms)), default=None)
    PARKED_OLDEST.set(0 if since is None else since.timestamp())


def count(outcome: Outcome, now: datetime) -> None:
    """Count what was written; called with the outputs in the transaction."""
    for name, number in outcome.outcomes.items():
        _EVENTS.labels(STAGE, name).inc(number)
    for rule, number in outcome.violated.items():
        _DEAD_LETTERS.labels(rule).inc(number)
    if outcome.committed_at:
        _LATENCIES.count(outcome.committed_at, datetime_to_micros(now))

"""Reports the time through which a sink is complete, at most once a second."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, time

from confluent_kafka import Message

from consumers.intake import Intake
from consumers.metrics import SinkMetrics
from consumers.sink import Partition, place_of

_INTERVAL_SECONDS = 1.0
_PROBE_SECONDS = 0.5


class Completeness:
    """Sets the time up to which everything on the sink's topics has its durable effect.

    A partition whose end was reached is complete through now, while the brokers answer; any other through the
    timestamp of the last record handled. The sink is as complete as its least complete partition. How far the group is
    behind is measured from the broker, by the worker `lag`.
    """

    def __init__(self, intake: Intake, metrics: SinkMetrics) -> None:
        self._intake = intake
        self._metrics = metrics
        self._handled_at: dict[Partition, float] = {}
        self._next_report = 0.0

    def handled(self, messages: Sequence[Message]) -> None:
        """These records are durable."""
        for message in messages:
            self._handled_at[place_of(message)[0]] = message.timestamp()[1] / 1000

    def report(self) -> None:
        """Set the gauge, where the last time was long enough ago."""
        if monotonic() < self._next_report:
            return
        self._next_report = monotonic() + _INTERVAL_SECONDS
        if not self._intake.reachable:
            self._intake.probe(_PROBE_SECONDS)
        positions = self._intake.positions
        for partition in self._handled_at.keys() - positions.keys():
            del self._handled_at[partition]
        complete = [self._complete_through(partition, position or 0) for partition, position in positions.items()]
        if complete and all(complete):
            self._metrics.complete_through(min(complete))

    def _complete_through(self, partition: Partition, position: int) -> float:
        high = self._intake.high_watermark(partition)
        end = self._intake.ends.get(partition)
        handled_at = self._handled_at.get(partition, 0.0)
        if end is not None and end >= max(position, high or 0):
            return time() if self._intake.reachable else handled_at
        return handled_at

"""Reports how far a sink is behind, at most once a second."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, time

from confluent_kafka import Message

from consumers.intake import Intake
from consumers.metrics import SinkMetrics
from consumers.sink import Partition, place_of

_INTERVAL_SECONDS = 1.0
_PROBE_SECONDS = 0.5


class LagReporter:
    """Sets the lag of each partition and the time through which the sink is complete.

    A partition whose end was reached is complete through now, while the brokers answer; any other through the
    timestamp of the last record handled. The sink is as complete as its least complete partition.
    """

    def __init__(self, intake: Intake, metrics: SinkMetrics) -> None:
        self._intake = intake
        self._metrics = metrics
        self._handled_at: dict[Partition, float] = {}
        self._shown: set[Partition] = set()
        self._next_report = 0.0

    def handled(self, messages: Sequence[Message]) -> None:
        """These records are durable."""
        for message in messages:
            self._handled_at[place_of(message)[0]] = message.timestamp()[1] / 1000

    def report(self) -> None:
        """Set the gauges, where the last time was long enough ago."""
        if monotonic() < self._next_report:
            return
        self._next_report = monotonic() + _INTERVAL_SECONDS
        if not self._intake.reachable:
            self._intake.probe(_PROBE_SECONDS)
        partitions = self._intake.positions
        for partition in self._shown - partitions.keys():
            self._metrics.forget(partition)
            self._handled_at.pop(partition, None)
        self._shown = set(partitions)
        complete = [self._complete_through(partition, position or 0) for partition, position in partitions.items()]
        if complete and all(complete):
            self._metrics.complete_through(min(complete))

    def _complete_through(self, partition: Partition, position: int) -> float:
        high = self._intake.high_watermark(partition)
        end = self._intake.ends.get(partition)
        handled_at = self._handled_at.get(partition, 0.0)
        if end is not None and end >= max(position, high or 0):
            self._metrics.lag(partition, 0, 0.0)
            return time() if self._intake.reachable else handled_at
        if high is not None:
            self._metrics.lag(partition, max(0, high - position), time() - handled_at if handled_at else 0.0)
        return handled_at

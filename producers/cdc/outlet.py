"""Where outcomes leave the capture: encoded, counted, handed to Kafka; what cannot be encoded becomes a rejection."""

from __future__ import annotations

from dataclasses import dataclass

from producers.cdc.aggregates import NodeId
from producers.cdc.facts import FactBuilder, Outcome, Refused
from producers.cdc.metrics import CaptureMetrics
from producers.cdc.publisher import Delivered, Publisher
from producers.cdc.records import Moment, RecordWriter
from schemas.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Outlet:
    """The way of one attempt's outcomes to Kafka."""

    facts: FactBuilder
    records: RecordWriter
    publisher: Publisher
    metrics: CaptureMetrics

    def publish(self, outcome: Outcome, moment: Moment, sequence: int, root: NodeId, delivered: Delivered) -> None:
        """Hand one outcome about `root` to Kafka; `delivered` is called once the brokers have it.

        Raises as `Publisher.publish` does.
        """
        try:
            record = self.records.record(outcome, moment, sequence)
        except InvalidValue as exc:
            if isinstance(outcome, Refused):
                raise
            outcome = self.facts.refusal(root, outcome, exc)
            record = self.records.record(outcome, moment, sequence)
        self.publisher.publish(record, delivered)
        self.metrics.counted(outcome)

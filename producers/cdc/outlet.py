"""Where outcomes leave the capture: encoded, counted, handed to Kafka; what cannot be encoded becomes a rejection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from producers.cdc.aggregates import NodeId
from producers.cdc.deliveries import Answered, Counting
from producers.cdc.facts import FactBuilder, Outcome, Refused
from producers.cdc.metrics import CaptureMetrics
from producers.cdc.publisher import Publisher
from producers.cdc.records import Moment, RecordWriter
from schemas.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Outlet:
    """The way of one attempt's outcomes to Kafka."""

    facts: FactBuilder
    records: RecordWriter
    publisher: Publisher
    metrics: CaptureMetrics

    def answered(self, checkpoint: Counting, committed_at: datetime | None = None) -> Answered:
        """The callback for events that a checkpoint waits for; how long they took is noted if they have a time."""
        return self.metrics.latencies.callback(checkpoint, committed_at, self.publisher.failed)

    def publish(
        self, outcomes: Sequence[tuple[NodeId, Outcome]], moment: Moment, sequence: int, answered: Answered
    ) -> None:
        """Hand outcomes, each with its root, to Kafka, numbered from `sequence`.

        `answered` is called for each once the brokers have it or refused it. Raises as `Publisher.publish` does.
        """
        said = []
        for number, (root, outcome) in enumerate(outcomes, sequence):
            try:
                record = self.records.record(outcome, moment, number)
            except InvalidValue as exc:
                if isinstance(outcome, Refused):
                    raise
                outcome = self.facts.refusal(root, outcome, exc)
                record = self.records.record(outcome, moment, number)
            self.publisher.publish(record, answered)
            said.append(outcome)
        self.metrics.counted(said)

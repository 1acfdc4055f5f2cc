"""Where outcomes leave the capture: encoded, counted, handed to Kafka; what cannot be encoded becomes a rejection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from producers.cdc.aggregates import NodeId, NodeStore
from producers.cdc.changes import SourceTransaction
from producers.cdc.deliveries import Answered, Counting
from producers.cdc.facts import FactBuilder, Outcome, Refused
from producers.cdc.metrics import CaptureMetrics
from producers.cdc.publisher import Publisher
from producers.cdc.records import UPSERTED, Moment, RecordWriter
from producers.cdc.sections import SectionBuilder
from schemas.errors import InvalidValue


class _Express(NamedTuple):
    """What makes the events of one root table natively from its kept rows to the message."""

    number: int
    build: SectionBuilder
    event: Callable[..., bytes]
    topic: str
    most_bytes: int


class Outlet:
    """The way of one attempt's outcomes to Kafka."""

    def __init__(
        self,
        facts: FactBuilder,
        records: RecordWriter,
        publisher: Publisher,
        metrics: CaptureMetrics,
        store: NodeStore,
    ) -> None:
        self.facts = facts
        self.records = records
        self.publisher = publisher
        self.metrics = metrics
        self._store = store
        self._express: dict[bytes, _Express] = {}
        for prefix, (number, aggregate, build) in facts.native_sections.items():
            writer = records.native_writer(aggregate)
            if writer is not None:
                self._express[prefix] = _Express(number, build, *writer)

    def answered(self, checkpoint: Counting, committed_at: datetime | None = None) -> Answered:
        """The callback for events that a checkpoint waits for; how long they took is noted if they have a time."""
        return self.metrics.latencies.callback(checkpoint, committed_at, self.publisher.failed)

    def express(
        self,
        touched: Sequence[NodeId],
        transaction: SourceTransaction,
        captured_at: datetime,
        checkpoint: Counting,
    ) -> bool:
        """State the roots of a transaction where all of that is plain, as nearly all of it is; else do nothing.

        To the same effect as `FactBuilder.of_transaction` and `publish`, without making anything in between: this is
        done for each transaction of the source. Raises as `Publisher.publish` does.
        """
        node_of, shift = self._store.node, self.records.shift
        transaction_id, position, committed_at, *_ = transaction
        said = []
        for sequence, root in enumerate(touched):
            express = self._express.get(root[:2])
            if express is None:
                return False
            number, build, event, topic, most_bytes = express
            node = node_of(root)
            built = build(node)
            if built is None:
                return False
            key, section = built
            emitted = node.emitted.get(number)
            if emitted != key:
                if emitted is not None:
                    return False
                node.emitted[number] = key
                self._store.changed(root, node)
            value = event(key, UPSERTED, transaction_id, position + shift, sequence, committed_at, captured_at, section)
            octets = key.encode()
            if len(octets) + len(value) > most_bytes:
                return False
            said.append((topic, octets, value))
        checkpoint.outstanding += len(said)
        answered = self.answered(checkpoint, committed_at)
        for record in said:
            self.publisher.publish(record, answered)
        self.metrics.stated(len(said))
        return True

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

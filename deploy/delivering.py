"""Delivers files of a system to the captured topics, or says beforehand what would become of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

from deploy.commands.options import Cluster
from deploy.offline_processing import OfflinePolicy, OfflineProcessor
from deploy.outcomes import CapturedRef, Outcome, OutcomeReader, Outcomes
from deploy.record_reading import Progress
from deploy.standing import standing_keys
from deploy.topic_reading import read_topic
from producers.cdc.facts import Refused, Stated, Withdrawn
from producers.cdc.records import RecordWriter
from producers.files.delivery import DeliveryPlan, place_among
from producers.files.facts import DeliveredFacts
from producers.files.spool import Spool
from producers.files.writing import DeliveryWriter, encoded, moment_of, position_of
from schemas.attributes import CanonicalModel
from schemas.errors import ConfigurationError
from schemas.models import CapturedEvent, Delivery, Rejection
from schemas.registry import SchemaRegistry
from schemas.topics import CAPTURED_TOPICS, DELIVERIES
from streams.processing.processor import CapturedRecord

_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery that is on the topics."""

    delivery: Delivery
    was_before: bool
    """It was complete before; nothing was written."""
    goes_on: bool
    """A part of it was written before."""
    withheld: tuple[str, ...]
    """Topics of which nothing was withdrawn, because rows of the delivery cannot be told from what is missing."""


@dataclass(slots=True)
class Rehearsal:
    """What a delivery would do."""

    delivery: Delivery
    was_before: bool
    stated: Counter[str] = field(default_factory=Counter)
    """Facts by topic."""
    refused: list[Refused] = field(default_factory=list)
    withdrawn: list[Withdrawn] = field(default_factory=list)
    withheld: tuple[str, ...] = ()
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Order and reasons."""
    parked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Delivering:
    """One delivery of files, with the cluster that it goes to."""

    plan: DeliveryPlan
    cluster: Cluster
    most_withdrawn_percent: float
    progress: Progress

    def deliver(self) -> Delivered:
        """Write what is not written yet.

        Raises:
            ConfigurationError: files, mapping or times do not fit, or too much is missing from a full delivery.
            Transient: Kafka or the registry do not answer; the same command goes on where it stopped.
            Fatal: somebody else delivers for the same system now.
        """
        with Spool(self.plan.mapping) as spool, closing(SchemaRegistry(self.cluster.registry)) as registry:
            read = self.plan.read(spool, self.progress)
            facts = DeliveredFacts(self.plan.mapping, self.plan.aggregates, spool)
            with DeliveryWriter(self.cluster.kafka, self.plan.mapping, registry) as writer:
                # Only now: entering has ended what a delivery that died had left open.
                delivery = place_among(read, self._known())
                if delivery.completed_at is not None:
                    return Delivered(delivery, True, False, ())
                missing, withheld = self._missing(facts, spool)
                begun = delivery.stated + delivery.refused + delivery.withdrawn > 0
                done = writer.write(delivery, facts, lambda: missing, self.progress)
        return Delivered(done, False, begun, withheld)

    def rehearse(self, policy: OfflinePolicy) -> Rehearsal:
        """Say what `deliver` and the stream workers would do now; nothing is written. Raises as `deliver` does."""
        with Spool(self.plan.mapping) as spool, closing(SchemaRegistry(self.cluster.registry)) as registry:
            delivery = place_among(self.plan.read(spool, self.progress), self._known())
            rehearsal = Rehearsal(delivery, delivery.completed_at is not None)
            facts = DeliveredFacts(self.plan.mapping, self.plan.aggregates, spool)
            rehearsal.withdrawn, rehearsal.withheld = self._missing(facts, spool)
            stated = _Encoded(RecordWriter(self.plan.mapping, registry, ""), delivery, facts)
            offline = OfflineProcessor(
                self.cluster, policy, self._order_ids(facts, rehearsal), self.progress, stated.master()
            )
            for record in stated.events(rehearsal):
                judgement = offline.judge(record)
                rehearsal.outcomes[judgement.outcome] += 1
                rehearsal.rules.update(judgement.rules)
                told = ((record.key or b"").decode(), judgement.reasons)
                if judgement.outcome is Outcome.REJECTED:
                    rehearsal.rejected.append(told)
                elif judgement.outcome is Outcome.PARKED:
                    rehearsal.parked.append(told)
        return rehearsal

    def _known(self) -> list[Delivery]:
        latest = {one.delivery_id: one for one in read_topic(self.cluster, DELIVERIES, Delivery)}
        return list(latest.values())

    def _missing(self, facts: DeliveredFacts, spool: Spool) -> tuple[list[Withdrawn], tuple[str, ...]]:
        """What stands and is not stated by a full delivery, before anything is written.

        Raises:
            ConfigurationError: it is more than the operator allows.
        """
        if not self.plan.is_full:
            return [], ()
        for number, _ in enumerate(facts.outcomes()):
            if number % 1_000 == 0:
                self.progress("comparing", number, 0)
        aggregates = {one.topic.name: one for one in self.plan.aggregates}
        standing = standing_keys(self.cluster, self.plan.mapping.system, aggregates, self.progress)
        withheld = tuple(sorted(topic for topic in facts.unnamed if standing[topic]))
        missing = []
        for topic in sorted(standing, reverse=True):
            keys = sorted(key for key in standing[topic] if not spool.has_stated(topic, key))
            if topic in withheld:
                continue
            if len(keys) * 100 > self.most_withdrawn_percent * len(standing[topic]):
                told = f"{len(keys):,} of the {len(standing[topic]):,} keys that {self.plan.mapping.system} has on"
                raise ConfigurationError(
                    f"{told} {topic} are not in this full delivery ({', '.join(keys[:5])} ...). Is it whole? If so, "
                    "allow it with --most-withdrawn 100; nothing was delivered"
                )
            missing += [Withdrawn(aggregates[topic], key) for key in keys]
        return missing, withheld

    def _order_ids(self, facts: DeliveredFacts, rehearsal: Rehearsal) -> Iterator[str]:
        yield from (outcome.key for outcome in facts.outcomes() if isinstance(outcome, Stated))
        yield from (one.key for one in rehearsal.withdrawn)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The records that a delivery would write."""

    records: RecordWriter
    delivery: Delivery
    facts: DeliveredFacts

    def master(self) -> Iterator[tuple[str, CanonicalModel]]:
        """Master records with their topics."""
        moment = moment_of(self.delivery)
        for sequence, outcome in enumerate(self.facts.outcomes()):
            if isinstance(outcome, Stated) and outcome.aggregate.section is None:
                kept, _ = encoded(self.records, self.facts, outcome, moment, sequence)
                if isinstance(kept, Stated) and not isinstance(kept.facts, bytes):
                    yield kept.aggregate.topic.name, kept.facts

    def events(self, rehearsal: Rehearsal) -> Iterator[CapturedRecord]:
        """Captured events, in the order of their writing; counts what is stated, and keeps what is refused."""
        moment = moment_of(self.delivery)
        for sequence, outcome in enumerate(self.facts.outcomes()):
            kept, record = encoded(self.records, self.facts, outcome, moment, sequence)
            if isinstance(kept, Refused):
                rehearsal.refused.append(kept)
                continue
            rehearsal.stated[record.topic] += 1
            if record.topic in CAPTURED_TOPICS:
                yield CapturedRecord(record.topic, 0, sequence, 0, record.key, record.value, ())
        for withdrawn in rehearsal.withdrawn:
            record = self.records.record(withdrawn, moment, 0)
            if record.topic in CAPTURED_TOPICS:
                yield CapturedRecord(record.topic, 0, 0, 0, record.key, record.value, ())


def captured_of(delivery: Delivery, reader: OutcomeReader) -> list[CapturedRef]:
    """The events of a delivery, where they stand on the captured topics."""
    position, system = position_of(delivery), delivery.system

    def is_of_delivery(event: CapturedEvent | None) -> bool:
        return event is not None and (event.source.system, event.source.position) == (system, position)

    return reader.captured(delivery.begun_at - _CLOCKS_DIFFER, wanted=is_of_delivery)


def outcomes_of(delivery: Delivery, captured: Iterable[CapturedRef], reader: OutcomeReader) -> Outcomes:
    """What has become of the events of a delivery so far, and what of it the mapping refused."""
    position, system = position_of(delivery), delivery.system

    def was_refused(letter: Rejection) -> bool:
        original = letter.original
        return original.topic.startswith(f"{system}:") and (original.partition, original.offset) == (-1, position)

    return reader.outcomes(captured, delivery.begun_at - _CLOCKS_DIFFER, was_refused)

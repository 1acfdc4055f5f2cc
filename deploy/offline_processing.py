"""The stream workers' own processor, run over given events without writing anything: what would become of them now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from deploy.commands.options import Cluster
from deploy.outcomes import Outcome
from deploy.record_reading import Progress, RecordReader, say_nothing
from deploy.rules_history import read_master
from schemas.attributes import CanonicalModel
from schemas.registry import SchemaRegistry
from schemas.topics import ORDER_EVENTS, ORDER_STATE, PARKED, REJECTED
from streams.processing.checkpoints import Changelog
from streams.processing.codecs import Codecs
from streams.processing.keyvalues import Change, MemoryKeyValues
from streams.processing.processor import CapturedRecord, OrderProcessor, ProcessingPolicy
from streams.processing.processor import Outcome as Processed
from streams.processing.store import WorkerState, group_of
from streams.rules.enrichment import EnrichmentPolicy
from streams.rules.ruleset import RuleSet

_PARTITION = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What would become of one event."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OfflinePolicy:
    """What the stream workers are configured with, where it decides about events."""

    rules: RuleSet
    functional_currency_code: str = "EUR"
    parked_for_seconds: float = 86_400.0


class OfflineProcessor:
    """Judges events as the workers would now: by today's rules, master data, and the orders' latest versions.

    Events judged one after the other see each other's effects, and nobody else does.
    """

    def __init__(
        self,
        cluster: Cluster,
        policy: OfflinePolicy,
        order_ids: Iterable[str],
        progress: Progress = say_nothing,
        master: Iterable[tuple[str, CanonicalModel]] = (),
    ) -> None:
        """Read what is known of these orders; `master` are records that are about to be known, with their topics.

        Raises:
            Transient: the cluster or the registry does not answer.
        """
        with closing(SchemaRegistry(cluster.registry)) as registry:
            self._codecs = Codecs(registry)
        tables = read_master(cluster)
        for topic, record in master:
            tables.put(topic, record)
        values = MemoryKeyValues()
        keys = {order_id.encode() for order_id in order_ids}
        with RecordReader(cluster.kafka, progress) as reader:
            for topic in (ORDER_STATE, PARKED):
                values.write(list(_changes(reader, topic, keys)))
        self._store = WorkerState(values, self._codecs.parked).open(_PARTITION)
        self._processor = OrderProcessor(
            self._codecs,
            tables,
            ProcessingPolicy(
                EnrichmentPolicy(policy.functional_currency_code),
                timedelta(seconds=policy.parked_for_seconds),
                version("ordersync"),
                policy.rules,
            ),
        )

    def judge(self, record: CapturedRecord) -> Judgement:
        """What would become of a captured event that came now."""
        outcome = self._processor.process([record._replace(partition=_PARTITION)], self._store, datetime.now(UTC))
        outcome.view.apply()
        return self._judgement(outcome)

    def _judgement(self, outcome: Processed) -> Judgement:
        letters = [
            self._codecs.rejections.decode(one.value)
            for one in outcome.outputs
            if one.topic == REJECTED and one.value is not None
        ]
        if letters:
            violations = [violation for letter in letters for violation in letter.violations]
            reasons = tuple(f"{one.rule}: {one.message}" for one in violations)
            return Judgement(Outcome.REJECTED, reasons, tuple(dict.fromkeys(one.rule for one in violations)))
        if any(one.topic == ORDER_EVENTS for one in outcome.outputs):
            return Judgement(Outcome.ACCEPTED)
        for one in outcome.outputs:
            if one.topic == PARKED and one.value is not None:
                awaits = self._codecs.parked.decode(one.value).awaits
                return Judgement(Outcome.PARKED, tuple(f"waits for {key.key} on {key.topic}" for key in awaits))
        return Judgement(Outcome.NO_EFFECT)


def _changes(reader: RecordReader, topic: str, keys: set[bytes]) -> Iterator[Change]:
    group = group_of(Changelog(topic, _PARTITION))
    for record in reader.read(reader.spans(topic)):
        if record.key in keys:
            yield (group, record.key, record.value)

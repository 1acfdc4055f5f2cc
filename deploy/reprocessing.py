"""A span of time of the captured topics, looked at again: what became of its events, and what would become now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from confluent_kafka import KafkaException, Producer

from deploy.commands.options import Cluster
from deploy.mending import MendedEvent
from deploy.offline_processing import Judgement, OfflinePolicy, OfflineProcessor
from deploy.outcomes import Fate, Outcome, OutcomeReader, Outcomes
from deploy.record_reading import Progress
from deploy.replaying import Replay
from deploy.topic_reading import read_topic
from producers.auditing import writer_of
from schemas.audit_chain import Actor, AuditHead, begin_chain, chained
from schemas.codec import TopicCodec
from schemas.errors import Fatal, Transient
from schemas.models import AuditEvent, Rejection
from schemas.registry import SchemaRegistry
from schemas.topics import AUDIT
from streams.processing.processor import CapturedRecord

_TIMEOUT_SECONDS: Final = 30.0
_PORTION: Final = 1_000
_TRANSACTIONAL_ID: Final = "ordersync-process-window"


@dataclass(frozen=True, slots=True)
class Window:
    """Captured events that were written from `since` until before `until`."""

    since: datetime
    until: datetime


@dataclass(slots=True)
class WindowReport:
    """What became of the events of a window, and what would become of the rejected ones now."""

    outcomes: Outcomes
    now: dict[str, Judgement] = field(default_factory=dict)
    """By the id of the dead letter."""

    @property
    def orders(self) -> int:
        """How many orders the events are about."""
        return len({fate.captured.order_id for fate in self.outcomes.fates})

    def mended(self) -> list[Fate]:
        """Rejected events that would be accepted now, or wait for master data."""
        return [fate for fate in self._judged() if self._now(fate).outcome in (Outcome.ACCEPTED, Outcome.PARKED)]

    def refused_again(self) -> list[tuple[Fate, Judgement]]:
        """Rejected events that would be rejected again, with today's reasons."""
        return [(fate, self._now(fate)) for fate in self._judged() if self._now(fate).outcome is Outcome.REJECTED]

    def overtaken(self) -> list[Fate]:
        """Rejected events that say nothing new any more: a newer one was accepted since."""
        return [fate for fate in self._judged() if self._now(fate).outcome is Outcome.NO_EFFECT]

    def _judged(self) -> Iterator[Fate]:
        return (fate for fate in self.outcomes.fates if fate.letter is not None)

    def _now(self, fate: Fate) -> Judgement:
        assert fate.letter is not None
        return self.now[fate.letter.rejection_id]


def look(window: Window, cluster: Cluster, group: str, policy: OfflinePolicy, progress: Progress) -> WindowReport:
    """Read what became of the window's events, and judge the rejected ones as the stream workers would now.

    Raises:
        ConfigurationError: a topic is missing.
        Transient: the cluster or the registry does not answer.
    """
    with OutcomeReader(cluster, group, progress) as reader:
        refs = reader.captured(window.since, window.until)
        report = WindowReport(reader.outcomes(refs, window.since))
    letters = [fate.letter for fate in report.outcomes.fates if fate.letter is not None]
    if letters:
        order_ids = {letter.order_id for letter in letters if letter.order_id is not None}
        offline = OfflineProcessor(cluster, policy, order_ids, progress)
        for number, letter in enumerate(sorted(letters, key=_came), 1):
            report.now[letter.rejection_id] = offline.judge(_record(letter))
            progress("judging rejected events again", number, len(letters))
    return report


def replay(
    events: Iterable[tuple[Rejection, MendedEvent]], cluster: Cluster, actor: Actor, reason: str, progress: Progress
) -> list[AuditEvent]:
    """Put the events of dead letters back on their topics, each once for ever, with an entry in `audit.events`.

    Events and audits of a thousand letters are one transaction; run again after a crash, the rest follows.

    Raises:
        Transient: the cluster or the registry does not answer.
        Fatal: somebody else does the same at this moment.
    """
    came = sorted(events, key=lambda pair: _came(pair[0]))
    replays = [Replay(letter, event, actor, reason) for letter, event in came]
    if not replays:
        return []
    producer = Producer(cluster.kafka.producer_config(**{"transactional.id": _TRANSACTIONAL_ID}))
    audits: list[AuditEvent] = []
    try:
        # Ends what a run that died has left open, before the audit is read.
        producer.init_transactions(_TIMEOUT_SECONDS)
        done = {audit.audit_id for audit in read_topic(cluster, AUDIT, AuditEvent)}
        left = iter([one for one in replays if one.replay_id not in done])
        with closing(SchemaRegistry(cluster.registry)) as registry:
            codec = TopicCodec(AUDIT, AuditEvent, registry)
            head = begin_chain(writer_of(cluster.kafka))
            while portion := list(islice(left, _PORTION)):
                written, head = _written(portion, producer, codec, head)
                audits += written
                progress("replaying", len(audits), len(replays))
    except KafkaException as exc:
        told = f"replaying {len(replays)} dead letters: {exc.args[0].str()}"
        if exc.args[0].fatal():
            raise Fatal(f"{told}; is somebody else processing a window now?") from exc
        raise Transient(f"{told}; run it again: what was replayed is not replayed twice") from exc
    return audits


def _written(
    portion: Sequence[Replay], producer: Producer, codec: TopicCodec[AuditEvent], head: AuditHead
) -> tuple[list[AuditEvent], AuditHead]:
    audits, head = chained(head, [one.deed() for one in portion], datetime.now(UTC))
    producer.begin_transaction()
    for one, audit in zip(portion, audits, strict=True):
        producer.produce(one.topic, one.event.value, one.event.key, headers=one.headers())
        producer.produce(AUDIT, codec.encode(audit), audit.subject.encode())
    producer.commit_transaction(_TIMEOUT_SECONDS)
    return audits, head


def _came(letter: Rejection) -> tuple[datetime, str, int, int]:
    original = letter.original
    return original.timestamp_at, original.topic, original.partition, original.offset


def _record(letter: Rejection) -> CapturedRecord:
    original = letter.original
    return CapturedRecord(original.topic, original.partition, original.offset, 0, original.key, original.value, ())

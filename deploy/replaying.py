"""Puts a refused event back on its topic, once, with who did it and why."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid5

from confluent_kafka import KafkaException, Producer

from deploy.audit.desk import Clearance
from deploy.audit.policy import Kind
from deploy.commands.options import Cluster
from deploy.mending import MendedEvent
from deploy.topic_reading import read_topic
from producers.auditing import writer_of
from schemas.audit_chain import Actor, Deed, begin_chain, next_event
from schemas.codec import TopicCodec
from schemas.errors import Fatal, Transient
from schemas.models import AuditEvent, Rejection
from schemas.models.source import EVENT_NAMESPACE
from schemas.registry import SchemaRegistry
from schemas.topics import AUDIT

REPLAY_OF, REPLAYED_BY, REPLAY_REASON = "ordersync-replay-of", "ordersync-replayed-by", "ordersync-replay-reason"
"""Headers of a replayed event: the dead letter's id, who replayed it, and why."""

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Replay:
    """One event that goes back to its topic."""

    letter: Rejection
    event: MendedEvent
    actor: Actor
    reason: str
    approval_id: str | None = None

    @property
    def replay_id(self) -> str:
        """The same for the same bytes of the same dead letter, whoever replays them."""
        digest = hashlib.sha256(self.event.value).hexdigest()
        return str(uuid5(EVENT_NAMESPACE, f"replay/{self.letter.rejection_id}/{digest}"))

    @property
    def topic(self) -> str:
        """Where the event goes."""
        return self.event.topic or self.letter.original.topic

    def deed(self) -> Deed:
        """The deed as it is told in `audit.events`."""
        return Deed(
            audit_id=self.replay_id,
            actor=self.actor.name,
            identified_by=self.actor.identified_by,
            action="DeadLetterMended" if self.event.changes else "DeadLetterReplayed",
            subject=self.letter.order_id or self.event.key.decode(errors="replace"),
            reference=self.letter.rejection_id,
            changes=self.event.changes,
            reason=self.reason,
            approval_id=self.approval_id,
        )

    def headers(self) -> list[tuple[str, str | bytes | None]]:
        """Those of the original, and what tells that this is a replay."""
        told: dict[str, str] = {
            REPLAY_OF: self.letter.rejection_id,
            REPLAYED_BY: self.actor.name,
            REPLAY_REASON: self.reason,
        }
        kept = [(header.key, header.value) for header in self.letter.original.headers if header.key not in told]
        return [*kept, *self.event.headers, *((name, value.encode()) for name, value in told.items())]


def perform(replay: Replay, cluster: Cluster, clearance: Clearance) -> AuditEvent | None:
    """Write the event and its audit in one transaction; None where this was done before, and nothing is written.

    The event keeps its source position, so merging by owner puts it into its place: a newer image that was accepted
    since wins, and the event itself, should it come twice, counts once.

    Raises:
        ApprovalNeeded: it was edited, and a second person has to approve this edit first.
        ConfigurationError: who does it may not.
        Transient: the cluster or the registry does not answer.
        Fatal: somebody else replays the same dead letter at this moment.
    """
    config = cluster.kafka.producer_config(**{"transactional.id": f"ordersync-replay-{replay.letter.rejection_id}"})
    producer = Producer(config)
    try:
        # Ends what a replay of this letter that died has left open, before the audit is read.
        producer.init_transactions(_TIMEOUT_SECONDS)
        done = {event.audit_id for event in read_topic(cluster, AUDIT, AuditEvent)}
        if replay.replay_id in done:
            return None
        replay = _cleared(replay, clearance)
        audit, _ = next_event(begin_chain(writer_of(cluster.kafka)), replay.deed(), datetime.now(UTC))
        producer.begin_transaction()
        producer.produce(replay.topic, replay.event.value, replay.event.key, headers=replay.headers())
        producer.produce(AUDIT, _encoded(audit, cluster), audit.subject.encode())
        producer.commit_transaction(_TIMEOUT_SECONDS)
    except KafkaException as exc:
        told = f"replaying {replay.letter.rejection_id}: {exc.args[0].str()}"
        if exc.args[0].fatal():
            raise Fatal(f"{told}; is somebody else replaying it? Look with `dead-letters show`") from exc
        raise Transient(f"{told}; nothing was replayed unless a second attempt says so") from exc
    return audit


def _cleared(replay: Replay, clearance: Clearance) -> Replay:
    """What goes back as it came changes nothing, and needs no second person."""
    if not replay.event.changes:
        return replay
    parts = (replay.letter.rejection_id, hashlib.sha256(replay.event.value).hexdigest())
    told = (f"dead letter {replay.letter.rejection_id} of {replay.deed().subject}", *replay.event.changes)
    return replace(replay, approval_id=clearance.of(Kind.EDITED_REPLAY, replay.reason, parts, told))


def _encoded(audit: AuditEvent, cluster: Cluster) -> bytes:
    registry = SchemaRegistry(cluster.registry)
    try:
        return TopicCodec(AUDIT, AuditEvent, registry).encode(audit)
    finally:
        registry.close()

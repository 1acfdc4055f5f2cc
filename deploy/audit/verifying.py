"""Reads `audit.events` and holds it against its hash chains and against heads that were noted elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from deploy.commands.options import Cluster
from deploy.topic_reading import read_raw, span_of
from schemas.audit_chain import AuditHead
from schemas.audit_verification import AuditFault, AuditVerification
from schemas.codec import TopicCodec
from schemas.errors import UndecodableMessage
from schemas.models import AuditEvent
from schemas.registry import SchemaRegistry
from schemas.topics import AUDIT

_NOBODY = "?"


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was found on the topic."""

    topic: str
    end: int
    events: int
    heads: Mapping[str, AuditHead]
    faults: tuple[AuditFault, ...]


def verify(cluster: Cluster, topic: str, noted: Mapping[str, AuditHead]) -> AuditReport:
    """Hold every event of a topic against its chain, and the chains against heads that were `noted` before.

    Called by `ordersync audit verify`. Reads everything, keeps one head a chain.

    Raises:
        ConfigurationError: there is no such topic.
        Transient: the cluster or the registry does not answer.
    """
    verification = AuditVerification.against(noted)
    first, end = span_of(cluster, topic)
    faults = [] if first == 0 else [_lost(first)]
    for position, event in audit_events(cluster, topic):
        if isinstance(event, AuditEvent):
            faults += verification.take(position, event)
        else:
            faults.append(AuditFault(position, _NOBODY, _NOBODY, 0, event))
    faults += verification.lacking(noted, end)
    return AuditReport(topic, end, verification.events, verification.heads, tuple(faults))


def audit_events(cluster: Cluster, topic: str = AUDIT) -> Iterator[tuple[int, AuditEvent | str]]:
    """Offset and event of every record, in the order of the topic; of one that is no event why it is none."""
    with closing(SchemaRegistry(cluster.registry)) as registry:
        codec = TopicCodec(AUDIT, AuditEvent, registry)
        for record in read_raw(cluster, topic):
            if record.value is None:
                yield record.offset, "a tombstone, which no writer of ours writes"
                continue
            try:
                event: AuditEvent | str = codec.decode(record.value)
            except UndecodableMessage as exc:
                event = f"no event of ours: {exc}"
            yield record.offset, event


def _lost(first: int) -> AuditFault:
    return AuditFault(0, _NOBODY, _NOBODY, 0, f"the topic's first {first:,} offsets were deleted: it must keep all")

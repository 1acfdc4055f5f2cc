"""Reads `audit.events` and holds it against its hash chains and against heads that were noted elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING

from deploy.commands.options import Cluster
from deploy.topic_reading import read_raw, span_of
from schemas.audit_chain import AuditHead
from schemas.audit_verification import AuditFault, AuditVerification
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError, Transient, UndecodableMessage
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


class AuditReading:
    """Follows a topic with the audit: each `look` takes what was written since the one before.

    Used by `ordersync audit verify`, for one look, and by the worker `auditor`. Keeps one head a chain. One thread.
    """

    def __init__(self, cluster: Cluster, topic: str, noted: Mapping[str, AuditHead]) -> None:
        self._cluster = cluster
        self._topic = topic
        self._noted = noted
        self._is_held_against_notes = False
        self._verification = AuditVerification.against(noted)
        self._position = 0
        self.faults: list[AuditFault] = []
        """Everything that was wrong so far."""

    @property
    def events(self) -> int:
        """Events that were held against their chains so far."""
        return self._verification.events

    @property
    def heads(self) -> Mapping[str, AuditHead]:
        """Where each chain ends as far as it was read."""
        return self._verification.heads

    def look(self) -> None:
        """Hold every new event against its chain, and in the first look the chains against the heads that were noted.

        Raises:
            ConfigurationError: there is no such topic, and never was.
            Transient: the cluster or the registry does not answer, or the topic is gone; the next look goes on where
                this one broke off.
        """
        first, end = self._span()
        if first > self._position:
            self.faults.append(_lost(first))
        if end < self._position:
            self.faults.append(AuditFault(end, _NOBODY, _NOBODY, 0, _cut(end, self._position)))
            self._position = end
        for position, event in audit_events(self._cluster, self._topic, self._position):
            self._take(position, event)
            self._position = position + 1
        self._position = max(self._position, end)
        if not self._is_held_against_notes:
            self.faults += self._verification.lacking(self._noted, end)
            self._is_held_against_notes = True

    def report(self) -> AuditReport:
        """All that was read so far."""
        return AuditReport(self._topic, self._position, self.events, dict(self.heads), tuple(self.faults))

    def _span(self) -> tuple[int, int]:
        try:
            return span_of(self._cluster, self._topic)
        except ConfigurationError as exc:
            if not self.events:
                raise
            # It was there: that somebody deleted it is no fault of the settings.
            if self._position:
                self.faults.append(AuditFault(0, _NOBODY, _NOBODY, 0, "the topic was deleted"))
                self._position = 0
            raise Transient(str(exc)) from exc

    def _take(self, position: int, event: AuditEvent | str) -> None:
        if isinstance(event, AuditEvent):
            self.faults += self._verification.take(position, event)
        else:
            self.faults.append(AuditFault(position, _NOBODY, _NOBODY, 0, event))


def verify(cluster: Cluster, topic: str, noted: Mapping[str, AuditHead]) -> AuditReport:
    """Hold every event of a topic against its chain, and the chains against heads that were `noted` before.

    Called by `ordersync audit verify`. Reads everything, keeps one head a chain.

    Raises:
        ConfigurationError: there is no such topic.
        Transient: the cluster or the registry does not answer.
    """
    reading = AuditReading(cluster, topic, noted)
    reading.look()
    return reading.report()


def audit_events(cluster: Cluster, topic: str = AUDIT, first: int = 0) -> Iterator[tuple[int, AuditEvent | str]]:
    """Offset and event of every record from the offset `first` on; of one that is no event why it is none."""
    with closing(SchemaRegistry(cluster.registry)) as registry:
        codec = TopicCodec(AUDIT, AuditEvent, registry)
        # A topic whose beginning was deleted begins where it does.
        for record in read_raw(cluster, topic, first or OFFSET_BEGINNING):
            if record.value is None:
                yield record.offset, "a tombstone, which no writer of ours writes"
                continue
            try:
                event: AuditEvent | str = codec.decode(record.value)
            except UndecodableMessage as exc:
                event = f"no event of ours: {exc}"
            yield record.offset, event


def _cut(end: int, position: int) -> str:
    return (
        f"the topic's end was cut off, or the topic was made anew: it was read to {position:,} and ends at {end:,} now"
    )


def _lost(first: int) -> AuditFault:
    return AuditFault(0, _NOBODY, _NOBODY, 0, f"the topic's first {first:,} offsets were deleted: it must keep all")

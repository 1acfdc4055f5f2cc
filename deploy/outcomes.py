"""What became of captured events: read from what the stream workers have written about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from consumers.group_offsets import GroupOffsets
from deploy.commands.options import Cluster
from deploy.record_reading import Progress, RecordReader, StoredRecord, say_nothing
from schemas.codec import TopicCodec
from schemas.errors import InvalidMessage
from schemas.models import CapturedEvent, OrderEvent, ParkedOrder, Rejection
from schemas.registry import SchemaRegistry
from schemas.topics import CAPTURED_TOPICS, CATALOGUE, ORDER_EVENTS, PARKED, REJECTED

Place = tuple[str, int, int]
"""Topic, partition and offset of a captured event."""


class Outcome(StrEnum):
    """What became of a captured event."""

    ACCEPTED = "accepted"
    NO_EFFECT = "no effect"
    """A duplicate, an older image, or one that says what the order had already."""
    PARKED = "parked"
    REJECTED = "rejected"
    UNPROCESSED = "not processed yet"


class CapturedRef(NamedTuple):
    """One record of a captured topic; `event_id` is empty where its bytes are no event."""

    place: Place
    order_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Fate:
    """One captured event and what became of it."""

    captured: CapturedRef
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    letter: Rejection | None = None


@dataclass(slots=True)
class Outcomes:
    """What became of a set of captured events."""

    fates: list[Fate]
    capture_refusals: list[Rejection] = field(default_factory=list)
    """What never became an event: the mapping refused it."""

    @property
    def counts(self) -> dict[str, int]:
        """How many events had which outcome; every outcome is named."""
        found = Counter(fate.outcome for fate in self.fates)
        found[Outcome.REJECTED] += len(self.capture_refusals)
        return {outcome.value: found[outcome] for outcome in Outcome}

    @property
    def rules(self) -> dict[str, int]:
        """How many rejected events violated which rule, most first."""
        letters = [fate.letter for fate in self.fates if fate.letter is not None] + self.capture_refusals
        found = Counter(rule for letter in letters for rule in {one.rule for one in letter.violations})
        return dict(found.most_common())

    def of(self, outcome: Outcome) -> list[Fate]:
        """The events with this outcome."""
        return [fate for fate in self.fates if fate.outcome is outcome]


class OutcomeReader(AbstractContextManager["OutcomeReader"]):
    """Reads captured events and what became of them; use it as a context.

    Every method raises `Transient` while the cluster or the registry do not answer.
    """

    def __init__(self, cluster: Cluster, group: str, progress: Progress = say_nothing) -> None:
        self._registry = SchemaRegistry(cluster.registry)
        self._reader = RecordReader(cluster.kafka, progress)
        self._offsets = GroupOffsets(cluster.kafka)
        self._group = group

    def __exit__(self, *_: object) -> None:
        with closing(self._registry), self._reader:
            pass

    def captured(
        self,
        since: datetime,
        until: datetime | None = None,
        wanted: Callable[[CapturedEvent | None], bool] = lambda _: True,
    ) -> list[CapturedRef]:
        """The captured events that were written in between, of these only the wanted ones."""
        found = []
        for topic in CAPTURED_TOPICS:
            codec: TopicCodec[Any] = TopicCodec(topic, CATALOGUE[topic].model, self._registry)
            for record in self._reader.read(self._reader.spans(topic, since=since, until=until)):
                event = _event(codec, record)
                if wanted(event):
                    place = (record.topic, record.partition, record.offset)
                    event_id = "" if event is None else event.event_id
                    found.append(CapturedRef(place, record.key.decode(errors="replace"), event_id))
        return found

    def outcomes(
        self,
        captured: Iterable[CapturedRef],
        since: datetime,
        refused_by_capture: Callable[[Rejection], bool] = lambda _: False,
    ) -> Outcomes:
        """What became of events that were written since then."""
        refs = list(captured)
        accepted = self._accepted(refs, since)
        letters, refusals = self._letters({ref.place for ref in refs}, since, refused_by_capture)
        parked = self._parked({ref.order_id for ref in refs})
        places = {ref.place[:2] for ref in refs}
        committed = self._offsets.committed([self._group], places)[self._group]
        fates, counted = [], set[str]()
        for ref in refs:
            topic, partition, offset = ref.place
            if ref.event_id in accepted and ref.event_id not in counted:
                counted.add(ref.event_id)
                fates.append(Fate(ref, Outcome.ACCEPTED))
            elif ref.place in letters and ref.event_id not in accepted:
                letter = letters[ref.place]
                reasons = tuple(f"{one.rule}: {one.message}" for one in letter.violations)
                fates.append(Fate(ref, Outcome.REJECTED, reasons, letter))
            elif ref.place in parked:
                fates.append(Fate(ref, Outcome.PARKED, parked[ref.place]))
            elif offset >= committed.get((topic, partition), 0):
                fates.append(Fate(ref, Outcome.UNPROCESSED))
            else:
                fates.append(Fate(ref, Outcome.NO_EFFECT))
        return Outcomes(fates, refusals)

    def is_processed(self, captured: Iterable[CapturedRef]) -> bool:
        """Whether the group has committed all of these."""
        ends: dict[tuple[str, int], int] = {}
        for (topic, partition, offset), _, _ in captured:
            ends[topic, partition] = max(offset, ends.get((topic, partition), 0))
        committed = self._offsets.committed([self._group], ends)[self._group]
        return all(committed.get(place, 0) > offset for place, offset in ends.items())

    def _accepted(self, refs: Iterable[CapturedRef], since: datetime) -> set[str]:
        wanted = {ref.event_id for ref in refs}
        keys = {ref.order_id.encode() for ref in refs}
        codec, found = TopicCodec(ORDER_EVENTS, OrderEvent, self._registry), set[str]()
        for record in self._reader.read(self._reader.spans(ORDER_EVENTS, since=since)):
            if record.key in keys and record.value is not None:
                event_id = codec.decode(record.value).state.event_id
                if event_id in wanted:
                    found.add(event_id)
        return found

    def _letters(
        self, places: set[Place], since: datetime, refused_by_capture: Callable[[Rejection], bool]
    ) -> tuple[dict[Place, Rejection], list[Rejection]]:
        codec, found, refusals = TopicCodec(REJECTED, Rejection, self._registry), dict[Place, Rejection](), {}
        for record in self._reader.read(self._reader.spans(REJECTED, since=since)):
            if record.value is None:
                continue
            letter = codec.decode(record.value)
            place = (letter.original.topic, letter.original.partition, letter.original.offset)
            if place in places:
                found[place] = letter
            elif refused_by_capture(letter):
                refusals[letter.rejection_id] = letter
        return found, list(refusals.values())

    def _parked(self, order_ids: set[str]) -> dict[Place, tuple[str, ...]]:
        codec, latest = TopicCodec(PARKED, ParkedOrder, self._registry), dict[str, bytes | None]()
        for record in self._reader.read(self._reader.spans(PARKED)):
            order_id = record.key.decode(errors="replace")
            if order_id in order_ids:
                latest[order_id] = record.value
        found: dict[Place, tuple[str, ...]] = {}
        for value in latest.values():
            if value is not None:
                room = codec.decode(value)
                reasons = tuple(f"waits for {one.key} on {one.topic}" for one in room.awaits)
                found |= {(held.topic, held.partition, held.offset): reasons for held in room.held}
        return found


def _event(codec: TopicCodec[Any], record: StoredRecord) -> CapturedEvent | None:
    try:
        event: CapturedEvent = codec.decode(record.value or b"")
    except InvalidMessage:
        return None
    return event

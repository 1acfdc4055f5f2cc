"""Turns captured records of one partition into outputs; knows bytes and state, leaves decisions to the rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid5

from schemas.attributes import OrderId
from schemas.codec import ABSENT
from schemas.codec.scalars import datetime_to_micros
from schemas.errors import InvalidValue, UndecodableMessage
from schemas.models import (
    AwaitedRecord,
    CapturedEvent,
    FulfilmentCaptured,
    MessageHeader,
    OrderEvent,
    OrderState,
    OriginalMessage,
    ParkedOrder,
    Rejection,
    Violation,
)
from schemas.models.source import EVENT_NAMESPACE
from schemas.topics import ORDER_EVENTS, ORDER_STATE, ORDERS_CAPTURED, PARKED, POSTINGS, REJECTED
from streams.processing.codecs import Codecs
from streams.processing.plain import PlainOrders
from streams.processing.store import PartitionStore, StoreView
from streams.rules.answers import with_inventory
from streams.rules.decision import NEVER_PLACED, Accepted, Decision, Ignored, Knowledge, Refused, Waiting, decide
from streams.rules.enrichment import EnrichmentPolicy
from streams.rules.facts import MasterData, Section
from streams.rules.merging import DELETED
from streams.rules.ruleset import RuleSet, builtin_rules

_SECTION_NUMBER = {section: number for number, section in enumerate(Section)}
_HELD_BYTES = 262_144
"""So much of an order's events waits at most; a record of `orders.parked` must stay below Kafka's limit of 1 MB."""
_new = tuple.__new__


class CapturedRecord(NamedTuple):
    """A record of a captured topic as it came; `timestamp` in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, str | bytes | None]]


class Output(NamedTuple):
    """One record to write to the input's own partition."""

    topic: str
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Outcome:
    """All that a batch leads to: outputs, changes of the state (in `view`), and what to count."""

    view: StoreView
    outputs: list[Output] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    violated: Counter[str] = field(default_factory=Counter)
    committed_at: list[int] = field(default_factory=list)
    """Of the versions made, in microseconds."""


@dataclass(frozen=True, slots=True)
class ProcessingPolicy:
    """What the operator decides about processing."""

    enrichment: EnrichmentPolicy = field(default_factory=EnrichmentPolicy)
    parked_for: timedelta = timedelta(days=1)
    code_version: str = "0"
    rules: RuleSet = field(default_factory=builtin_rules)


@dataclass(slots=True, eq=False)
class _Incoming:
    """One decoded event with the record that it came in."""

    section: Section
    event: CapturedEvent
    section_bytes: bytes
    record: CapturedRecord | OriginalMessage


class OrderProcessor:
    """The processor of one worker; pure but for the registry (a foreign schema id is asked for once).

    The engine calls `process` for each batch, `release` when master records have arrived and `expire` from time to
    time; it writes the outputs, applies the view, and commits both with the input's offsets, or does none of it.
    """

    def __init__(self, codecs: Codecs, master: MasterData, policy: ProcessingPolicy) -> None:
        self._codecs = codecs
        self._policy = policy
        self._knowledge = Knowledge(master, policy.enrichment, policy.rules)
        self._plain = PlainOrders(codecs, master, policy.enrichment, policy.rules)

    def process(self, records: Sequence[CapturedRecord], store: PartitionStore, now: datetime) -> Outcome:
        """Decide about each record in turn.

        Raises:
            Transient: a schema id must be looked up and the registry is away; nothing has changed.
        """
        outcome = Outcome(StoreView(store))
        order_ids = [_order_id(record.key) for record in records]
        outcome.view.foresee([order_id for order_id in order_ids if order_id is not None])
        may_be_plain = self._plain.begin(now)
        for record, order_id in zip(records, order_ids, strict=True):
            if may_be_plain and order_id is not None and self._place(record, order_id, outcome):
                continue
            incoming = self._decoded(record, outcome, now)
            if incoming is not None:
                self._advance(incoming.event.order_id, [incoming], outcome, now)
        return outcome

    def _place(self, record: CapturedRecord, order_id: OrderId, outcome: Outcome) -> bool:
        """Make a plain new order a version; False where it must go the ordinary way."""
        topic, _, _, _, key, value, _ = record
        if key is None or value is None or topic != ORDERS_CAPTURED:
            return False
        view = outcome.view
        if view.state(order_id) is not None or view.parked(order_id) is not None:
            return False
        version = self._plain.first_version(key, value)
        if version is None:
            return False
        state, event, committed_at = version
        view.put_state(order_id, state)
        # A named tuple's own constructor is a Python function, which costs more than the rest of this method.
        outcome.outputs += (_new(Output, (ORDER_EVENTS, key, event)), _new(Output, (ORDER_STATE, key, state)))
        outcome.outcomes["accepted"] += 1
        outcome.committed_at.append(committed_at)
        return True

    def release(self, order_ids: Iterable[OrderId], store: PartitionStore, now: datetime) -> Outcome:
        """Try orders that wait again, because something that they wait for has arrived."""
        outcome = Outcome(StoreView(store))
        for order_id in order_ids:
            self._advance(order_id, [], outcome, now)
        return outcome

    def expire(self, store: PartitionStore, now: datetime) -> Outcome:
        """Refuse what has waited past its deadline; what only stood behind it goes on."""
        outcome = Outcome(StoreView(store))
        for order_id in store.overdue(now):
            while (parked := outcome.view.parked(order_id)) is not None:
                awaited = ", ".join(f"{record.key} on {record.topic}" for record in parked.awaits)
                violation = Violation(
                    rule="parked.deadline",
                    message=f"waited since {parked.parked_at.isoformat()} for {awaited}, which did not come; add it at "
                    "its source and replay",
                )
                self._reject(parked.held[0], order_id, [violation], outcome, now)
                outcome.view.put_parked(order_id, parked.model_copy(update={"held": parked.held[1:]}))
                self._advance(order_id, [], outcome, now)
        return outcome

    def _decoded(self, record: CapturedRecord | OriginalMessage, outcome: Outcome, now: datetime) -> _Incoming | None:
        section = Section(record.topic)
        try:
            if record.value is None:
                raise UndecodableMessage(
                    "a captured topic has no tombstones; produce a deleted event", rule="tombstone"
                )
            event, section_bytes = self._codecs.captured[section].decode(record.value)
            if record.key != event.order_id.encode():
                raise UndecodableMessage(
                    f"the record's key is {record.key!r}, its order {event.order_id}: key each record by its order_id",
                    rule="key",
                )
        except UndecodableMessage as exc:
            self._reject(record, None, [Violation(rule=exc.rule, message=str(exc))], outcome, now)
            return None
        return _Incoming(section, event, section_bytes, record)

    def _advance(self, order_id: OrderId, arrived: list[_Incoming], outcome: Outcome, now: datetime) -> None:
        """Decide about the events that wait and those that arrived; what cannot go on yet waits (again).

        An event that waits holds up nobody: what other owners say goes on, and a newer image of its own section that
        can go on (the source was corrected, or deleted the order) takes its place.
        """
        parked = outcome.view.parked(order_id)
        queue = arrived
        if parked is not None:
            held = [self._decoded(original, outcome, now) for original in parked.held]
            queue = [incoming for incoming in held if incoming is not None] + arrived
            # Facts of other owners hang on the commercial ones; each owner's own order stays.
            queue.sort(key=lambda incoming: _SECTION_NUMBER[incoming.section] > 0)
        waiting: list[tuple[_Incoming, list[AwaitedRecord]]] = []
        for incoming in queue:
            if _is_told_twice(incoming, waiting):
                outcome.outcomes["duplicate"] += 1
                continue
            # Images replace each other; a message of a vendor is no image.
            is_image = incoming.section is not Section.ANSWERS
            ahead = [entry for entry in waiting if is_image and entry[0].section is incoming.section]
            if any(not _is_later(incoming, other) for other, _ in ahead):
                outcome.outcomes["duplicate"] += 1
                continue
            decision = self._decide(incoming, outcome, now, overtakes=bool(ahead))
            if isinstance(decision, Waiting):
                waiting.append((incoming, decision.awaits))
            elif ahead and decision == NEVER_PLACED and _says_more_than(queue, incoming.section):
                # Others' facts wait for this order: when it can be placed it is, and then deleted, as at its source.
                waiting.append((incoming, []))
            elif ahead and not isinstance(decision, Refused):
                waiting = [entry for entry in waiting if entry not in ahead]
                outcome.outcomes["superseded"] += len(ahead)
        if waiting:
            outcome.outcomes["superseded"] += _drop_superseded(waiting)
            self._refuse_beyond(waiting, order_id, outcome, now)
            awaits = dict.fromkeys((record.topic, record.key) for _, missing in waiting for record in missing)
            records = [AwaitedRecord(topic=topic, key=key) for topic, key in awaits]
            self._park(order_id, records, [incoming for incoming, _ in waiting], outcome, now)
        elif parked is not None:
            self._unpark(order_id, outcome)

    def _refuse_beyond(
        self, waiting: list[tuple[_Incoming, list[AwaitedRecord]]], order_id: OrderId, outcome: Outcome, now: datetime
    ) -> None:
        """Refuse the last messages of vendors that a record of `orders.parked` has no place for."""
        told = [entry for entry in waiting if entry[0].section is Section.ANSWERS]
        while told and _held(waiting) > _HELD_BYTES:
            entry = told.pop()
            waiting.remove(entry)
            message = "too much waits for this order already; send the message again when the order is known"
            self._reject(entry[0].record, order_id, [Violation(rule="parked.too_much", message=message)], outcome, now)

    def _decide(self, incoming: _Incoming, outcome: Outcome, now: datetime, *, overtakes: bool) -> Decision:
        """Decide about one event and act upon it, but for waiting; `overtakes` says that an older image waits."""
        message = outcome.view.state(incoming.event.order_id)
        previous, sections = (None, [ABSENT] * 3) if message is None else self._codecs.states.decode(message)
        # Over a waiting image even an unchanged one makes a version, so that its position outlives the other's.
        if previous is not None and not overtakes and _is_unchanged(incoming, previous, sections):
            outcome.outcomes["unchanged"] += 1
            return Ignored("unchanged")
        decision = decide(incoming.section, incoming.event, previous, self._knowledge, now)
        if isinstance(decision, Accepted):
            decision = self._accept(incoming, decision, sections, outcome)
        if isinstance(decision, Refused):
            self._reject(incoming.record, incoming.event.order_id, decision.violations, outcome, now)
        elif isinstance(decision, Ignored):
            outcome.outcomes[decision.outcome] += 1
        return decision

    def _accept(
        self, incoming: _Incoming, decision: Accepted, sections: list[bytes], outcome: Outcome
    ) -> Accepted | Refused:
        """Write the version; refused where a value does not fit its place on the wire."""
        state: OrderState = decision.state
        event = OrderEvent.trusted(
            event_type=decision.event_type,
            topic=incoming.section.value,
            captured_at=incoming.event.captured_at,
            state=state,
        )
        try:
            self._place_section(incoming, state, sections)
            version = self._codecs.states.encode(event, sections)
            entries = [self._codecs.postings.encode(entry) for entry in decision.entries]
        except InvalidValue as exc:
            return Refused([Violation(rule=exc.rule, message=str(exc), field=exc.field)])
        key = state.order_id.encode()
        outcome.view.put_state(state.order_id, version.state)
        outcome.outputs.append(Output(ORDER_EVENTS, key, version.event))
        outcome.outputs.append(Output(ORDER_STATE, key, version.state))
        for entry in entries:
            outcome.outputs.append(Output(POSTINGS, key, entry))
        outcome.outcomes["accepted"] += 1
        outcome.committed_at.append(datetime_to_micros(state.committed_at))
        return decision

    def _place_section(self, incoming: _Incoming, state: OrderState, sections: list[bytes]) -> None:
        """Put the section that changed among those of the state; bytes are copied where they are those that came."""
        section, fulfilment = incoming.section, state.fulfilment
        has_answers = fulfilment is not None and bool(fulfilment.vendor_answers)
        if section is Section.ANSWERS or (section is Section.FULFILMENT and has_answers):
            sections[_SECTION_NUMBER[Section.FULFILMENT]] = self._codecs.fulfilment_section(fulfilment)
        elif section is not Section.ORDER or incoming.section_bytes != ABSENT:
            sections[_SECTION_NUMBER[section]] = incoming.section_bytes

    def _park(
        self,
        order_id: OrderId,
        awaits: list[AwaitedRecord],
        queue: list[_Incoming],
        outcome: Outcome,
        now: datetime,
    ) -> None:
        before = outcome.view.parked(order_id)
        parked = ParkedOrder(
            order_id=order_id,
            awaits=awaits,
            parked_at=before.parked_at if before is not None else now,
            deadline_at=before.deadline_at if before is not None else now + self._policy.parked_for,
            held=[_original(incoming.record) for incoming in queue],
        )
        if before is not None and before == parked:
            return
        outcome.view.put_parked(order_id, parked)
        outcome.outputs.append(Output(PARKED, order_id.encode(), self._codecs.parked.encode(parked)))
        outcome.outcomes["parked"] += 1

    def _unpark(self, order_id: OrderId, outcome: Outcome) -> None:
        outcome.view.put_parked(order_id, None)
        outcome.outputs.append(Output(PARKED, order_id.encode(), None))
        outcome.outcomes["released"] += 1

    def _reject(
        self,
        record: CapturedRecord | OriginalMessage,
        order_id: OrderId | None,
        violations: list[Violation],
        outcome: Outcome,
        now: datetime,
    ) -> None:
        original = _original(record)
        rejection = Rejection(
            rejection_id=str(uuid5(EVENT_NAMESPACE, f"{original.topic}/{original.partition}/{original.offset}")),
            stage="streams",
            order_id=order_id,
            violations=violations,
            rejected_at=now,
            code_version=self._policy.code_version,
            rules_version=self._policy.rules.version,
            original=original,
        )
        outcome.outputs.append(Output(REJECTED, original.key, self._codecs.rejections.encode(rejection)))
        outcome.outcomes["rejected"] += 1
        outcome.violated.update({violation.rule for violation in violations})


def _order_id(key: bytes | None) -> OrderId | None:
    return OrderId(key.decode()) if key is not None and key.isascii() else None


def _original(record: CapturedRecord | OriginalMessage) -> OriginalMessage:
    if isinstance(record, OriginalMessage):
        return record
    return OriginalMessage(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
        key=record.key,
        value=record.value,
        headers=[
            MessageHeader(key=name, value=value.encode() if isinstance(value, str) else value)
            for name, value in record.headers
        ],
    )


def _is_later(incoming: _Incoming, other: _Incoming) -> bool:
    """Whether `incoming` says more than `other` of its section; of two systems, the rules will judge."""
    ours, theirs = incoming.event.source, other.event.source
    return ours.system != theirs.system or ours.is_after(theirs)


def _is_told_twice(incoming: _Incoming, waiting: list[tuple[_Incoming, list[AwaitedRecord]]]) -> bool:
    """Whether the same message of a vendor waits already."""
    return incoming.section is Section.ANSWERS and any(
        other.section is Section.ANSWERS and other.section_bytes == incoming.section_bytes for other, _ in waiting
    )


def _held(waiting: list[tuple[_Incoming, list[AwaitedRecord]]]) -> int:
    return sum(len(incoming.record.value or b"") for incoming, _ in waiting)


def _says_more_than(queue: list[_Incoming], section: Section) -> bool:
    return any(incoming.section is not section for incoming in queue)


def _drop_superseded(waiting: list[tuple[_Incoming, list[AwaitedRecord]]]) -> int:
    """Where too much waits for one record of `orders.parked`, leave out images that newer ones replace."""
    held, dropped = _held(waiting), 0
    for entry in list(waiting):
        if entry[0].section is Section.ANSWERS:
            continue
        newer = [other for other, _ in waiting[waiting.index(entry) + 1 :] if other.section is entry[0].section]
        if held > _HELD_BYTES and newer:
            waiting.remove(entry)
            held -= len(entry[0].record.value or b"")
            dropped += 1
    return dropped


def _is_unchanged(incoming: _Incoming, previous: OrderState, sections: list[bytes]) -> bool:
    """Whether the facts are the ones that the latest version has: a snapshot taken again, a resync."""
    if incoming.section is Section.ORDER and (incoming.section_bytes == ABSENT or previous.order_status == DELETED):
        return incoming.section_bytes == ABSENT and previous.order_status == DELETED
    if incoming.section is Section.ANSWERS:
        return False
    known = previous.fulfilment
    if isinstance(incoming.event, FulfilmentCaptured) and known is not None and known.vendor_answers:
        return previous.fulfilment_source is not None and with_inventory(incoming.event.fulfilment, known) == known
    return incoming.section_bytes == sections[_SECTION_NUMBER[incoming.section]]

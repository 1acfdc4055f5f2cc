"""The history of one order as the topics tell it: what came, what became of it, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from deploy.record_reading import StoredRecord
from deploy.state_changes import Change, changes
from schemas.attributes import CanonicalModel
from schemas.fulfilment_parts import of_inventory
from schemas.models import (
    AuditEvent,
    AwaitedRecord,
    CapturedEvent,
    Fulfilment,
    JournalEntry,
    Mismatch,
    OrderEvent,
    OrderState,
    ParkedOrder,
    Rejection,
    RuleWarning,
    SourcePosition,
    VendorUpdate,
)
from schemas.topics import CUSTOMERS, FX_RATES, PRODUCTS
from streams.rules.facts import Section
from streams.rules.merging import is_news, merged_position
from streams.rules.ruleset import RuleSet

_SECTION_FIELDS = {Section.ORDER: "order", Section.FULFILMENT: "fulfilment", Section.SETTLEMENT: "settlement"}
"""Of a section that comes as a full image: its field in event and state."""


@dataclass(frozen=True, slots=True)
class CapturedFact:
    """One record of a captured topic about the order; `event` is None where its bytes are none."""

    record: StoredRecord
    event: CapturedEvent | None

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.record.topic, self.record.partition, self.record.offset


@dataclass(frozen=True, slots=True)
class Origin:
    """What an enrichment took from one master record, and which image of it that was."""

    topic: str
    key: str
    source: SourcePosition | None
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AskedRules:
    """The rules that were asked about a version's section: those in force when its source committed the fact."""

    section: Section
    rules_version: str
    in_force_since: str | None
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One version with everything that led to it and followed from it."""

    event: OrderEvent
    record: StoredRecord
    captured: CapturedFact | None
    """None where the captured topic, which keeps a month, no longer has it."""
    previous: OrderState | None
    rules: AskedRules
    entries: tuple[JournalEntry, ...]
    passed_by: tuple[str, ...] = ()
    """Consumer groups that have committed offsets behind it."""
    reckoned_changes: tuple[Change, ...] | None = None
    reckoned_origins: tuple[Origin, ...] | None = None
    """Where they were reckoned before something was taken out of the states."""

    @property
    def state(self) -> OrderState:
        """The whole order at this version."""
        return self.event.state

    @property
    def changes(self) -> list[Change]:
        """What differs from the version before; nothing for the first."""
        if self.reckoned_changes is not None:
            return list(self.reckoned_changes)
        return [] if self.previous is None else changes(self.previous, self.state)

    @property
    def warnings(self) -> Sequence[RuleWarning]:
        """What rules found without refusing the event."""
        return self.state.warnings

    @property
    def origins(self) -> list[Origin]:
        """Where its enrichment comes from, where it was taken anew with this version."""
        if self.reckoned_origins is not None:
            return list(self.reckoned_origins)
        before = None if self.previous is None else self.previous.enrichment
        return [] if self.state.enrichment == before else list(origins(self.state))


@dataclass(frozen=True, slots=True)
class ParkedPeriod:
    """A time in which events of the order waited; `until` is None while they do."""

    parked_at: datetime
    until: datetime | None
    deadline_at: datetime
    awaits: tuple[AwaitedRecord, ...]
    held: frozenset[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class ToldVendor:
    """What a vendor was told of its lines of the order."""

    record: StoredRecord
    update: VendorUpdate


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """Everything about one order that the topics hold."""

    order_id: str
    versions: tuple[Version, ...]
    captured: tuple[CapturedFact, ...]
    rejections: tuple[Rejection, ...]
    parked: tuple[ParkedPeriod, ...]
    audits: tuple[AuditEvent, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    vendor_updates: tuple[ToldVendor, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether any topic holds anything about it."""
        return bool(self.versions or self.captured or self.rejections or self.parked)

    @property
    def without_version(self) -> list[tuple[CapturedFact, str]]:
        """Captured records that made no version and are no dead letters, each with what became of it."""
        made = {version.captured.place for version in self.versions if version.captured is not None}
        refused = {(one.original.topic, one.original.partition, one.original.offset) for one in self.rejections}
        return [(fact, self._fate(fact)) for fact in self.captured if fact.place not in made | refused]

    def as_of(self, instant: datetime) -> OrderHistory:
        """What the topics told at an instant."""
        return replace(
            self,
            versions=tuple(version for version in self.versions if version.state.processed_at <= instant),
            captured=tuple(fact for fact in self.captured if fact.record.written_at <= instant),
            rejections=tuple(letter for letter in self.rejections if letter.rejected_at <= instant),
            parked=tuple(
                replace(period, until=None if period.until is not None and period.until > instant else period.until)
                for period in self.parked
                if period.parked_at <= instant
            ),
            audits=tuple(audit for audit in self.audits if audit.occurred_at <= instant),
            mismatches=tuple(one for one in self.mismatches if one.detected_at <= instant),
            vendor_updates=tuple(one for one in self.vendor_updates if one.record.written_at <= instant),
        )

    def _fate(self, fact: CapturedFact) -> str:
        if any(fact.place in period.held and period.until is None for period in self.parked):
            return "waits"
        if fact.event is None:
            return "unreadable, and not processed yet"
        if any(version.state.event_id == fact.event.event_id for version in self.versions):
            return "no effect: the same event again"
        state = self.versions[-1].state if self.versions else None
        section = Section(fact.record.topic)
        if section is Section.ANSWERS:
            is_known = state is not None and not is_news(section, fact.event, state)
            return "no effect: nothing newer than what was known" if is_known else "not processed yet"
        merged = merged_position(section, state)
        if merged is not None and merged.system == fact.event.source.system and not fact.event.source.is_after(merged):
            return "no effect: not newer than what was merged"
        facts = getattr(fact.event, _SECTION_FIELDS[section])
        if state is not None and facts == _own_part(getattr(state, _SECTION_FIELDS[section])):
            return "no effect: says what the order had already"
        if facts is None and (state is None or state.order_status == "deleted"):
            return "no effect: deletes what was not there"
        return "not processed yet, or replaced by a newer one while it waited"


@dataclass(slots=True)
class HistoryParts:
    """The decoded records of one order, in the order of their topics; `history` puts them together."""

    order_id: str
    events: list[tuple[StoredRecord, OrderEvent]] = field(default_factory=list)
    captured: list[CapturedFact] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    parked: list[tuple[StoredRecord, ParkedOrder | None]] = field(default_factory=list)
    postings: list[tuple[StoredRecord, JournalEntry]] = field(default_factory=list)
    audits: list[AuditEvent] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    vendor_updates: list[ToldVendor] = field(default_factory=list)
    group_offsets: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """Committed offset by group, topic and partition."""

    def history(self, rules: RuleSet) -> OrderHistory:
        """Everything in its place; `rules` are those that the stream workers run with."""
        captured = sorted(self.captured, key=lambda fact: (fact.record.timestamp, fact.place))
        return OrderHistory(
            self.order_id,
            tuple(self._versions(captured, rules)),
            tuple(captured),
            # A crash may repeat a letter of a sink; its id stays the same.
            tuple({letter.rejection_id: letter for letter in self.rejections}.values()),
            tuple(_periods(self.parked)),
            tuple(self.audits),
            tuple(self.mismatches),
            tuple(self.vendor_updates),
        )

    def _versions(self, captured: Sequence[CapturedFact], rules: RuleSet) -> Iterable[Version]:
        by_event: dict[str, CapturedFact] = {}
        refused = {(one.original.topic, one.original.partition, one.original.offset) for one in self.rejections}
        for fact in captured:
            if fact.event is not None and fact.place not in refused:
                by_event.setdefault(fact.event.event_id, fact)
        previous = None
        for record, event in self.events:
            entries = [(place, entry) for place, entry in self.postings if entry.order_version == event.state.version]
            yield Version(
                event,
                record,
                by_event.get(event.state.event_id),
                previous,
                asked_rules(event, rules),
                tuple(entry for _, entry in entries),
                self._passed_by([record, *(place for place, _ in entries[-1:])]),
            )
            previous = event.state

    def _passed_by(self, records: Sequence[StoredRecord]) -> tuple[str, ...]:
        """Groups that read all of the topics of these records which they read at all, beyond the records."""
        passed: dict[str, bool] = {}
        for (group, topic, partition), offset in self.group_offsets.items():
            for record in records:
                if (topic, partition) == (record.topic, record.partition):
                    passed[group] = passed.get(group, True) and offset > record.offset
        return tuple(sorted(group for group, is_behind in passed.items() if is_behind))


def _own_part(facts: Any) -> Any:
    """Of a fulfilment what inventory said."""
    return of_inventory(facts) if isinstance(facts, Fulfilment) else facts


def asked_rules(event: OrderEvent, rules: RuleSet) -> AskedRules:
    """Which rules judged the captured event of a version."""
    edition, section = rules.at(event.state.committed_at), Section(event.topic)
    since = None if edition.valid_from is None else edition.valid_from.isoformat()
    codes = tuple(one.rule.code for one in edition.by_section[section])
    return AskedRules(section, rules.version, since, codes)


def origins(state: OrderState) -> Iterable[Origin]:
    """The master records that a version's enrichment was taken from."""
    found = state.enrichment
    if found is None or state.order is None:
        return
    customer = {
        name: getattr(found, name)
        for name in ("customer_name", "customer_segment", "customer_region", "customer_ledger_account_key")
    }
    yield Origin(CUSTOMERS, state.order.buyer_customer_party_id, found.customer_source, _set(customer))
    if found.exchange_rate_source is not None:
        pair = f"{state.order.document_currency_code}:{found.functional_currency_code}"
        rate = {"exchange_rate": found.exchange_rate, "exchange_rate_provider": found.exchange_rate_provider}
        yield Origin(FX_RATES, f"{pair}:{found.exchange_rate_date}", found.exchange_rate_source, rate)
    for line in found.lines:
        taken = line.model_dump(exclude={"line_id", "product_id", "product_source"})
        yield Origin(PRODUCTS, line.product_id, line.product_source, {"line_id": line.line_id} | _set(taken))


def _set(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _periods(parked: Iterable[tuple[StoredRecord, ParkedOrder | None]]) -> Iterable[ParkedPeriod]:
    """Consecutive records of one waiting are one period; compaction may have left only the last of them."""
    current: ParkedPeriod | None = None
    for record, place in parked:
        if place is None:
            if current is not None:
                yield replace(current, until=record.written_at)
            current = None
            continue
        held = frozenset((one.topic, one.partition, one.offset) for one in place.held)
        awaits = dict.fromkeys([*(current.awaits if current is not None else ()), *place.awaits])
        current = ParkedPeriod(place.parked_at, None, place.deadline_at, tuple(awaits), held)
    if current is not None:
        yield current


def plain(model: CanonicalModel) -> dict[str, Any]:
    """A model as JSON has it."""
    document: dict[str, Any] = model.model_dump(mode="json")
    return document

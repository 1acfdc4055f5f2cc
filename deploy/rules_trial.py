"""Tries rules against what has happened: which accepted orders they would have refused, and the other way round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.attributes import CanonicalModel, EventId, OrderId
from schemas.fulfilment_parts import of_inventory
from schemas.models import (
    CapturedEvent,
    FulfilmentCaptured,
    OrderCaptured,
    OrderEvent,
    OrderState,
    PaymentsCaptured,
    SourcePosition,
    VendorAnswered,
)
from streams.rules.decision import judge
from streams.rules.enrichment import EnrichmentPolicy, missing_records
from streams.rules.facts import Candidate, MasterData, Section
from streams.rules.merging import DELETED, merge, merged_position
from streams.rules.ruleset import Edition


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """A captured event that was refused, and when."""

    event: CapturedEvent
    rejected_at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """All versions (in the order of each order's versions), and the captured events that were refused."""

    versions: list[OrderEvent]
    refused: list[RefusedEvent]
    answers: Mapping[EventId, VendorAnswered] = field(default_factory=dict)
    """What vendors answered: a version does not tell the message that made it."""


@dataclass(slots=True)
class TrialResult:
    """What would be otherwise; each order once, however many of its events it concerns."""

    since: datetime
    events: int = 0
    orders: set[OrderId] = field(default_factory=set)
    newly_rejected: dict[OrderId, list[str]] = field(default_factory=dict)
    newly_accepted: set[OrderId] = field(default_factory=set)
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    """Versions that an answer of a vendor made which its topic does not tell any more."""

    @property
    def differing_rules(self) -> list[str]:
        """Rules that have more or less to say than before."""
        return [code for code in sorted({**self.before, **self.after}) if self.before[code] != self.after[code]]

    @property
    def summary(self) -> str:
        """The answer in one sentence."""
        return (
            f"This change would have rejected {len(self.newly_rejected)} orders that were accepted since "
            f"{self.since:%F}, and accepted {len(self.newly_accepted)} that were rejected; "
            f"{len(self.orders)} orders were looked at."
        ) + (
            f" {self.left_out} versions that vendors' answers made were not judged: the answers are not on "
            f"{Section.ANSWERS.value} any more."
            if self.left_out
            else ""
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """Judges the past by two editions, with the master data of its time as far as the topics still tell it."""

    master: MasterData
    before: Edition
    after: Edition
    since: datetime

    def run(self, history: History) -> TrialResult:
        """Judge every event that was committed since."""
        result = TrialResult(self.since)
        for event, previous, policy in _decisions(history):
            if event.committed_at >= self.since:
                self._compare(event, previous, policy, result)
        made = (version.state for version in history.versions if version.topic == Section.ANSWERS.value)
        result.left_out = sum(
            state.committed_at >= self.since and state.event_id not in history.answers for state in made
        )
        return result

    def _compare(
        self, event: CapturedEvent, previous: OrderState | None, policy: EnrichmentPolicy, result: TrialResult
    ) -> None:
        candidate = merge(section_of(event), event, previous)
        if candidate.order is None:
            return
        missing_records(candidate, self.master.as_of(event.committed_at, candidate.order.issue_date), policy)
        result.events += 1
        result.orders.add(event.order_id)
        was_refused = self._judged(candidate, self.before, result.before)
        reasons = self._judged(candidate, self.after, result.after)
        if reasons and not was_refused:
            result.newly_rejected.setdefault(event.order_id, []).extend(reasons)
        if was_refused and not reasons:
            result.newly_accepted.add(event.order_id)

    def _judged(self, candidate: Candidate, edition: Edition, counted: Counter[str]) -> list[str]:
        violations, warnings = judge(candidate, edition)
        counted.update({violation.rule for violation in violations} | {warning.rule for warning in warnings})
        return [f"{violation.rule}: {violation.message}" for violation in violations]


def section_of(event: CapturedEvent) -> Section:
    """The section that an event is about."""
    if isinstance(event, OrderCaptured):
        return Section.ORDER
    if isinstance(event, VendorAnswered):
        return Section.ANSWERS
    return Section.FULFILMENT if isinstance(event, FulfilmentCaptured) else Section.SETTLEMENT


def _decisions(history: History) -> Iterator[tuple[CapturedEvent, OrderState | None, EnrichmentPolicy]]:
    """Every event with the version that it met, as it is known from the versions that were made."""
    by_order: dict[OrderId, list[OrderEvent]] = {}
    for version in history.versions:
        by_order.setdefault(version.state.order_id, []).append(version)
    for versions in by_order.values():
        previous: OrderState | None = None
        for version in versions:
            event = _captured(version, history.answers)
            if event is not None:
                yield event, previous, _policy(version.state)
            previous = version.state
    for refused in history.refused:
        known = _known_at(by_order.get(refused.event.order_id, []), refused.rejected_at)
        yield refused.event, known, _policy(known)


def _known_at(versions: Iterable[OrderEvent], instant: datetime) -> OrderState | None:
    known = [version.state for version in versions if version.state.processed_at <= instant]
    return known[-1] if known else None


def _policy(state: OrderState | None) -> EnrichmentPolicy:
    enrichment = state.enrichment if state is not None else None
    return EnrichmentPolicy() if enrichment is None else EnrichmentPolicy(enrichment.functional_currency_code)


_MODELS: Mapping[Section, tuple[type[CapturedEvent], str]] = {
    Section.ORDER: (OrderCaptured, "order"),
    Section.FULFILMENT: (FulfilmentCaptured, "fulfilment"),
    Section.SETTLEMENT: (PaymentsCaptured, "settlement"),
}


def _captured(version: OrderEvent, answers: Mapping[EventId, VendorAnswered]) -> CapturedEvent | None:
    """The captured event that made a version; None of an answer that is not told any more."""
    section, state = Section(version.topic), version.state
    if section is Section.ANSWERS:
        return answers.get(state.event_id)
    model, name = _MODELS[section]
    facts: CanonicalModel | None = of_inventory(state.fulfilment) if name == "fulfilment" else getattr(state, name)
    if section is Section.ORDER and state.order_status == DELETED:
        facts = None
    source: SourcePosition | None = merged_position(section, state)
    assert source is not None, "a version has the position of the section that made it"
    return model.model_validate(
        {
            "event_id": state.event_id,
            "order_id": state.order_id,
            "operation": "deleted" if facts is None else "upserted",
            "source": source,
            "committed_at": state.committed_at,
            "captured_at": version.captured_at,
            name: facts,
        }
    )

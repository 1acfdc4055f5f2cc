"""The decision about one captured event: a new version, a wait, a refusal, or no effect. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from schemas.errors import InvalidValue
from schemas.models import (
    AwaitedRecord,
    CapturedEvent,
    JournalEntry,
    OrderState,
    RuleWarning,
    SourcePosition,
    Violation,
)
from streams.rules import accounting
from streams.rules.catalogue import Severity
from streams.rules.enrichment import EnrichmentPolicy, enrich, missing_records
from streams.rules.facts import Candidate, MasterData, Section
from streams.rules.history import event_type
from streams.rules.merging import is_news, merge, merged_position
from streams.rules.ruleset import Edition, RuleSet
from streams.rules.statuses import statuses

__all__ = ["Accepted", "Decision", "Ignored", "Knowledge", "Refused", "Waiting", "decide", "judge"]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a decision rests on beside the event and the order: master data, finance's policy, and the rules."""

    master: MasterData
    policy: EnrichmentPolicy
    rules: RuleSet


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event makes a new version."""

    event_type: str
    state: OrderState
    entries: list[JournalEntry]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The event waits for records that nobody knows yet."""

    awaits: list[AwaitedRecord]


@dataclass(frozen=True, slots=True)
class Refused:
    """The event violates rules."""

    violations: list[Violation]


@dataclass(frozen=True, slots=True)
class Ignored:
    """The event has no effect: a duplicate, an older image, or the deletion of an order that was never placed."""

    outcome: str


NEVER_PLACED = Ignored("never_placed")
"""The source deleted an order that never became a version."""

Decision = Accepted | Waiting | Refused | Ignored


def decide(
    section: Section,
    event: CapturedEvent,
    previous: OrderState | None,
    knowledge: Knowledge,
    now: datetime,
) -> Decision:
    """Decide about `event` on an order whose latest version is `previous`.

    Called once for each record of a captured topic, and again for those that waited. Every violated rule is
    reported, not only the first. The same arguments give the same decision, ids included.
    """
    if not is_news(section, event, previous):
        return Ignored("duplicate")
    candidate, policy = merge(section, event, previous), knowledge.policy
    if section is Section.ORDER and candidate.order is None:
        return NEVER_PLACED
    if candidate.order is not None:
        knowledge = replace(knowledge, master=knowledge.master.as_of(event.committed_at, candidate.order.issue_date))
    try:
        missing = missing_records(candidate, knowledge.master, policy)
        violations, warnings = judge(candidate, knowledge.rules.at(event.committed_at))
        if violations:
            return Refused(violations)
        if missing:
            return Waiting(missing)
        state = _version(candidate, warnings, knowledge, now)
        return Accepted(event_type(candidate), state, accounting.journal_entries(previous, state))
    except InvalidValue as exc:
        return Refused([Violation(rule=exc.rule, message=str(exc), field=exc.field)])
    except ArithmeticError:
        message = "the order's amounts and quantities are too large to be multiplied; correct them at the source"
        return Refused([Violation(rule="amount_range", message=message)])


def judge(candidate: Candidate, edition: Edition) -> tuple[list[Violation], list[RuleWarning]]:
    """Every violation of a candidate, and the warnings that its version will name.

    What rules warned of that are not asked about this section still holds: nothing that they look at has changed.
    """
    violations: list[Violation] = []
    warnings: list[RuleWarning] = _kept_warnings(candidate, edition)
    if candidate.section is Section.ORDER and edition.screening.is_plain(candidate):
        return violations, warnings
    for one in edition.by_section[candidate.section]:
        for finding in one.findings(candidate):
            if one.severity is Severity.ERROR:
                violations.append(Violation(rule=one.rule.code, message=finding.message, field=finding.field))
            else:
                warnings.append(RuleWarning(rule=one.rule.code, message=finding.message))
    warnings.sort(key=lambda warning: edition.places[warning.rule])
    return violations, warnings


def _kept_warnings(candidate: Candidate, edition: Edition) -> list[RuleWarning]:
    if candidate.previous is None or not candidate.previous.warnings:
        return []
    asked = {one.rule.code for one in edition.by_section[candidate.section]}
    return [
        warning
        for warning in candidate.previous.warnings
        if warning.rule in edition.places and warning.rule not in asked
    ]


def _version(
    candidate: Candidate,
    warnings: list[RuleWarning],
    knowledge: Knowledge,
    now: datetime,
) -> OrderState:
    previous, event = candidate.previous, candidate.event
    assert candidate.order is not None, "an order without commercial facts waits"
    axes = statuses(candidate.order, candidate.fulfilment, candidate.settlement, is_deleted=candidate.is_deleted)
    return OrderState.trusted(
        order_id=event.order_id,
        version=1 if previous is None else previous.version + 1,
        order_status=axes.order,
        fulfilment_status=axes.fulfilment,
        billing_status=axes.billing,
        payment_status=axes.payment,
        placed_at=event.committed_at if previous is None else previous.placed_at,
        committed_at=event.committed_at,
        processed_at=now,
        event_id=event.event_id,
        order_source=_position(candidate, Section.ORDER),
        fulfilment_source=_position(candidate, Section.FULFILMENT),
        settlement_source=_position(candidate, Section.SETTLEMENT),
        warnings=warnings,
        enrichment=enrich(candidate, knowledge.master, knowledge.policy),
        order=candidate.order,
        fulfilment=candidate.fulfilment,
        settlement=candidate.settlement,
    )


def _position(candidate: Candidate, section: Section) -> SourcePosition | None:
    return candidate.event.source if section is candidate.section else merged_position(section, candidate.previous)

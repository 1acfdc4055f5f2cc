"""Tells an order's history: lines for people, and a document for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from deploy.order_history import CapturedFact, OrderHistory, ParkedPeriod, ToldVendor, Version, plain
from deploy.state_changes import fields_of
from schemas.models import JournalEntry, OrderState, Rejection, SourcePosition
from streams.rules.facts import Section

_SECTIONS = {
    Section.ORDER: "commercial facts",
    Section.FULFILMENT: "fulfilment",
    Section.SETTLEMENT: "settlement",
    Section.ANSWERS: "vendors' answers",
}


def lines_of(history: OrderHistory) -> Iterator[str]:
    """The whole history, in the order of time; one paragraph for each thing that happened."""
    if history.versions:
        yield f"order {history.order_id} is {summary(history.versions[-1].state)}"
    else:
        yield f"order {history.order_id} has no version"
    told: list[tuple[datetime, list[str]]] = []
    told += [(version.state.processed_at, list(version_lines(version))) for version in history.versions]
    told += [(letter.rejected_at, list(_rejection(letter))) for letter in history.rejections]
    told += [(period.parked_at, list(_parked(period))) for period in history.parked]
    told += [(fact.record.written_at, list(_without_version(fact, fate))) for fact, fate in history.without_version]
    told += [
        (audit.occurred_at, [f"{audit.action} by {audit.actor} at {instant(audit.occurred_at)}: {audit.reason}"])
        for audit in history.audits
    ]
    told += [(one.record.written_at, [_vendor(one)]) for one in history.vendor_updates]
    for _, paragraph in sorted(told, key=lambda entry: entry[0]):
        yield ""
        yield from paragraph
    for mismatch in history.mismatches:
        yield ""
        yield (
            f"MISMATCH since {instant(mismatch.detected_at)}: {mismatch.system} {mismatch.field or mismatch.kind}: "
            f"{mismatch.reference} has {mismatch.expected}, {mismatch.system} has {mismatch.actual}"
        )


def version_lines(version: Version) -> Iterator[str]:
    """One version: what came, which rules ran, what was enriched, what was emitted."""
    state, event = version.state, version.event
    yield f"version {state.version}  {event.event_type}  {instant(state.processed_at)}"
    yield _told("came", _came(version))
    rules = version.rules
    since = "" if rules.in_force_since is None else f", in force since {rules.in_force_since}"
    found = f"{len(version.warnings)} warnings" if version.warnings else "nothing found"
    yield _told("rules", f"{len(rules.codes)} asked about {_SECTIONS[rules.section]} ({rules.rules_version}{since})")
    yield _told("", found)
    for warning in version.warnings:
        yield _told("", f"warning {warning.rule}: {warning.message}")
    for number, origin in enumerate(version.origins):
        taken = ", ".join(f"{name} {_value(value)}" for name, value in origin.attributes.items())
        source = "origin unknown" if origin.source is None else position(origin.source)
        yield _told("" if number else "enriched", f"{taken}  <- {origin.topic} {origin.key} ({source})")
    if not version.origins and state.enrichment is not None:
        yield _told("enriched", "kept from the version before")
    if version.previous is None:
        yield _told("changed", f"first version; {summary(state)}")
    for number, change in enumerate(version.changes):
        text = f"{change.path}: {_value(change.before)} -> {_value(change.after)}"
        yield _told("" if number else "changed", text)
    if version.previous is not None and not version.changes:
        yield _told("changed", "nothing but the source position")
    for number, entry in enumerate(version.entries):
        yield from _entry(entry, "" if number else "posted")
    yield _told("emitted", f"{version.record.topic}[{version.record.partition}] at {version.record.offset}")
    yield _told("read by", ", ".join(version.passed_by) or "no consumer group yet")


def _vendor(told: ToldVendor) -> str:
    one = told.update
    lines = ", ".join(f"{line.line_id} {line.line_status}" for line in one.lines)
    shipment = "" if one.shipment_id is None else f" {one.shipment_id}"
    return (
        f"vendor {one.vendor_id} was told {one.update_type}{shipment} of version {one.order_version} at "
        f"{instant(told.record.written_at)}: lines {lines} ({one.sequence})"
    )


def state_lines(state: OrderState) -> Iterator[str]:
    """Every field of a state that is set."""
    for path, value in fields_of(state):
        yield f"  {path} = {_value(value)}"


def summary(state: OrderState) -> str:
    """A state in one line."""
    statuses = (state.order_status, state.fulfilment_status, state.billing_status, state.payment_status)
    order = state.order
    amount = "" if order is None else f"; {_value(order.payable_amount)} {order.document_currency_code}"
    lines = "" if order is None else f", {len(order.order_lines)} lines, customer {order.buyer_customer_party_id}"
    return f"version {state.version}, {', '.join(statuses)}{amount}{lines}"


def document_of(history: OrderHistory) -> dict[str, Any]:
    """The whole history for machines."""
    return {
        "order_id": history.order_id,
        "versions": [_version(version) for version in history.versions],
        "rejections": [letter.model_dump(mode="json", exclude={"original"}) for letter in history.rejections],
        "parked": [
            {
                "parked_at": period.parked_at,
                "until": period.until,
                "deadline_at": period.deadline_at,
                "awaits": [plain(record) for record in period.awaits],
            }
            for period in history.parked
        ],
        "without_version": [_captured(fact) | {"outcome": fate} for fact, fate in history.without_version],
        "vendor_updates": [plain(one.update) for one in history.vendor_updates],
        "audits": [plain(audit) for audit in history.audits],
        "mismatches": [plain(mismatch) for mismatch in history.mismatches],
    }


def instant(at: datetime) -> str:
    """A time as people read it."""
    return f"{at:%F %T.%f}"[:-3] + "Z"


def position(source: SourcePosition) -> str:
    """A source position as people read it."""
    return f"{source.system}, transaction {source.transaction_id}, position {source.position}, no. {source.sequence}"


def _version(version: Version) -> dict[str, Any]:
    return {
        "version": version.state.version,
        "event_type": version.event.event_type,
        "record": _place(version.record.topic, version.record.partition, version.record.offset),
        "captured": None if version.captured is None else _captured(version.captured),
        "rules": {
            "section": version.rules.section.value,
            "version": version.rules.rules_version,
            "in_force_since": version.rules.in_force_since,
            "asked": version.rules.codes,
        },
        "warnings": [plain(warning) for warning in version.warnings],
        "origins": [
            {
                "topic": origin.topic,
                "key": origin.key,
                "source": None if origin.source is None else plain(origin.source),
                "attributes": origin.attributes,
            }
            for origin in version.origins
        ],
        "changes": [{"path": one.path, "before": one.before, "after": one.after} for one in version.changes],
        "journal_entries": [plain(entry) for entry in version.entries],
        "passed_by": version.passed_by,
        "state": plain(version.state),
    }


def _captured(fact: CapturedFact) -> dict[str, Any]:
    record, event = fact.record, fact.event
    header = {} if event is None else {name: plain(event)[name] for name in _HEADER}
    return _place(record.topic, record.partition, record.offset) | {"written_at": record.written_at} | header


_HEADER = ("event_id", "operation", "source", "committed_at", "captured_at")


def _place(topic: str, partition: int, offset: int) -> dict[str, Any]:
    return {"topic": topic, "partition": partition, "offset": offset}


def _came(version: Version) -> str:
    fact, state = version.captured, version.state
    committed = f"committed {instant(state.committed_at)}, captured {instant(version.event.captured_at)}"
    if fact is None or fact.event is None:
        return f"event {state.event_id} on {version.event.topic}, which no longer has it; {committed}"
    source = position(fact.event.source)
    return f"{_at(fact)}: {fact.event.operation} by {source}; {committed}"


def _at(fact: CapturedFact) -> str:
    return f"{fact.record.topic}[{fact.record.partition}] at {fact.record.offset}"


def _rejection(letter: Rejection) -> Iterator[str]:
    original = letter.original
    yield f"REJECTED  {instant(letter.rejected_at)} by {letter.stage}"
    yield _told("came", f"{original.topic}[{original.partition}] at {original.offset}")
    yield _told("judged by", f"rules {letter.rules_version or 'of the capture'}, code {letter.code_version}")
    for violation in letter.violations:
        yield _told("", f"{violation.rule}: {violation.message}")
    yield _told("dead letter", f"{letter.rejection_id}: `ordersync dead-letters show` has its bytes")


def _parked(period: ParkedPeriod) -> Iterator[str]:
    until = "still waiting" if period.until is None else f"until {instant(period.until)}"
    yield f"PARKED    {instant(period.parked_at)} {until}"
    yield _told("waits for", ", ".join(f"{one.key} on {one.topic}" for one in period.awaits) or "its order's events")
    if period.until is None:
        yield _told("deadline", f"{instant(period.deadline_at)}, then {len(period.held)} held events are refused")


def _without_version(fact: CapturedFact, fate: str) -> Iterator[str]:
    yield f"CAPTURED  {instant(fact.record.written_at)} {fate}"
    came = _at(fact) if fact.event is None else f"{_at(fact)}: {fact.event.operation} by {position(fact.event.source)}"
    yield _told("came", came)


def _entry(entry: JournalEntry, label: str) -> Iterator[str]:
    yield _told(label, f"{entry.posting_date} {entry.description} ({entry.rule}, {entry.standard_reference})")
    for line in entry.lines:
        side = "debit" if line.debit_amount else "credit"
        amount = _value(line.debit_amount or line.credit_amount)
        yield _told("", f"  {line.account_code} {side} {amount} {entry.currency_code}")


def _told(label: str, text: str) -> str:
    return f"  {label:<12}{text}"


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        shown = f"{value:f}"
        return shown.rstrip("0").rstrip(".") if "." in shown else shown
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} {_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_listed(value)) + "]"
    return str(value)


def _listed(values: Iterable[Any]) -> Iterator[str]:
    return (_value(value) for value in values)

"""An order's history for those who may not see who it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deploy.order_history import CapturedFact, OrderHistory, Origin, ToldVendor, Version
from deploy.state_changes import Change
from schemas.masking import (
    MASK,
    is_personal_name,
    masked,
    masked_changes,
    masked_mismatch,
    masked_value,
    personal_values,
    without_values,
)
from schemas.models import AuditEvent, OrderState, Rejection, Violation


def masked_history(history: OrderHistory) -> OrderHistory:
    """The whole history without personal values; that something changed is still told."""
    return replace(
        history,
        versions=tuple(map(_version, history.versions)),
        captured=tuple(map(_captured, history.captured)),
        rejections=tuple(map(masked_rejection, history.rejections)),
        audits=tuple(map(masked_deed, history.audits)),
        mismatches=tuple(map(masked_mismatch, history.mismatches)),
        vendor_updates=tuple(ToldVendor(one.record, masked(one.update)) for one in history.vendor_updates),
    )


def masked_violation(violation: Violation) -> Violation:
    """What is wrong with a personal attribute is told by the rule and the field only: messages may repeat the value."""
    if violation.field is None or not is_personal_name(violation.field):
        return violation
    return violation.model_copy(update={"message": MASK})


def masked_rejection(letter: Rejection) -> Rejection:
    """Its reasons; the original is bytes, which nobody shows as they are without the right."""
    return letter.model_copy(update={"violations": [masked_violation(one) for one in letter.violations]})


def masked_deed(deed: AuditEvent) -> AuditEvent:
    """A deed without the person, and without the personal values that it changed."""
    return masked(deed).model_copy(update={"changes": masked_changes(deed.changes)})


def masked_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a database behind a sink, whose columns are named as the attributes are."""
    return {name: MASK if value not in (None, "") and is_personal_name(name) else value for name, value in row.items()}


def _version(version: Version) -> Version:
    values = set(personal_values(version.state))
    event = masked(version.event)
    warnings = [
        one.model_copy(update={"message": without_values(one.message, values)}) for one in version.state.warnings
    ]
    event = event.model_copy(update={"state": event.state.model_copy(update={"warnings": warnings})})
    return replace(
        version,
        event=event,
        captured=None if version.captured is None else _captured(version.captured),
        previous=None if version.previous is None else masked(version.previous),
        reckoned_changes=tuple(map(_change, version.changes)),
        reckoned_origins=tuple(map(_origin, version.origins)),
    )


def _captured(fact: CapturedFact) -> CapturedFact:
    return fact if fact.event is None else CapturedFact(fact.record, masked(fact.event))


def _change(change: Change) -> Change:
    before = masked_value(OrderState, change.path, change.before)
    return Change(change.path, before, masked_value(OrderState, change.path, change.after))


def _origin(origin: Origin) -> Origin:
    return replace(origin, attributes=masked_row(origin.attributes))

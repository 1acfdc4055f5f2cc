"""What was asked, approved, rejected and used, as the audit tells it. Pure: the state follows from the events.

The first decision about a request on the topic is the one that counts, and so is the first use: whoever comes second
reads it there. What the rules do not let count is left out, even where somebody wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from deploy.audit.policy import Kind, is_same_person
from schemas.canonical_bytes import number, sized_text
from schemas.models import AuditEvent

REQUESTED: Final = "ApprovalRequested"
APPROVED: Final = "ApprovalGranted"
REJECTED: Final = "ApprovalRefused"
USED: Final = "ApprovalUsed"
_SUBJECT: Final = "approval/"


class State(StrEnum):
    """Where a request stands."""

    WAITS = "waits"
    APPROVED = "approved"
    REJECTED = "rejected"
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Request:
    """One deed that somebody asked for; bound to exactly what will be done by the hash of it."""

    request_id: str
    kind: Kind
    content: str
    """SHA-256 of what will be done, in hex."""
    requester: str
    reason: str
    told: tuple[str, ...]
    """What will be done, for people."""
    requested_at: datetime
    state: State = State.WAITS
    decider: str | None = None
    decision: str | None = None
    use_id: str | None = None
    """The audit's id of its one use."""

    def at(self, now: datetime, expires_hours: float) -> Request:
        """As it stands now: what was not used in time is expired."""
        is_over = now > self.requested_at + timedelta(hours=expires_hours)
        return replace(self, state=State.EXPIRED) if is_over and self.state in (State.WAITS, State.APPROVED) else self


def subject_of(kind: Kind) -> str:
    """The subject, and so the key, of every event about approvals of a kind: readers find them without decoding."""
    return f"{_SUBJECT}{kind}"


def is_about_approvals(key: str) -> bool:
    """Whether a record of the audit is one of those."""
    return key.startswith(_SUBJECT)


def content_hash(kind: Kind, parts: Sequence[str]) -> str:
    """SHA-256 of what will be done, in hex: of each part that says something about it, in their order."""
    sized = [part for text in (str(kind), *parts) for part in sized_text(text)]
    return sha256(b"".join([number(len(parts)), *sized])).hexdigest()


def requests_of(events: Iterable[AuditEvent]) -> dict[str, Request]:
    """Every request by its id, in the order in which they were made."""
    found: dict[str, Request] = {}
    for event in events:
        if event.action == REQUESTED:
            request = _request(event)
            if request is not None:
                found.setdefault(event.audit_id, request)
        elif event.reference in found:
            found[event.reference] = _after(found[event.reference], event)
    return found


def _request(event: AuditEvent) -> Request | None:
    kind = event.subject.removeprefix(_SUBJECT)
    if kind not in list(Kind) or event.reference is None:
        return None
    return Request(
        request_id=event.audit_id,
        kind=Kind(kind),
        content=event.reference,
        requester=event.actor,
        reason=event.reason or "",
        told=tuple(event.changes),
        requested_at=event.occurred_at,
    )


def _after(request: Request, event: AuditEvent) -> Request:
    if event.subject != subject_of(request.kind):
        return request
    if event.action in (APPROVED, REJECTED) and request.state is State.WAITS:
        # Also where somebody wrote it past our commands.
        if event.action == APPROVED and is_same_person(event.actor, request.requester):
            return request
        state = State.APPROVED if event.action == APPROVED else State.REJECTED
        return replace(request, state=state, decider=event.actor, decision=event.reason)
    if event.action == USED and request.state is State.APPROVED:
        return replace(request, state=State.USED, use_id=event.audit_id)
    return request

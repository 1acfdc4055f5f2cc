"""The hash chains of `audit.events`: how a deed becomes an event, and which faults a reader finds. Pure.

Each process that writes has a chain of its own: `begin_chain` at its start, then `next_event` for each deed, in the
order in which the events reach the topic. Nobody else writes into that chain, so that writers need not wait for each
other, and one that died leaves a chain that simply ends. `producers.auditing.AuditWriter` does it for whoever has no
transaction of its own.

`hash = SHA-256(previous_hash ‖ event)`, in the bytes of `schemas.canonical_bytes`:

    format, writer, chain_id, sequence, audit_id, actor, identified_by, action, subject, reference,
    number of changes, each change, reason, approval_id, occurred_at in microseconds since 1970
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import uuid4

from schemas.canonical_bytes import number, sized_text
from schemas.codec.scalars import datetime_to_micros
from schemas.models import AuditEvent

_FORMAT: Final = "ordersync.audit/1"


class Identity(StrEnum):
    """How the actor of a deed is known."""

    SIGN_IN = "sign-in"
    """They gave their password to the console."""
    SYSTEM_USER = "system-user"
    """The operating system's user that ran the command."""
    CREDENTIAL = "credential"
    """A program that showed its key or token."""
    STATED = "stated"
    """Named by whoever ran the command; nothing proves it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who does something, and how that is known."""

    name: str
    identified_by: Identity = Identity.STATED


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did; `reference` is what it acted on, or the address that it came from."""

    actor: str
    action: str
    subject: str
    reference: str | None = None
    reason: str | None = None
    changes: list[str] = field(default_factory=list)
    identified_by: Identity = Identity.STATED
    approval_id: str | None = None
    audit_id: str = field(default_factory=lambda: str(uuid4()), compare=False)


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of one chain: the number of the next event, and the hash that it builds on."""

    writer: str
    chain_id: str
    sequence: int = 0
    hash: bytes = bytes(32)


def begin_chain(writer: str) -> AuditHead:
    """A chain that nobody else has; called once by each process that writes, and again after a failed delivery."""
    return AuditHead(writer, str(uuid4()))


def next_event(head: AuditHead, deed: Deed, now: datetime) -> tuple[AuditEvent, AuditHead]:
    """The event that tells of a deed, and the head after it.

    Who writes keeps the new head once the event is on its way; events of one chain reach the topic in their order and
    without a gap, or the chain is left and another begun.
    """
    told = AuditEvent(
        audit_id=deed.audit_id,
        actor=deed.actor,
        identified_by=deed.identified_by,
        action=deed.action,
        subject=deed.subject,
        reference=deed.reference,
        changes=list(deed.changes),
        reason=deed.reason,
        approval_id=deed.approval_id,
        occurred_at=now,
        writer=head.writer,
        chain_id=head.chain_id,
        sequence=head.sequence,
        previous_hash=head.hash,
        hash=b"",
    )
    event = told.model_copy(update={"hash": event_hash(told)})
    return event, replace(head, sequence=head.sequence + 1, hash=event.hash)


def chained(head: AuditHead, deeds: Iterable[Deed], now: datetime) -> tuple[list[AuditEvent], AuditHead]:
    """The events of several deeds, and the head after the last."""
    events = []
    for deed in deeds:
        event, head = next_event(head, deed, now)
        events.append(event)
    return events, head


def event_hash(event: AuditEvent) -> bytes:
    """The hash that an event with this content has."""
    parts: list[bytes] = [event.previous_hash]
    for text in (_FORMAT, event.writer, event.chain_id):
        parts += sized_text(text)
    parts.append(number(event.sequence))
    told = (event.audit_id, event.actor, event.identified_by, event.action, event.subject, event.reference)
    for part in (*told, *_counted(event.changes), event.reason, event.approval_id):
        parts += (part,) if isinstance(part, bytes) else sized_text(part)
    parts.append(number(datetime_to_micros(event.occurred_at)))
    return sha256(b"".join(parts)).digest()


def _counted(changes: Sequence[str]) -> tuple[bytes | str, ...]:
    return (number(len(changes)), *changes)

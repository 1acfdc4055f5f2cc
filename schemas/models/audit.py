"""Who did what to the synchronized data."""

from __future__ import annotations

from schemas.attributes import CanonicalModel, Instant, attribute


class AuditEvent(CanonicalModel, classification="confidential"):
    """One deed of a person or process (topic `audit.events`)."""

    audit_id: str = attribute("UUID of the deed")
    actor: str = attribute("Who", classification="personal")
    action: str = attribute("What, past tense: DeadLetterReplayed, OrderRepaired ...")
    subject: str = attribute("About what: an order id, a topic, a mapping")
    reference: str | None = attribute("What it acted on: the id of a dead letter", default=None)
    changes: list[str] = attribute("What it changed, each as path: before -> after", default=[])
    reason: str | None = attribute("Why, in the actor's words", default=None)
    occurred_at: Instant = attribute("When", unit="UTC")

"""Who did what to the synchronized data."""

from __future__ import annotations

from pydantic import ConfigDict

from schemas.attributes import CanonicalModel, Instant, attribute


class AuditEvent(CanonicalModel, classification="confidential"):
    """One deed of a person or process (topic `audit.events`), a link of its writer's hash chain.

    Made by `schemas.audit_chain.next_event`, never by hand: the hash covers every other attribute.
    """

    model_config = ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")

    audit_id: str = attribute("UUID of the deed")
    actor: str = attribute("Who", classification="personal")
    identified_by: str = attribute("How the actor is known: sign-in, system-user, credential or stated")
    action: str = attribute("What, past tense: DeadLetterReplayed, OrderRepaired ...")
    subject: str = attribute("About what: an order id, a topic, a mapping")
    reference: str | None = attribute("What it acted on: the id of a dead letter", default=None)
    changes: list[str] = attribute("What it changed, each as path: before -> after", default=[])
    reason: str | None = attribute("Why, in the actor's words", default=None)
    approval_id: str | None = attribute("The request that a second person approved, where one had to", default=None)
    occurred_at: Instant = attribute("When", unit="UTC")
    writer: str = attribute("Who wrote it down: the user of the cluster that the process is")
    chain_id: str = attribute("UUID of the chain; each process that writes begins one of its own")
    sequence: int = attribute("Number of the event in its chain, from 0")
    previous_hash: bytes = attribute("Hash of the event before it in its chain; 32 zero bytes for the first")
    hash: bytes = attribute("SHA-256 over all other attributes")

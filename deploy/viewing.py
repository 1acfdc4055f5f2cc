"""Lets somebody at the command line see what tells of persons: the audit has it before it is shown."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from deploy.commands.options import Cluster
from producers.auditing import AuditWriter
from schemas.audit_chain import Actor, Deed
from schemas.registry import SchemaRegistry

_CLIENT_ID = "ordersync-cli"


@dataclass(frozen=True, slots=True)
class Viewing:
    """Who sees the personal data of which order, and why."""

    actor: Actor
    subject: str
    reason: str
    reference: str | None = None


def tell(viewing: Viewing, cluster: Cluster) -> None:
    """Return when the audit has it. Raises Transient where it cannot be written: nothing may be shown then."""
    actor = viewing.actor
    deed = Deed(
        actor.name,
        "PersonalDataViewed",
        viewing.subject,
        viewing.reference,
        viewing.reason,
        identified_by=actor.identified_by,
    )
    with (
        closing(SchemaRegistry(cluster.registry)) as registry,
        AuditWriter(cluster.kafka, registry, _CLIENT_ID) as audit,
    ):
        audit.record(deed)

"""Puts together what a repair needs: captures that read again, restorations, and the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from consumers.reconcile.comparison import ERP, LEDGER
from consumers.reconcile.repair import Author, RepairOutcome, Workshop, perform, planned
from consumers.reconcile.report import Report
from consumers.reconcile.restoration import ErpRestoration, LedgerRestoration
from consumers.reconcile.settings import ReconcileSettings
from consumers.reconcile.source import SourceReader
from deploy.signals import send_signal
from producers.auditing import AuditWriter
from schemas.audit_chain import Deed
from schemas.codec.topic import SchemaIds
from schemas.models import CaptureSignal

_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be repaired; without an author it is only told what would be done."""

    report: Report
    order_ids: frozenset[str]
    """Only these; empty for all."""
    author: Author | None


def mend(order: Order, settings: ReconcileSettings, schemas: SchemaIds) -> list[RepairOutcome]:
    """Repair what the report says; called by `ordersync reconcile --repair`. At least once, and audited beforehand.

    Raises:
        ConfigurationError: a role's rights do not serve.
        Transient: a system is away.
    """
    found = [
        one
        for one in (*order.report.mismatches, *order.report.explained)
        if not order.order_ids or one.order_id in order.order_ids
    ]
    steps = planned(found, [SourceReader(source) for source in settings.sources])
    if order.author is None:
        return [RepairOutcome(step, False, step.told()) for step in steps]
    workshop = Workshop(
        reread=lambda system, order_ids: _reread(settings, system, order_ids),
        restorations={
            ERP: ErpRestoration(settings.erp, settings.kafka, schemas),
            LEDGER: LedgerRestoration(settings.ledger, settings.kafka, schemas),
        },
        audit=lambda deeds: write_audit(settings, schemas, deeds),
    )
    return perform(steps, order.author, workshop)


def _reread(settings: ReconcileSettings, system: str, order_ids: Sequence[str]) -> None:
    signal = CaptureSignal(
        signal_id=str(uuid4()),
        system=system,
        action="resync",
        order_ids=",".join(order_ids),
        requested_at=datetime.now(UTC),
    )
    send_signal(signal, settings.kafka, settings.registry, "")


def write_audit(settings: ReconcileSettings, schemas: SchemaIds, deeds: Sequence[Deed]) -> None:
    """Tell deeds in `audit.events`; returns when the brokers have them.

    Raises:
        Transient: Kafka does not answer; nothing may be done then.
    """
    with AuditWriter(settings.kafka, schemas, "ordersync-repair") as audit:
        audit.record(*deeds, wait_seconds=_WAIT_SECONDS)

"""Puts together what a repair needs: captures that read again, restorations, and the audit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from consumers.reconcile.causes import Remedy
from consumers.reconcile.comparison import ERP, LEDGER
from consumers.reconcile.repair import Author, RepairOutcome, RepairStep, Workshop, perform, planned
from consumers.reconcile.report import Report
from consumers.reconcile.restoration import ErpRestoration, LedgerRestoration
from consumers.reconcile.settings import ReconcileSettings
from consumers.reconcile.source import SourceReader
from deploy.audit.desk import Clearance
from deploy.audit.policy import Kind
from deploy.signals import send_signal
from producers.auditing import AuditWriter
from schemas.audit_chain import Deed
from schemas.codec.topic import SchemaIds
from schemas.models import CaptureSignal

_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Repairer:
    """Who repairs and why, and who that is to the approval policy."""

    author: Author
    clearance: Clearance


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be repaired; without a repairer it is only told what would be done."""

    report: Report
    order_ids: frozenset[str]
    """Only these; empty for all."""
    repairer: Repairer | None


def mend(order: Order, settings: ReconcileSettings, schemas: SchemaIds) -> list[RepairOutcome]:
    """Repair what the report says; called by `ordersync reconcile --repair`. At least once, and audited beforehand.

    Raises:
        ApprovalNeeded: a second person has to approve exactly these steps first.
        ConfigurationError: a role's rights do not serve, or who repairs may not.
        Transient: a system is away.
    """
    found = [
        one
        for one in (*order.report.mismatches, *order.report.explained)
        if not order.order_ids or one.order_id in order.order_ids
    ]
    steps = planned(found, [SourceReader(source) for source in settings.sources])
    if order.repairer is None:
        return [RepairOutcome(step, False, step.told()) for step in steps]
    author = _cleared(order.repairer, steps)
    workshop = Workshop(
        reread=lambda system, order_ids: _reread(settings, system, order_ids),
        restorations={
            ERP: ErpRestoration(settings.erp, settings.kafka, schemas),
            LEDGER: LedgerRestoration(settings.ledger, settings.kafka, schemas),
        },
        audit=lambda deeds: write_audit(settings, schemas, deeds),
    )
    return perform(steps, author, workshop)


def _cleared(repairer: Repairer, steps: Sequence[RepairStep]) -> Author:
    author = repairer.author
    doing = [step for step in steps if step.remedy in (Remedy.REREAD, Remedy.RESTORE)]
    if not doing:
        return author
    told = [step.told() for step in doing]
    approval_id = repairer.clearance.of(Kind.REPAIR, author.reason, sorted(map(_content, doing)), told)
    return replace(author, approval_id=approval_id)


def _content(step: RepairStep) -> str:
    """Everything that a step goes by: where a value differs from what was approved, it is another repair."""
    found = [[one.system, one.kind, one.field, one.actual, one.expected] for one in step.mismatches]
    return json.dumps([step.order_id, step.system, step.remedy, step.sources, sorted(found, key=str)])


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

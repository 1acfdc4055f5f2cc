"""One reconciliation of all systems, from the first look to the report."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic, sleep

from consumers.reconcile.arrivals import Arrivals
from consumers.reconcile.comparison import LEDGER
from consumers.reconcile.examination import Findings, Patience, examine
from consumers.reconcile.report import Report, Total
from consumers.reconcile.settings import ReconcileSettings
from consumers.reconcile.survey import Survey, Suspects, survey, suspects_of
from consumers.reconcile.systems import Systems
from schemas.codec.topic import SchemaIds

_DIGESTS_FOR_EACH_CONTENT = 10
"""So many orders' digests take about the memory of one order's content."""


def reconcile(settings: ReconcileSettings, schemas: SchemaIds) -> Report:
    """Compare every order in every system: source with state, state with ERP, state with ledger.

    Called by `ordersync reconcile` and at the end of the demonstration. Changes nothing. Each system is read once
    when all agree, and once more for the orders of buckets whose checksums differ; only orders that really differ
    are read whole, and again until they agree or `settle_seconds` have passed. What differs only in a system that has
    not come by then to what was committed when it began is on its way, and no mismatch. Source: S5, S7, I10.

    Raises:
        ConfigurationError: a mapping is wrong, or a system lacks what is read or refuses.
        SchemaDrift: this version's schemas are not registered.
        Transient: a system is away; nothing is known then.
    """
    started_at, start = datetime.now(UTC), monotonic()
    with Systems(settings, schemas) as systems, Arrivals(settings, systems.sources) as arrivals:
        seen = survey(systems)
        patience = Patience(
            deadline=monotonic() + settings.settle_seconds,
            elapsed=monotonic,
            pause=lambda: sleep(settings.round_seconds),
            now=lambda: datetime.now(UTC),
        )
        findings = _examined(systems, seen, settings.examined_at_once, patience, arrivals)
        systems.rejected.watch(())
        systems.rejected.advance()
        document, functional = systems.ledger.imbalances()
        return Report(
            started_at=started_at,
            seconds=monotonic() - start,
            orders={system: totals.orders for system, totals in seen.totals.items()} | {LEDGER: seen.ledger_orders},
            mismatches=sorted(findings.mismatches, key=lambda one: one.mismatch_id),
            parked=sorted(systems.parked.parked()),
            rejected=sorted(findings.rejected),
            on_the_way=sorted(findings.on_the_way),
            rejections=systems.rejected.rejections,
            ledger_imbalance=document,
            functional_ledger_imbalance=functional,
            totals=_totals(seen),
            explained=sorted(findings.explained, key=lambda one: one.mismatch_id),
        )


def _examined(systems: Systems, seen: Survey, at_once: int, patience: Patience, arrivals: Arrivals) -> Findings:
    findings = Findings()
    for suspects in suspects_of(systems, seen, at_once * _DIGESTS_FOR_EACH_CONTENT):
        for first in range(0, len(suspects.order_ids), at_once):
            order_ids = suspects.order_ids[first : first + at_once]
            part = Suspects(order_ids, {order_id: suspects.locators[order_id] for order_id in order_ids})
            found = examine(systems, part, patience, arrivals.behind)
            findings.mismatches += found.mismatches
            findings.parked += found.parked
            findings.rejected += found.rejected
            findings.on_the_way += found.on_the_way
        findings.explained += found.explained
    return findings


def _totals(seen: Survey) -> list[Total]:
    return [
        Total(system, key.currency_code, key.order_status, total.orders, total.payable_amount)
        for system, totals in seen.totals.items()
        for key, total in totals.items()
    ]

"""Where systems differ: by order, field, both values and the money at stake; and repairing it by the owner rules."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from consumers.reconcile.repair import Author, RepairOutcome
from consumers.reconcile.report import Report
from consumers.reconcile.settings import ReconcileSettings
from deploy.console.people.roles import Right
from deploy.console.settings import ConsoleSettings
from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Visit, form_of, reason_in, wanting
from deploy.repairing import Order, Repairer, mend
from schemas.errors import ConfigurationError
from schemas.masking import masked_mismatch
from schemas.models import Mismatch
from schemas.registry import SchemaRegistry

router = APIRouter()
Seeing = Annotated[Visit, Depends(wanting())]
Repairing = Annotated[Visit, Depends(wanting(Right.REPAIR))]
Form = Annotated[Mapping[str, list[str]], Depends(form_of)]
_MOST_AT_ONCE = 500


@router.get("/mismatches")
def mismatches(request: Request, visit: Seeing) -> Response:
    """Every standing difference."""
    questions = visit.service.questions
    found = questions.mismatches()
    values: dict[str, Any] = {
        "mismatches": found if visit.may(Right.SEE_PERSONAL) else list(map(masked_mismatch, found)),
        "systems": questions.mismatches_by_system(),
        "can_repair": visit.may(Right.REPAIR) and _compared(visit.service.settings) is not None,
    }
    return pages_of(request).page(request, visit, "mismatches.html", **values)


@router.post("/mismatches/check")
def check(request: Request, visit: Repairing, form: Form) -> Response:
    """What a repair of the chosen orders would do. Changes nothing."""
    return _told(request, visit, _repaired(visit, form, None), is_dry_run=True)


@router.post("/mismatches/repair")
def repair(request: Request, visit: Repairing, form: Form) -> Response:
    """Repair the chosen orders; what is done is audited before it is done."""
    repairer = Repairer(Author(visit.actor, reason_in(form)), visit.clearance)
    return _told(request, visit, _repaired(visit, form, repairer), is_dry_run=False)


def _told(request: Request, visit: Visit, outcomes: list[RepairOutcome], *, is_dry_run: bool) -> Response:
    return pages_of(request).page(request, visit, "part_repaired.html", outcomes=outcomes, is_dry_run=is_dry_run)


def _repaired(visit: Visit, form: Mapping[str, list[str]], repairer: Repairer | None) -> list[RepairOutcome]:
    chosen = frozenset(form.get("order", []))
    if not 0 < len(chosen) <= _MOST_AT_ONCE:
        raise ConfigurationError(f"choose at least one order, and at most {_MOST_AT_ONCE} at once")
    settings = _compared(visit.service.settings)
    if settings is None:
        raise ConfigurationError(
            "this console does not know the systems: set ORDERSYNC_SOURCES, ORDERSYNC_ERP and ORDERSYNC_LEDGER"
        )
    found = [one for one in visit.service.questions.mismatches(limit=100_000) if one.order_id in chosen]
    if not found:
        raise ConfigurationError("these orders do not differ any more")
    with closing(SchemaRegistry(settings.registry)) as schemas:
        return mend(Order(_report_of(found), chosen, repairer), settings, schemas)


def _compared(settings: ConsoleSettings) -> ReconcileSettings | None:
    """The systems, where the console knows all of them; ERP and ledger as who may repair them."""
    if not settings.sources or settings.erp is None or settings.ledger is None:
        return None
    return ReconcileSettings(
        kafka=settings.kafka,
        registry=settings.registry,
        sources=settings.sources,
        erp=settings.repair_erp or settings.erp,
        ledger=settings.repair_ledger or settings.ledger,
    )


def _report_of(found: list[Mismatch]) -> Report:
    """The standing differences as a report, which is what repairs go by."""
    return Report(
        started_at=datetime.now(UTC),
        seconds=0.0,
        orders={},
        mismatches=found,
        parked=[],
        rejected=[],
        on_the_way=[],
        rejections=0,
        ledger_imbalance={},
        functional_ledger_imbalance={},
    )

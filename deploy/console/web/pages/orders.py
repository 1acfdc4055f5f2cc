"""Finding an order, and its whole life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deploy.console.life import time_line
from deploy.console.people.roles import Right
from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Refusal, Visit, wanting
from deploy.order_masking import masked_history
from deploy.order_reading import read_order
from deploy.order_systems import erp_row, ledger_lines
from schemas.errors import ConfigurationError, Transient
from schemas.models import OrderState

router = APIRouter()
Seeing = Annotated[Visit, Depends(wanting())]
_LONGEST = 300


@router.get("/orders")
def orders(request: Request, visit: Seeing, q: str = "", before: int | None = None) -> Response:
    """The search; the list alone where only that is asked for while somebody types."""
    question = q.strip()[:_LONGEST]
    if before is not None and not -(1 << 62) < before < 1 << 62:
        raise Refusal(400, "There is no such page of the list.")
    found = visit.shown(visit.service.questions.find(question, before))
    values: dict[str, Any] = {"q": question, "found": found, "progress": visit.service.feed.progress, "before": before}
    is_part = request.headers.get("hx-target") == "results"
    return pages_of(request).page(request, visit, "part_orders.html" if is_part else "orders.html", **values)


@router.get("/order")
def order(request: Request, visit: Seeing, id: str) -> Response:
    """What the index knows of one order at once; its life is read from the topics while the page is there already."""
    order_id = _checked(id)
    questions = visit.service.questions
    found, letters = visit.shown(questions.order(order_id)), questions.letters(order_id=order_id, open_only=False)
    if found is None and not letters and not any(one.order_id == order_id for one in questions.parked()):
        raise Refusal(404, f"No order {order_id} is known. Ids have the form <system>:<number>, such as crm:42.")
    visit.service.sightings.saw(visit.deed("OrderViewed", order_id, reference=visit.address))
    return pages_of(request).page(request, visit, "order.html", order_id=order_id, found=found)


@dataclass(frozen=True, slots=True)
class Holding:
    """What the systems behind the sinks hold now; `problem` where one does not answer, None where it is not asked."""

    erp: dict[str, Any] | None = None
    is_erp_asked: bool = False
    ledger: list[dict[str, Any]] | None = None
    problem: str | None = None


@router.get("/order/life")
def life(request: Request, visit: Seeing, id: str) -> Response:
    """The time line; asked for by the order's page, which was audited."""
    order_id = _checked(id)
    history = read_order(order_id, visit.service.cluster).history(visit.service.rules)
    if not history.is_known:
        raise Refusal(404, f"No topic tells of {order_id} any more.")
    if not visit.may(Right.SEE_PERSONAL):
        history = masked_history(history)
    with_books = visit.may(Right.SEE_BOOKS)
    state: OrderState | None = history.versions[-1].state if history.versions else None
    archive = visit.service.archive
    places = [version.record[:3] for version in history.versions]
    return pages_of(request).page(
        request,
        visit,
        "part_life.html",
        order_id=order_id,
        told=time_line(history, with_books=with_books),
        state=state,
        mismatches=history.mismatches,
        holding=_holding(visit, order_id),
        with_books=with_books,
        archived=None if archive is None else archive.holding(places),
    )


def _holding(visit: Visit, order_id: str) -> Holding:
    settings = visit.service.settings
    try:
        erp = None if settings.erp is None else erp_row(order_id, settings.erp)
        has_ledger = settings.ledger is not None and visit.may(Right.SEE_BOOKS)
        ledger = ledger_lines(order_id, settings.ledger) if has_ledger and settings.ledger is not None else None
        return Holding(erp, settings.erp is not None, ledger)
    except Transient as exc:
        return Holding(problem=str(exc))


def _checked(order_id: str) -> str:
    if not 0 < len(order_id) <= _LONGEST or not order_id.isprintable():
        raise ConfigurationError("an order's id has the form <system>:<number>, such as crm:42")
    return order_id

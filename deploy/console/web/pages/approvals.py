"""What waits for a second person, and who decided what others asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from deploy.console.people.roles import Right
from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Visit, form_of, reason_in, wanting

router = APIRouter()
Deciding = Annotated[Visit, Depends(wanting(Right.APPROVE))]
Form = Annotated[Mapping[str, list[str]], Depends(form_of)]
_SHOWN = 200


@router.get("/approvals")
def approvals(request: Request, visit: Deciding) -> Response:
    """Every request, newest first; buttons only where this person may decide."""
    desk = visit.service.approvals
    found = desk.requests()[:_SHOWN]
    values: dict[str, Any] = {
        "requests": found,
        "open_to_me": {one.request_id for one in found if desk.may_decide(one, visit.person)},
    }
    return pages_of(request).page(request, visit, "approvals.html", **values)


@router.post("/approvals/{request_id}/approve")
def approve(visit: Deciding, request_id: str, form: Form) -> Response:
    """Let it be done, once, exactly as it was asked for."""
    return _decided(visit, request_id, form, is_approved=True)


@router.post("/approvals/{request_id}/reject")
def reject(visit: Deciding, request_id: str, form: Form) -> Response:
    """Refuse it; it may be asked for again."""
    return _decided(visit, request_id, form, is_approved=False)


def _decided(visit: Visit, request_id: str, form: Mapping[str, list[str]], *, is_approved: bool) -> Response:
    visit.service.approvals.decide(request_id, visit.person, reason_in(form), approve=is_approved)
    return RedirectResponse("/approvals", 303)

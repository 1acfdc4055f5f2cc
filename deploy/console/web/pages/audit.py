"""Who did what, for admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deploy.console.people.roles import Right
from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Visit, wanting

router = APIRouter()


@router.get("/audit")
def audit(
    request: Request,
    visit: Annotated[Visit, Depends(wanting(Right.SEE_AUDIT))],
    actor: str = "",
    subject: str = "",
) -> Response:
    """The latest deeds, of one person or about one order where that is asked."""
    deeds = visit.service.questions.deeds(actor=actor.strip(), subject=subject.strip())
    return pages_of(request).page(request, visit, "audit.html", deeds=deeds, actor=actor, subject=subject)

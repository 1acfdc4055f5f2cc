"""Orders that wait, and for what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Visit, wanting

router = APIRouter()


@router.get("/parked")
def parked(request: Request, visit: Annotated[Visit, Depends(wanting())]) -> Response:
    """Those that turn into dead letters soonest first."""
    questions = visit.service.questions
    return pages_of(request).page(
        request, visit, "parked.html", orders=questions.parked(), total=questions.parked_count()
    )

"""Where systems differ: by order, field, both values and the money at stake."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Visit, wanting

router = APIRouter()
Seeing = Annotated[Visit, Depends(wanting())]


@router.get("/mismatches")
def mismatches(request: Request, visit: Seeing) -> Response:
    """Every standing difference."""
    questions = visit.service.questions
    found, systems = questions.mismatches(), questions.mismatches_by_system()
    return pages_of(request).page(request, visit, "mismatches.html", mismatches=found, systems=systems)

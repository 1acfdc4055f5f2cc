"""Orders of documents that wait for a person: what was read, what is doubted, accept as corrected, or reject."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deploy.console.people.roles import Right
from deploy.console.reviews import MOST_LINES, ReviewDesk, corrections_in, shown_text
from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Refusal, Visit, form_of, one, reason_in, wanting
from deploy.review_fields import header_fields, line_fields, other_evidence
from deploy.reviewing import Decision, accept, check, reject
from schemas.audit_chain import Deed
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from producers.documents.register import Review

router = APIRouter()
Seeing = Annotated[Visit, Depends(wanting(Right.SEE_PERSONAL))]
"""Nobody has classified what a document says, so all of it is taken for personal."""
Original = Annotated[Visit, Depends(wanting(Right.SEE_ORIGINALS))]
Deciding = Annotated[Visit, Depends(wanting(Right.REVIEW))]
Form = Annotated[Mapping[str, list[str]], Depends(form_of)]
_STATES = ("waiting", "accepted", "rejected", "done")
_KINDS = ("order", "change", "replacement", "cancellation")
_SHOWN = 200


@router.get("/reviews")
def reviews(request: Request, visit: Seeing, state: str = "waiting") -> Response:
    """The queue, oldest first."""
    if state not in _STATES:
        raise Refusal(400, f"Choose {', '.join(_STATES)}.")
    found = _desk(visit).register.reviews(state)
    values: dict[str, Any] = {"reviews": found[:_SHOWN], "total": len(found), "state": state, "states": _STATES}
    return pages_of(request).page(request, visit, "reviews.html", **values)


@router.get("/reviews/{review_id}")
def review(request: Request, visit: Seeing, review_id: str) -> Response:
    """One order as it was read, each doubt with its candidates, and the form to correct it."""
    desk = _desk(visit)
    found = _review(desk, review_id)
    visit.service.sightings.saw(_sighting(visit, found))
    content = desk.original(found) if visit.may(Right.SEE_ORIGINALS) else None
    values: dict[str, Any] = {
        "review": found,
        "record": desk.record(found),
        "fields": header_fields(found),
        "lines": line_fields(found, MOST_LINES),
        "left_out": max(len(found.read.lines) - MOST_LINES, 0),
        "kinds": _KINDS,
        "others": other_evidence(found),
        "has_original": content is not None,
        "text": None if content is None else shown_text(content),
    }
    return pages_of(request).page(request, visit, "review.html", **values)


@router.get("/reviews/{review_id}/original")
def original(visit: Original, review_id: str) -> Response:
    """The document as it came, to be kept as a file: no browser opens it here."""
    desk = _desk(visit)
    found = _review(desk, review_id)
    visit.service.audit.record(visit.deed("OriginalTaken", found.read.number or "unknown", reference=found.document))
    record = desk.record(found)
    name = quote(record.received.name if record is not None else found.document, safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Content-Security-Policy": "sandbox"}
    return Response(desk.original(found), media_type="application/octet-stream", headers=headers)


@router.get("/reviews/{review_id}/pictures/{name}")
async def picture(visit: Original, review_id: str, name: str) -> Response:
    """What stands where a field was read, cut out of the page by a process that a hostile document cannot leave."""
    desk = _desk(visit)
    found = await asyncio.to_thread(_review, desk, review_id)
    await asyncio.to_thread(visit.service.sightings.saw_part, _sighting(visit, found))
    if name not in found.read.evidence:
        raise Refusal(404, "There is no such field.")
    # Others may wait for the same pictures: who goes away must not end it for them.
    crops = await asyncio.shield(asyncio.wrap_future(desk.pictures.of(found)))
    if name not in crops.pictures:
        raise Refusal(404, f"There is no picture of it: {crops.problem or 'nothing is known of its place'}.")
    return Response(crops.pictures[name], media_type="image/png")


@router.post("/reviews/{review_id}/check")
def try_it(request: Request, visit: Deciding, review_id: str, form: Form) -> Response:
    """Whether the corrections fit. Changes nothing."""
    found, decision = _review(_desk(visit), review_id), _decision(visit, form, "")
    check(found, decision)
    return _told(request, visit, found, "would be accepted", decision)


@router.post("/reviews/{review_id}/accept")
def accept_it(request: Request, visit: Deciding, review_id: str, form: Form) -> Response:
    """Let the worker take the order as corrected; the rules judge it as every other."""
    desk, decision = _desk(visit), _decision(visit, form, reason_in(form))
    found = _review(desk, review_id)
    check(found, decision)
    _audit(visit, "ReviewAccepted", found, decision)
    accept(desk.register, found, decision)
    return _told(request, visit, found, "is accepted", decision)


@router.post("/reviews/{review_id}/reject")
def reject_it(request: Request, visit: Deciding, review_id: str, form: Form) -> Response:
    """Let the order not be taken, for good."""
    desk, decision = _desk(visit), Decision(visit.user.name, reason_in(form))
    found = _review(desk, review_id)
    _audit(visit, "ReviewRejected", found, decision)
    reject(desk.register, found, decision)
    return _told(request, visit, found, "is rejected", decision)


def _desk(visit: Visit) -> ReviewDesk:
    desk = visit.service.reviews
    if desk is None:
        raise Refusal(404, "This console knows no documents worker: set ORDERSYNC_DOCUMENTS_DIR.")
    return desk


def _review(desk: ReviewDesk, review_id: str) -> Review:
    found = desk.register.review_of(review_id)
    if found is None:
        raise Refusal(404, "There is no such review.")
    return found


def _sighting(visit: Visit, found: Review) -> Deed:
    return visit.deed("ReviewViewed", found.read.number or "unknown", reference=found.id)


def _decision(visit: Visit, form: Mapping[str, list[str]], note: str) -> Decision:
    return Decision(visit.user.name, note, corrections_in(form), bool(one(form, "remember")))


def _audit(visit: Visit, action: str, found: Review, decision: Decision) -> None:
    if found.state != "waiting":
        raise ConfigurationError(f"{found.id} no longer waits: it is {found.state}")
    deed = visit.deed(action, found.read.number or "unknown", reference=found.id, reason=decision.note)
    deed.changes.extend(f"{name} -> {value or 'taken away'}" for name, value in decision.corrections.items())
    visit.service.audit.record(deed)


def _told(request: Request, visit: Visit, found: Review, what: str, decision: Decision) -> Response:
    values: dict[str, Any] = {"review": found, "what": what, "decision": decision}
    return pages_of(request).page(request, visit, "part_reviewed.html", **values)

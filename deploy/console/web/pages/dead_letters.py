"""The dead-letter workbench: why events were refused, and how they are mended and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deploy.console.index.questions import ListedLetter
from deploy.console.letters import Workbench
from deploy.console.people.roles import Right
from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Refusal, Visit, form_of, one, reason_in, wanting
from producers.sightings import SEEING
from schemas.errors import ConfigurationError
from schemas.models import Rejection

router = APIRouter()
Seeing = Annotated[Visit, Depends(wanting())]
Replaying = Annotated[Visit, Depends(wanting(Right.REPLAY))]
Form = Annotated[Mapping[str, list[str]], Depends(form_of)]
_MOST_AT_ONCE = 500


@router.get("/dead-letters")
def letters(request: Request, visit: Seeing, rule: str = "", order: str = "", all: bool = False) -> Response:
    """Refused events, newest first; those that nobody has put back, unless all are asked for."""
    questions = visit.service.questions
    found = questions.letters(rule.strip(), order.strip(), open_only=not all)
    values: dict[str, Any] = {
        "letters": found,
        "rule": rule,
        "order": order,
        "all": all,
        "rules": questions.refused_by_rule(),
    }
    return pages_of(request).page(request, visit, "dead_letters.html", **values)


@router.get("/dead-letters/{rejection_id}")
def letter(request: Request, visit: Seeing, rejection_id: str) -> Response:
    """One of them: reasons for everybody, the original for those who may see it."""
    listed = _listed(visit, rejection_id)
    visit.service.sightings.saw(visit.deed("DeadLetterViewed", listed.order_id or "unknown", reference=rejection_id))
    opened = Workbench(visit.service).open(listed)
    may_see = visit.may(Right.SEE_ORIGINALS) and visit.may(Right.SEE_PERSONAL)
    if not visit.may(Right.SEE_PERSONAL):
        opened = opened.masked()
    done = visit.service.questions.deeds(reference=rejection_id)
    values: dict[str, Any] = {
        "listed": listed,
        "opened": opened,
        "done": [visit.shown(deed) for deed in done if deed.action not in SEEING],
        "original": _hex(opened.rejection) if may_see else None,
    }
    return pages_of(request).page(request, visit, "dead_letter.html", **values)


@router.post("/dead-letters/check")
def check_many(request: Request, visit: Replaying, form: Form) -> Response:
    """What would become of the chosen ones now."""
    bench = Workbench(visit.service)
    rejections = bench.read(_chosen(visit, form))
    checked = bench.check((rejection, bench.event(rejection, None)) for rejection in rejections)
    return pages_of(request).page(request, visit, "part_checked.html", checked=checked)


@router.post("/dead-letters/replay")
def replay_many(request: Request, visit: Replaying, form: Form) -> Response:
    """Put the chosen ones back as they came, in the order of their coming."""
    bench, reason = Workbench(visit.service), reason_in(form)
    rejections = bench.read(_chosen(visit, form))
    events = [(rejection, bench.event(rejection, None)) for rejection in rejections]
    done = bench.put_back_all(events, visit.actor, reason)
    return pages_of(request).page(request, visit, "part_replayed.html", done=len(done), asked=len(rejections))


@router.post("/dead-letters/{rejection_id}/check")
def check(request: Request, visit: Replaying, rejection_id: str, form: Form) -> Response:
    """A dry run: what the edited event would become. Writes nothing."""
    bench = Workbench(visit.service)
    [rejection] = bench.read([_listed(visit, rejection_id)])
    checked = bench.check([(rejection, bench.event(rejection, _document(form)))])
    return pages_of(request).page(request, visit, "part_checked.html", checked=checked)


@router.post("/dead-letters/{rejection_id}/replay")
def replay(request: Request, visit: Replaying, rejection_id: str, form: Form) -> Response:
    """Put the event back, edited or as it came; the same again changes nothing."""
    bench, reason = Workbench(visit.service), reason_in(form)
    [rejection] = bench.read([_listed(visit, rejection_id)])
    done = bench.put_back(rejection, bench.event(rejection, _document(form)), visit.clearance, reason)
    return pages_of(request).page(request, visit, "part_replayed.html", done=int(done is not None), asked=1)


def _listed(visit: Visit, rejection_id: str) -> ListedLetter:
    found = visit.service.questions.letter(rejection_id)
    if found is None:
        raise Refusal(404, "There is no such dead letter.")
    return found


def _chosen(visit: Visit, form: Mapping[str, list[str]]) -> list[ListedLetter]:
    chosen = list(dict.fromkeys(form.get("letter", [])))
    if not 0 < len(chosen) <= _MOST_AT_ONCE:
        raise ConfigurationError(f"choose at least one dead letter, and at most {_MOST_AT_ONCE} at once")
    return [_listed(visit, rejection_id) for rejection_id in chosen]


def _document(form: Mapping[str, list[str]]) -> str | None:
    return one(form, "document") or None


def _hex(rejection: Rejection) -> str:
    """The original's bytes as people compare them: sixteen in a row, with what can be read of them."""
    value = rejection.original.value or b""
    rows = (value[at : at + 16] for at in range(0, min(len(value), 65_536), 16))
    return "\n".join(
        f"{number * 16:06x}  {row.hex(' '):<47}  {''.join(chr(byte) if 32 <= byte < 127 else '.' for byte in row)}"
        for number, row in enumerate(rows)
    )

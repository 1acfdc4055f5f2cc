"""Whether it becomes better from week to week, and what to mend first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.responses import Response

from deploy.console.flow.charts import sparkline
from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Refusal, Visit, wanting
from deploy.console.weeks import CHOICES
from deploy.improvement.advice import Ranked, all_ranked, recommendations, told
from deploy.improvement.figures import Improvement
from deploy.improvement.findings import Kind
from deploy.improvement.telling import duration_rows
from deploy.improvement.weeks import Week

router = APIRouter()
Seeing = Annotated[Visit, Depends(wanting())]


@dataclass(frozen=True, slots=True)
class CauseRow:
    """One cause in the table, with its number in each week as a line."""

    ranked: Ranked
    told: str
    line: Markup


@router.get("/improvement")
def improvement(request: Request, visit: Seeing, weeks: int = 8) -> Response:
    """The page; its figures come as soon as they are reckoned."""
    return pages_of(request).page(request, visit, "improvement.html", **_values(visit, weeks))


@router.get("/improvement/weeks")
def figures(request: Request, visit: Seeing, weeks: int = 8) -> Response:
    """What the page asks for until it is there."""
    return pages_of(request).page(request, visit, "part_improvement.html", **_values(visit, weeks))


def _values(visit: Visit, weeks: int) -> dict[str, Any]:
    if weeks not in CHOICES:
        raise Refusal(400, f"Choose {', '.join(map(str, CHOICES))} weeks.")
    answer = visit.service.weeks.ask(weeks)
    values: dict[str, Any] = {"weeks": weeks, "choices": CHOICES, "answer": answer, "made": answer.made}
    made = answer.made
    if made is None:
        return values
    rates = [made.per_thousand(week) for week in made.weeks]
    return values | {
        "said": list(recommendations(made)),
        "rows": [_week(made, week) for week in reversed(made.weeks)],
        "rates": sparkline([rate for rate in rates if rate is not None]),
        "causes": [CauseRow(one, told(one.figures.cause), _line(made, one)) for one in all_ranked(made)[:100]],
        "durations": sorted(duration_rows(made), reverse=True),
    }


def _line(made: Improvement, one: Ranked) -> Markup:
    by_week = one.figures.by_week
    return sparkline([by_week[week].count if week in by_week else 0 for week in made.weeks])


def _week(made: Improvement, week: Week) -> dict[str, Any]:
    return {
        "week": str(week),
        "versions": made.versions(week),
        "refused": made.found(week, Kind.REJECTION),
        "differences": made.found(week, Kind.MISMATCH),
        "late": made.found(week, Kind.DELAY),
        "rate": made.per_thousand(week),
        "amount": made.at_stake(week, Kind.REJECTION) + made.at_stake(week, Kind.MISMATCH),
    }

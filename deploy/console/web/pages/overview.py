"""The first page: how the flow is now, in numbers and charts that renew themselves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.responses import Response

from deploy.console.flow.charts import Chart, Line, sparkline
from deploy.console.flow.sampling import FlowSampler, Sample
from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Visit, wanting
from deploy.telemetry.lag.report import GroupStanding

router = APIRouter()
Seeing = Annotated[Visit, Depends(wanting())]
_LATE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One reader of the topics."""

    name: str
    standing: str
    lag: int
    seconds: float
    line: Markup


@dataclass(frozen=True, slots=True)
class Standing:
    """The one sentence above everything else."""

    level: str
    title: str
    reasons: list[str]


@router.get("/")
def overview(request: Request, visit: Seeing) -> Response:
    """The whole page."""
    return pages_of(request).page(request, visit, "overview.html", **_flow(visit))


@router.get("/flow")
def flow(request: Request, visit: Seeing) -> Response:
    """What the page asks for every few seconds."""
    return pages_of(request).page(request, visit, "part_flow.html", **_flow(visit))


def _flow(visit: Visit) -> dict[str, Any]:
    questions, sampler = visit.service.questions, visit.service.flow
    tallies, now = questions.tallies(), time.time()
    samples = list(sampler.samples)
    latest = samples[-1] if samples else None
    counts = {
        "letters": questions.open_letters(),
        "parked": questions.parked_count(),
        "mismatches": questions.mismatches_by_system(),
    }
    return {
        "tallies": tallies,
        "orders": sum(tallies.values()),
        "counts": counts,
        "differing": sum(count for _, count in questions.mismatches_by_system()),
        "standing": _standing(visit, latest, counts),
        "rates": _rate_chart(sampler).svg(now),
        "latencies": _latency_chart(samples).svg(now),
        "groups": _groups(sampler),
        "latest": latest,
        "refused": questions.refused_by_rule()[:6],
        "recent": questions.find("").orders[:8],
        "progress": visit.service.feed.progress,
    }


def _standing(visit: Visit, latest: Sample | None, counts: dict[str, object]) -> Standing:
    sampler, reasons = visit.service.flow, list[str]()
    if sampler.problem is not None:
        return Standing("bad", "The flow cannot be seen", [sampler.problem])
    if counts["mismatches"]:
        reasons.append("systems differ")
    if latest is not None and latest.p99_seconds is not None and latest.p99_seconds > _LATE_SECONDS:
        reasons.append(f"orders take {latest.p99_seconds:.0f} s from their source to the state")
    late = [one.group for one in sampler.groups if one.standing not in (GroupStanding.FINE, GroupStanding.SLOW)]
    if late:
        reasons.append(f"{', '.join(late)} {'does' if len(late) == 1 else 'do'} not get on")
    if reasons:
        return Standing("bad", "Something needs a person", reasons)
    if counts["letters"]:
        reasons.append("events were refused")
    if counts["parked"]:
        reasons.append("orders wait for master data")
    if reasons:
        return Standing("warn", "It flows, with exceptions", reasons)
    return Standing("good", "Everything flows", ["nothing is refused, nothing waits, no difference is known"])


def _rate_chart(sampler: FlowSampler) -> Chart:
    names = {"captured": "series-a", "versions": "series-b", "journal entries": "series-c"}
    lines = [Line(name, css, sampler.rates(name)) for name, css in names.items()]
    told = ", ".join(f"{line.name} {line.points[-1][1]:.0f}" for line in lines if line.points)
    return Chart("Records a second over the last ten minutes", "records/s", lines, f"Now: {told or 'nothing yet'}")


def _latency_chart(samples: list[Sample]) -> Chart:
    p50 = [(one.at, one.p50_seconds) for one in samples if one.p50_seconds is not None]
    p99 = [(one.at, one.p99_seconds) for one in samples if one.p99_seconds is not None]
    told = f"Now: half within {p50[-1][1]:.2f} s, 99 % within {p99[-1][1]:.2f} s" if p50 and p99 else "No order lately"
    lines = [Line("99 %", "series-d", p99), Line("half", "series-a", p50)]
    return Chart("Seconds from the source's commit to the synchronized state", "seconds", lines, told)


def _groups(sampler: FlowSampler) -> list[GroupRow]:
    lags = list(sampler.lags)
    return [
        GroupRow(
            one.group,
            one.standing.value,
            one.lag_records,
            one.lag_seconds,
            sparkline([lag.get(one.group, 0) for lag in lags]),
        )
        for one in sorted(sampler.groups, key=lambda one: (one.standing is GroupStanding.FINE, one.group))
    ]

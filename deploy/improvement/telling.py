"""The improvement as JSON, and as CSV: one row for each cause and week, and one for each source and week."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from consumers.reconcile.attributes import text_of
from consumers.reconcile.pairs.tables import cell, opened
from deploy.improvement.advice import Ranked, all_ranked, recommendations
from deploy.improvement.figures import Improvement
from deploy.improvement.findings import Kind
from deploy.improvement.weeks import Week

CAUSE_COLUMNS = ("week", "kind", "name", "source", "system", "count", "orders", "amount", "currency_code")
DELAY_COLUMNS = ("week", "source", "versions", "late", "p50_seconds", "p99_seconds")
_PLURALS: Final = {Kind.REJECTION: "rejections", Kind.MISMATCH: "mismatches", Kind.DELAY: "delays"}


def as_json(made: Improvement) -> dict[str, Any]:
    """Plain values; amounts as texts, so that no digit is lost."""
    return {
        "as_of": made.as_of.isoformat(),
        "since": made.since.isoformat(),
        "currency_code": made.currency_code,
        "late_seconds": made.late_seconds,
        "recommendations": list(recommendations(made)),
        "weeks": [_week(made, week) for week in made.weeks],
        "causes": [_cause(made, one) for one in all_ranked(made)],
        "durations": [dict(zip(DELAY_COLUMNS, (str(week), *row), strict=True)) for week, row in duration_rows(made)],
        "missing_rates": sorted(made.missing_rates),
    }


def write_csv(made: Improvement, path: Path) -> Path:
    """Write causes by week to `path`, and durations beside it; gives the second path.

    Raises:
        ConfigurationError: a file cannot be written.
    """
    with opened(path) as file:
        rows = csv.writer(file)
        rows.writerow(CAUSE_COLUMNS)
        for one in all_ranked(made):
            for week, tally in sorted(one.figures.by_week.items()):
                names = (cell(name) for name in one.figures.cause)
                rows.writerow([week, *names, tally.count, tally.orders, text_of(tally.amount), made.currency_code])
    beside = path.with_name(f"{path.stem}.durations.csv")
    with opened(beside) as file:
        rows = csv.writer(file)
        rows.writerow(DELAY_COLUMNS)
        for week, (source, *figures) in duration_rows(made):
            rows.writerow([week, cell(str(source)), *figures])
    return beside


def duration_rows(made: Improvement) -> Iterator[tuple[Week, tuple[str, int, int, float, float]]]:
    """Source, versions, late ones, half within and 99 % within so many seconds; by week and source."""
    for (source, week), one in sorted(made.durations.items(), key=lambda item: (item[0][1], item[0][0])):
        p50, p99 = round(one.percentile(0.5), 3), round(one.percentile(0.99), 3)
        yield week, (source, len(one.seconds), one.late, p50, p99)


def _week(made: Improvement, week: Week) -> dict[str, Any]:
    rate = made.per_thousand(week)
    counts = {_PLURALS[kind]: made.found(week, kind) for kind in Kind}
    amounts = {f"{kind}_amount": text_of(made.at_stake(week, kind)) for kind in Kind}
    per_thousand = {"per_thousand_versions": None if rate is None else round(rate, 3)}
    return {"week": str(week), "versions": made.versions(week)} | counts | amounts | per_thousand


def _cause(made: Improvement, one: Ranked) -> dict[str, Any]:
    figures = one.figures
    return figures.cause._asdict() | {
        "count": figures.total.count,
        "orders": figures.total.orders,
        "amount": text_of(figures.total.amount),
        "open": figures.open,
        "median_healing_seconds": figures.median_healing_seconds,
        "trend": one.trend,
        "by_week": {str(week): figures.by_week[week].count for week in made.weeks if week in figures.by_week},
        "advice": one.advice,
    }

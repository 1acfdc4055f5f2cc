"""Tells what has become of delivered files and of windows: text for people, JSON for machines, and the exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import click

from deploy.commands.options import print_json
from deploy.delivering import Delivered, Rehearsal
from deploy.outcomes import Outcome, Outcomes
from deploy.reprocessing import WindowReport

REFUSED = 4
"""Exit code: done, and something was refused."""
_SHOWN = 20


def tell_delivered(delivered: Delivered, outcomes: Outcomes, as_json: bool) -> int:
    """What has become of a delivery; gives the exit code."""
    delivery, counts = delivered.delivery, outcomes.counts
    exit_code = REFUSED if counts["rejected"] else 0
    if as_json:
        print_json(
            {
                "delivery": delivery.model_dump(mode="json"),
                "was_delivered_before": delivered.was_before,
                "went_on": delivered.goes_on,
                "withheld": delivered.withheld,
            }
            | _document(outcomes)
        )
        return exit_code
    how = (
        "was delivered before"
        if delivered.was_before
        else "went on and is delivered"
        if delivered.goes_on
        else "delivered"
    )
    click.echo(
        f"{delivery.system} as of {delivery.as_of.isoformat()} {how}: {delivery.stated:,} facts stated, "
        f"{delivery.refused:,} refused by the mapping, {delivery.withdrawn:,} withdrawn"
    )
    _tell_withheld(delivered.withheld)
    _tell_outcomes(outcomes)
    return exit_code


def tell_rehearsal(rehearsal: Rehearsal, as_json: bool) -> int:
    """What would become of a delivery; gives the exit code."""
    exit_code = REFUSED if rehearsal.rejected or rehearsal.refused else 0
    refused = [(one.key or "unknown", tuple(f"{r.rule}: {r}" for r in one.reasons)) for one in rehearsal.refused]
    counts = {outcome.value: count for outcome, count in sorted(rehearsal.outcomes.items())}
    if as_json:
        print_json(
            {
                "dry_run": True,
                "delivery": rehearsal.delivery.model_dump(mode="json"),
                "was_delivered_before": rehearsal.was_before,
                "stated": rehearsal.stated,
                "withdrawn": [[one.aggregate.topic.name, one.key] for one in rehearsal.withdrawn],
                "withheld": rehearsal.withheld,
                "outcomes": counts,
                "rules": dict(rehearsal.rules.most_common()),
                "refused": refused,
                "rejected": rehearsal.rejected,
                "parked": rehearsal.parked,
            }
        )
        return exit_code
    delivery = rehearsal.delivery
    before = ", and was delivered before" if rehearsal.was_before else ""
    click.echo(f"{delivery.system} as of {delivery.as_of.isoformat()} would be delivered (dry run){before}")
    _tell_counts({f"facts for {topic}": count for topic, count in rehearsal.stated.items()})
    _tell_counts({"withdrawn": len(rehearsal.withdrawn), "refused by the mapping": len(rehearsal.refused)} | counts)
    _tell_withheld(rehearsal.withheld)
    _tell_counts(rehearsal.rules, "  ")
    _tell_reasons("refused", refused)
    _tell_reasons("rejected", rehearsal.rejected)
    _tell_reasons("parked", rehearsal.parked)
    return exit_code


def tell_window(since: datetime, until: datetime, report: WindowReport, replayed: int | None, as_json: bool) -> int:
    """What became of a window and what was `replayed` (None in a dry run); gives the exit code."""
    again, mended = report.refused_again(), report.mended()
    left = again or (replayed is None and mended)
    exit_code = REFUSED if left else 0
    refused = [(fate.captured.order_id, judgement.reasons) for fate, judgement in again]
    if as_json:
        print_json(
            {
                "from": since,
                "to": until,
                "events": len(report.outcomes.fates),
                "orders": report.orders,
                "dry_run": replayed is None,
                "accepted_now": [fate.captured.order_id for fate in mended],
                "rejected_again": refused,
                "overtaken": [fate.captured.order_id for fate in report.overtaken()],
                "replayed": replayed or 0,
            }
            | _document(report.outcomes)
        )
        return exit_code
    events = len(report.outcomes.fates)
    click.echo(f"{since.isoformat()} to {until.isoformat()}: {events:,} captured events of {report.orders:,} orders")
    _tell_outcomes(report.outcomes, with_reasons=False)
    if report.now:
        done = "would be replayed (dry run)" if replayed is None else f"{replayed:,} of them replayed now"
        click.echo(f"of the rejected events {len(mended):,} would be accepted now: {done}")
        click.echo(
            f"{len(again):,} would be rejected again, {len(report.overtaken()):,} have been overtaken by newer ones"
        )
        _tell_reasons("rejected", refused)
    return exit_code


def _document(outcomes: Outcomes) -> dict[str, object]:
    return {
        "outcomes": outcomes.counts,
        "rules": outcomes.rules,
        "refused_by_mapping": [
            [letter.order_id, [f"{one.rule}: {one.message}" for one in letter.violations]]
            for letter in outcomes.capture_refusals
        ],
        "rejected": [[fate.captured.order_id, fate.reasons] for fate in outcomes.of(Outcome.REJECTED)],
        "parked": [[fate.captured.order_id, fate.reasons] for fate in outcomes.of(Outcome.PARKED)],
    }


def _tell_outcomes(outcomes: Outcomes, *, with_reasons: bool = True) -> None:
    counts = outcomes.counts
    _tell_counts(counts)
    _tell_counts(outcomes.rules, "  ")
    if with_reasons:
        letters = outcomes.capture_refusals
        _tell_reasons(
            "refused",
            [(one.order_id or "unknown", [f"{v.rule}: {v.message}" for v in one.violations]) for one in letters],
        )
        for outcome in (Outcome.REJECTED, Outcome.PARKED):
            _tell_reasons(outcome.value, [(fate.captured.order_id, fate.reasons) for fate in outcomes.of(outcome)])
    if counts[Outcome.UNPROCESSED]:
        click.echo("run `ordersync worker streams --until-done`, then ask again with the same command", err=True)


def _tell_counts(counts: Mapping[str, int], indent: str = "") -> None:
    for name, count in counts.items():
        click.echo(f"{indent}{name:<{26 - len(indent)}}{count:>12,}")


def _tell_reasons(word: str, told: Iterable[tuple[str, Iterable[str]]]) -> None:
    found = list(told)
    for order_id, reasons in found[:_SHOWN]:
        click.echo(f"{word} {order_id}: {'; '.join(reasons)}")
    if len(found) > _SHOWN:
        click.echo(f"{word}: {len(found) - _SHOWN:,} more, see --json")


def _tell_withheld(topics: Iterable[str]) -> None:
    for topic in topics:
        click.echo(
            f"nothing of {topic} was withdrawn: rows were refused whose key cannot be told, and might be of what seems "
            "to be missing",
            err=True,
        )

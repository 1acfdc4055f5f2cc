"""`ordersync process`: orders on a schedule, from files that a system delivers, or a span of time once more."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deploy.commands.instants import INSTANT
from deploy.commands.options import Cluster, cluster_of, home_option, json_option, print_json
from deploy.commands.progress import ToldProgress
from deploy.commands.rules import rules_file_option
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.delivering import Delivered, Rehearsal
    from deploy.offline_processing import OfflinePolicy
    from deploy.outcomes import Outcomes
    from deploy.reprocessing import WindowReport

F = TypeVar("F", bound=Callable[..., Any])

REFUSED = 4
"""Exit code: done, and something was refused."""
_SHOWN = 20
_POLL_SECONDS = 0.2


@click.group("process")
def command() -> None:
    """Process delivered files, or a span of time again."""


def streams_options(function: F) -> F:
    """How the stream workers are configured, where it matters to say what becomes of events."""
    function = click.option(
        "--functional-currency",
        default="EUR",
        show_default=True,
        envvar="ORDERSYNC_FUNCTIONAL_CURRENCY_CODE",
        help="Currency of the ledger.",
    )(function)
    function = click.option(
        "--group",
        default="ordersync-streams",
        show_default=True,
        envvar="ORDERSYNC_GROUP",
        help="Consumer group of the stream workers.",
    )(function)
    return rules_file_option(function)


def actor_option(function: F) -> F:
    """`--actor`: who does it."""
    return click.option("--actor", help="Who does it; by default this account at this machine.")(function)


@command.command("files")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE..."
)
@click.option(
    "--mapping",
    "mapping_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Mapping file of the system; a table's `name` there is a pattern of its files' names, such as orders-*.csv.",
)
@click.option("--full", is_flag=True, help="The files have everything: what they lack is deleted.")
@click.option(
    "--most-withdrawn",
    type=click.FloatRange(0, 100),
    default=10.0,
    show_default=True,
    metavar="PERCENT",
    help="With --full: refuse a delivery that lacks more than so much of what stands.",
)
@click.option("--as-of", type=INSTANT, help="When the system wrote the files; by default the youngest file's time.")
@click.option("--dry-run", is_flag=True, help="Say what would become of it; write nothing.")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="So long for the stream workers, to say what has become of the delivery.",
)
@actor_option
@streams_options
@home_option
@json_option
def process_files(files: tuple[Path, ...], mapping_file: Path, home: Path, as_json: bool, **options: Any) -> int:
    """Deliver FILES (CSV, TSV, JSON lines or Avro, also with .gz) of one system to the captured topics.

    The same files again change nothing and say what has become of them. A delivery that was killed goes on where it
    stopped. Exit code 4: delivered, and something was refused.
    """
    # Only here: they need Kafka.
    from deploy.delivering import Delivering
    from producers.files.delivery import DeliveryPlan

    plan = DeliveryPlan.of(
        mapping_file,
        files,
        is_full=options["full"],
        as_of=options["as_of"],
        actor=options["actor"] or _account(),
    )
    cluster = cluster_of(home)
    with ToldProgress() as progress:
        delivering = Delivering(plan, cluster, options["most_withdrawn"], progress)
        if options["dry_run"]:
            rehearsal = delivering.rehearse(_policy(options))
        else:
            delivered = delivering.deliver()
            outcomes = _outcomes(delivered, cluster, options["group"], options["wait_seconds"], progress)
    if options["dry_run"]:
        return _tell_rehearsal(rehearsal, as_json)
    return _tell_delivered(delivered, outcomes, as_json)


@command.command("window")
@click.option("--from", "since", required=True, type=INSTANT, help="Events that were captured from then on ...")
@click.option("--to", "until", type=INSTANT, help="... until before then; by default now.")
@click.option("--reason", help="Why it is processed again; kept in audit.events. Needed without --dry-run.")
@click.option("--dry-run", is_flag=True, help="Say what would become of its events; write nothing.")
@actor_option
@streams_options
@home_option
@json_option
def process_window(since: datetime, until: datetime | None, home: Path, as_json: bool, **options: Any) -> int:
    """Say what became of a span of captured events, and process the rejected ones again that would now be accepted.

    They are judged by today's rules and master data, and replayed like dead letters: in their place in the order of
    their key, each once, audited. Processing a window twice changes nothing. Exit code 4: some stay refused.
    """
    # Only here: they need Kafka.
    from deploy.reprocessing import Window, look, replay

    window = Window(since, until or datetime.now(UTC))
    if window.until <= window.since:
        raise ConfigurationError(f"the window ends at {window.until.isoformat()}, before it begins: exchange the times")
    if not options["dry_run"] and not options["reason"]:
        raise ConfigurationError("give a --reason for processing the window again, or --dry-run to look at it")
    cluster = cluster_of(home)
    with ToldProgress() as progress:
        report = look(window, cluster, options["group"], _policy(options), progress)
        letters = [fate.letter for fate in report.mended() if fate.letter is not None]
        replayed = (
            []
            if options["dry_run"]
            else replay(letters, cluster, options["actor"] or _account(), options["reason"], progress)
        )
    return _tell_window(window.since, window.until, report, None if options["dry_run"] else len(replayed), as_json)


def _policy(options: Mapping[str, Any]) -> OfflinePolicy:
    from deploy.offline_processing import OfflinePolicy
    from streams.rules.governance import rules_of

    return OfflinePolicy(rules_of(options["rules_file"]), options["functional_currency"])


def _account() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _outcomes(
    delivered: Delivered, cluster: Cluster, group: str, wait_seconds: float, progress: ToldProgress
) -> Outcomes:
    """What has become of a delivery, when the stream workers have processed it or the time is over."""
    from deploy.delivering import captured_of, outcomes_of
    from deploy.outcomes import OutcomeReader

    with OutcomeReader(cluster, group, progress) as reader:
        captured = captured_of(delivered.delivery, reader)
        deadline = time.monotonic() + wait_seconds
        while not reader.is_processed(captured) and time.monotonic() < deadline:
            progress(f"waiting for the stream workers ({group})", 0, len(captured))
            time.sleep(_POLL_SECONDS)
        return outcomes_of(delivered.delivery, captured, reader)


def _tell_delivered(delivered: Delivered, outcomes: Outcomes, as_json: bool) -> int:
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


def _tell_rehearsal(rehearsal: Rehearsal, as_json: bool) -> int:
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


def _tell_window(since: datetime, until: datetime, report: WindowReport, replayed: int | None, as_json: bool) -> int:
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
    from deploy.outcomes import Outcome

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
    from deploy.outcomes import Outcome

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

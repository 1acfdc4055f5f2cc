"""`ordersync process`: orders on a schedule, from files that a system delivers, or a span of time once more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deploy.commands.instants import INSTANT
from deploy.commands.options import Cluster, actor_of, cluster_of, home_option, json_option
from deploy.commands.progress import ToldProgress
from deploy.commands.rules import rules_file_option
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.delivering import Delivered
    from deploy.offline_processing import OfflinePolicy
    from deploy.outcomes import Outcomes

F = TypeVar("F", bound=Callable[..., Any])

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
    from deploy.process_telling import tell_delivered, tell_rehearsal
    from producers.files.delivery import DeliveryPlan

    plan = DeliveryPlan.of(
        mapping_file,
        files,
        is_full=options["full"],
        as_of=options["as_of"],
        actor=actor_of(options["actor"]).name,
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
        return tell_rehearsal(rehearsal, as_json)
    return tell_delivered(delivered, outcomes, as_json)


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
    from deploy.mending import unchanged
    from deploy.process_telling import tell_window
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
            else replay(
                [(letter, unchanged(letter)) for letter in letters],
                cluster,
                actor_of(options["actor"]),
                options["reason"],
                progress,
            )
        )
    return tell_window(window.since, window.until, report, None if options["dry_run"] else len(replayed), as_json)


def _policy(options: Mapping[str, Any]) -> OfflinePolicy:
    from deploy.offline_processing import OfflinePolicy
    from streams.rules.governance import rules_of

    return OfflinePolicy(rules_of(options["rules_file"]), options["functional_currency"])


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

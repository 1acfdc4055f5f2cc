"""`ordersync capture`: asks a running capture to read part of its source again."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import click

from deploy.commands.options import Cluster, cluster_of, home_option, json_option, print_json
from schemas.models import CaptureSignal

_SILENCE_SECONDS = 10.0


@click.group("capture")
def command() -> None:
    """Ask a running capture for something."""


@command.command("resync")
@click.option("--source", "system", required=True, metavar="SYSTEM", help="The source, as its mapping file names it.")
@click.option("--orders", metavar="ID,ID", help="These orders (crm:17,crm:18).")
@click.option("--table", metavar="TABLE", help="All that belongs to this table (schema.table).")
@click.option(
    "--where-range", metavar="COLUMN=FROM..TO", help="Only roots whose column is within; either end may be left out."
)
@click.option("--since", metavar="TIME", help="Only roots whose column (--on) is at or after this date or time.")
@click.option("--until", metavar="TIME", help="Only roots whose column (--on) is before this date or time.")
@click.option("--on", "column", metavar="COLUMN", help="The column that --since and --until look at.")
@click.option("--all", "everything", is_flag=True, help="The whole source.")
@click.option("--wait", is_flag=True, help="Return when it is done and Kafka has all of it; show how far it is.")
@click.option("--timeout", "timeout_seconds", type=float, metavar="SECONDS", help="With --wait: the longest wait.")
@click.option("--topic-prefix", default="", envvar="ORDERSYNC_TOPIC_PREFIX", help="Start of each topic's name.")
@home_option
@json_option
def resync(
    system: str,
    orders: str | None,
    table: str | None,
    where_range: str | None,
    since: str | None,
    until: str | None,
    column: str | None,
    everything: bool,
    wait: bool,
    timeout_seconds: float | None,
    topic_prefix: str,
    home: Path,
    as_json: bool,
) -> None:
    """Have part of a source read again while its changes go on streaming.

    The capture states each order once more as it is (operation `snapshot`), and withdraws what is gone. It reports its
    progress in its log and as ordersync_capture_rereading; a capture that does not run does it when it starts. With
    --wait the exit code is 0 once all is done, 2 if the capture refuses the request, and 1 if the time is over.
    """
    if timeout_seconds is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    if sum((orders is not None, table is not None, everything)) != 1:
        raise click.UsageError("say what to read again: one of --orders, --table and --all")
    chosen, first, last, before = _range(where_range, since, until, column)
    if orders is not None and chosen is not None:
        raise click.UsageError("a range goes with --table or --all; --orders names each order")
    signal = CaptureSignal(
        signal_id=str(uuid4()),
        system=system,
        action="resync",
        order_ids=orders,
        table=table,
        column=chosen,
        range_from=first,
        range_to=last,
        range_before=before,
        requested_at=datetime.now(UTC),
    )
    cluster = cluster_of(home)
    if wait:
        found = _followed(signal, cluster, topic_prefix, timeout_seconds)
        if as_json:
            print_json({"signal_id": signal.signal_id, "system": system, "roots": found.roots, "rows": found.rows})
        else:
            click.echo(f"{found.roots or 0:,} roots, {found.rows or 0:,} rows of {system} were read again")
        return
    _send(signal, cluster, topic_prefix)
    if as_json:
        print_json({"signal_id": signal.signal_id, "system": system})
        return
    click.echo(f"asked the capture of {system} to read again what was named (signal {signal.signal_id})")


def _range(
    where_range: str | None, since: str | None, until: str | None, column: str | None
) -> tuple[str | None, str | None, str | None, str | None]:
    """Column, first value, last value, and first value behind the range."""
    if where_range is not None:
        if since is not None or until is not None or column is not None:
            raise click.UsageError("--where-range and --since, --until, --on exclude each other")
        name, equals, values = where_range.partition("=")
        first, dots, last = values.partition("..")
        if not name or not equals or not dots or not (first or last):
            raise click.UsageError(f"--where-range {where_range!r} is not of the form COLUMN=FROM..TO")
        return name, first or None, last or None, None
    if (since is not None or until is not None) != (column is not None):
        raise click.UsageError("--since and --until need --on COLUMN, and it needs one of them")
    return column, since, None, until


def _followed(
    signal: CaptureSignal, cluster: Cluster, topic_prefix: str, timeout_seconds: float | None
) -> CaptureSignal:
    """Send the request and show its answers; gives the last one."""
    # Only here: `--help` needs none of them.
    from rich.console import Console

    from deploy.answers import AnswerReader

    console = Console(stderr=True)
    with closing(AnswerReader(cluster.kafka, cluster.registry, topic_prefix)) as reader:
        _send(signal, cluster, topic_prefix)
        last, began_at = signal, datetime.now(UTC)
        with console.status(f"asked the capture of {signal.system} (signal {signal.signal_id})") as status:
            for answer in reader.answers(signal.signal_id, timeout_seconds):
                seconds = (datetime.now(UTC) - began_at).total_seconds()
                if answer is not None:
                    last = answer
                    line = f"{answer.roots or 0:,} roots, {answer.rows or 0:,} rows read in {seconds:.0f} s"
                    status.update(line)
                    if not console.is_terminal:
                        console.print(line)
                elif last is signal and seconds > _SILENCE_SECONDS:
                    status.update(f"no answer for {seconds:.0f} s: does the capture of {signal.system} run?")
    return last


def _send(signal: CaptureSignal, cluster: Cluster, topic_prefix: str) -> None:
    # Only here: `--help` needs none of them.
    from deploy.signals import send_signal

    send_signal(signal, cluster.kafka, cluster.registry, topic_prefix)

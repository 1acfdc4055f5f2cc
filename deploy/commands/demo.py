"""`ordersync demo`: the main job, end to end, on this machine."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from deploy.commands.options import DISAGREEMENT, home_option, json_option, print_json, security_option


@click.command("demo")
@home_option
@json_option
@click.option("--orders", default=500, show_default=True, type=click.IntRange(1), help="Orders that are placed.")
@click.option("--seed", default=1, show_default=True, help="The same seed trades the same.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Orders placed per second; default: no limit.")
@click.option(
    "--with-faults/--without-faults",
    default=True,
    show_default=True,
    help="One order in 40 begins wrongly, or before its customer or product; its source mends it.",
)
@security_option
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Form of the workers' logs.")
@click.pass_context
def command(
    ctx: click.Context,
    home: Path,
    as_json: bool,
    orders: int,
    seed: int,
    rate: float | None,
    with_faults: bool,
    secured: bool,
    log_format: str,
) -> None:
    """Let a business trade, then prove that all systems agree.

    Starts everything, places --orders orders and lets them live (changes, shipments, payments, cancellations,
    returns) in a CRM, an inventory and a finance database; then compares source, state, ERP and ledger order by order.
    With --json standard output carries one line of JSON and nothing else.
    """
    # Only here: they lead to every library that there is.
    from deploy.demo.demonstration import Demonstration, DemonstrationPlan

    # Also where the shell that started it in the background told it to ignore Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    plan = DemonstrationPlan(home, orders, seed, with_faults, rate, log_format, secured)
    result = Demonstration(plan, Console(stderr=True)).run()
    result.print(Console(stderr=as_json, highlight=False))
    if as_json:
        print_json(result.figures())
    sys.stdout.flush()
    ctx.exit(0 if result.agrees else DISAGREEMENT)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

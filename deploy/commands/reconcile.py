"""`ordersync reconcile`: proves that all systems agree, or names each order where they do not."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from deploy.commands.options import DISAGREEMENT, home_option, json_option, print_json


@click.command("reconcile")
@home_option
@json_option
@click.option(
    "--settle-seconds",
    type=click.FloatRange(0),
    help="How long a difference may last before it counts: an order may be on its way.  [default: 30]",
)
@click.option("--publish/--no-publish", default=True, show_default=True, help="Bring orders.mismatches up to date.")
@click.pass_context
def command(ctx: click.Context, home: Path, as_json: bool, settle_seconds: float | None, publish: bool) -> None:
    """Compare source, state, ERP and ledger, order by order.

    Prints control totals and every differing order with the field, both values and the money at stake. Exit code 3
    where systems differ or the ledger does not balance.
    """
    # Only here: they lead to every library that there is.
    from consumers.reconcile.publication import publish as publish_report
    from consumers.reconcile.reconciliation import reconcile
    from deploy.commands.systems import systems_of
    from schemas.registry import SchemaRegistry

    settings = systems_of(home)
    if settle_seconds is not None:
        settings = settings.model_copy(update={"settle_seconds": settle_seconds})
    schemas = SchemaRegistry(settings.registry)
    try:
        report = reconcile(settings, schemas)
        if publish:
            publish_report(report, settings.kafka, schemas)
    finally:
        schemas.close()
    if as_json:
        print_json(report.as_json())
    else:
        report.show(Console(highlight=False))
    ctx.exit(0 if report.agrees else DISAGREEMENT)

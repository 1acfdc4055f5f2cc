"""`ordersync reconcile vendors`: whether every vendor was told all news of its own lines."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from deploy.commands.options import DISAGREEMENT, cluster_of, home_option, json_option, print_json
from deploy.commands.progress import ToldProgress

_SHOWN = 50


@click.command("vendors")
@click.option(
    "--late-seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="So long news may take."
)
@json_option
@home_option
@click.pass_context
def vendors(ctx: click.Context, late_seconds: float, as_json: bool, home: Path) -> None:
    """Compare orders.state with vendors.updates: which vendor lacks which news of its own lines.

    A vendor must hear what it can see: its lines, their shipments, and that they are cancelled. Orders that changed
    less than --late-seconds ago are on their way. Changes nothing: the worker `vendors` tells what it missed when its
    offsets are set back. Exit code 3 where a vendor lacks news.
    """
    # Only here: they lead to every library that there is.
    from deploy.vendor_feed import compare_vendor_feed

    with ToldProgress() as progress:
        report = compare_vendor_feed(cluster_of(home), late_seconds, progress)
    if as_json:
        print_json(asdict(report) | {"agrees": report.agrees})
    else:
        for one in report.untold[:_SHOWN]:
            click.echo(
                f"{one.order_id}: vendor {one.vendor_id} lacks the {one.update_type} of version {one.order_version}, "
                f"made at {one.since:%F %T}Z"
            )
        if len(report.untold) > _SHOWN:
            click.echo(f"... and {len(report.untold) - _SHOWN:,} more; --json gives them all")
        verdict = "Every vendor was told" if report.agrees else f"{len(report.untold):,} news are missing"
        click.echo(
            f"{verdict} ({report.orders:,} orders, {report.updates:,} updates, {report.on_the_way:,} on the way)"
        )
    ctx.exit(0 if report.agrees else DISAGREEMENT)

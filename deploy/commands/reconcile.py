"""`ordersync reconcile`: proves that all systems agree, or names each order where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from deploy.commands.cutover import compare, totals
from deploy.commands.options import DISAGREEMENT, Cluster, actor_of, home_option, json_option, print_json
from deploy.commands.vendor_feed import vendors

if TYPE_CHECKING:
    from consumers.reconcile.repair import RepairOutcome

_OPERATOR = "operator"
"""The role that may restore an order in ERP and ledger, which the reconciliation's worker may not."""


@click.group("reconcile", invoke_without_command=True)
@home_option
@json_option
@click.option(
    "--settle-seconds",
    type=click.FloatRange(0),
    help="How long a difference may last before it counts: an order may be on its way.  [default: 30]",
)
@click.option("--publish/--no-publish", default=True, show_default=True, help="Bring orders.mismatches up to date.")
@click.option("--repair", is_flag=True, help="Mend what differs by the owner rules, then compare again; audited.")
@click.option("--dry-run", is_flag=True, help="With --repair: only tell what would be done.")
@click.option(
    "--order", "order_ids", multiple=True, metavar="ID", help="With --repair: only this order; may be repeated."
)
@click.option("--reason", metavar="TEXT", help="With --repair: why, for the audit.")
@click.option("--actor", metavar="NAME", help="With --repair: who; by default this account at this machine.")
@click.pass_context
def command(
    ctx: click.Context,
    home: Path,
    as_json: bool,
    settle_seconds: float | None,
    publish: bool,
    repair: bool,
    dry_run: bool,
    order_ids: tuple[str, ...],
    reason: str | None,
    actor: str | None,
) -> None:
    """Compare source, state, ERP and ledger, order by order.

    With --repair the sources are asked to state again what the state lacks, orders in the ERP are written anew from
    their state, and journals are brought back to what was posted. Orders that wait or were refused are left to
    `dead-letters` and to their master data.

    Prints control totals and every differing order with the field, both values and the money at stake. Exit code 3
    where systems differ or the ledger does not balance.

    `compare` and `totals` look at any two systems, and at all orders as of any time; `vendors` at what vendors were
    told. See their own --help.
    """
    if ctx.invoked_subcommand is not None:
        if repair or dry_run or order_ids or reason or settle_seconds is not None or as_json:
            raise click.UsageError(f"options of `reconcile` go after `{ctx.invoked_subcommand}`, where it has them")
        ctx.obj = home
        return
    # Only here: they lead to every library that there is.
    from consumers.reconcile.publication import publish as publish_report
    from consumers.reconcile.reconciliation import reconcile
    from consumers.reconcile.repair import Author
    from deploy.audit.desk import clearance_of
    from deploy.commands.systems import systems_of
    from schemas.registry import SchemaRegistry

    if not repair and (dry_run or order_ids or reason):
        raise click.UsageError("--dry-run, --order and --reason go with --repair")
    if repair and not dry_run and not reason:
        raise click.UsageError("--repair needs --reason TEXT, which stands in the audit; or --dry-run")
    settings = systems_of(home, _OPERATOR)
    if settle_seconds is not None:
        settings = settings.model_copy(update={"settle_seconds": settle_seconds})
    schemas = SchemaRegistry(settings.registry)
    try:
        report = reconcile(settings, schemas)
        outcomes: list[RepairOutcome] = []
        if repair:
            from deploy.repairing import Order, Repairer, mend

            cluster, who = Cluster(settings.kafka, settings.registry), actor_of(actor)
            repairer = Repairer(Author(who, reason or ""), clearance_of(home, cluster, who))
            outcomes = mend(Order(report, frozenset(order_ids), None if dry_run else repairer), settings, schemas)
            if any(one.is_done for one in outcomes):
                report = reconcile(settings, schemas)
        if publish:
            publish_report(report, settings.kafka, schemas)
    finally:
        schemas.close()
    if as_json:
        repairs = [{"order_id": one.step.order_id, "done": one.is_done, "told": one.told} for one in outcomes]
        print_json(report.as_json() | ({"repairs": repairs} if repair else {}))
    else:
        for one in outcomes:
            click.echo(f"{'done' if one.is_done else 'not done' if not dry_run else 'would'}  {one.told}")
        report.show(Console(highlight=False))
    ctx.exit(0 if report.agrees else DISAGREEMENT)


command.add_command(compare)
command.add_command(totals)
command.add_command(vendors)

"""`ordersync reconcile compare|totals`: any two systems at a cut-over, and all orders as of any time."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.instants import INSTANT
from deploy.commands.options import DISAGREEMENT, cluster_of, home_option, json_option, print_json

if TYPE_CHECKING:
    from consumers.reconcile.consolidation import Consolidation
    from consumers.reconcile.pairs import PairReport

FILE = click.Path(dir_okay=False, path_type=Path)
_SHOWN = 30
_WIDE = 160


@click.command("compare")
@click.argument("left")
@click.argument("right")
@click.option("--csv", "csv_path", type=FILE, help="Write every difference here, and totals beside it.")
@click.option("--html", "html_path", type=FILE, help="Write one page for people, for the screen and for paper.")
@click.option("--scratch", type=click.Path(file_okay=False, exists=True, path_type=Path), help="For temporary files.")
@json_option
@home_option
@click.pass_context
def compare(
    ctx: click.Context,
    left: str,
    right: str,
    csv_path: Path | None,
    html_path: Path | None,
    scratch: Path | None,
    as_json: bool,
    home: Path,
) -> None:
    """Compare two systems at a cut-over: LEFT and RIGHT are any two of source, state, erp, ledger.

    A restored copy is named by its prefix, as in state:restore. or erp:restore. ; another database of the same tables
    by its name, or by a connection string, as in "erp:host=new-erp dbname=erp". Each difference has order, field, both
    values and the money at stake; control totals are by month, currency and status. Changes nothing.

    What is on its way between the two counts as a difference. Exit code 0 only where both are equal, otherwise 3.
    """
    # Only here: they lead to every library that there is.
    from consumers.reconcile.pairs import compare_pair
    from consumers.reconcile.pairs.page import write_page
    from consumers.reconcile.pairs.tables import DifferenceFile, totals_path, write_totals
    from deploy.commands.systems import systems_of
    from deploy.comparing import SideFinder
    from schemas.registry import SchemaRegistry

    if left == right:
        raise click.UsageError(f"{left} would be compared with itself: name two systems")
    for path in (csv_path, html_path):
        if path is not None and not path.absolute().parent.is_dir():
            raise click.UsageError(f"{path} cannot be written: there is no directory {path.parent}")
    settings = systems_of(home)
    with ExitStack() as opened:
        schemas = opened.enter_context(closing(SchemaRegistry(settings.registry)))
        finder = SideFinder(settings, schemas, opened)
        sides = finder.find(left), finder.find(right)
        file = opened.enter_context(DifferenceFile(csv_path)) if csv_path is not None else None
        report = compare_pair(*sides, lambda one: file.add(one) if file is not None else None, scratch)
        if csv_path is not None:
            write_totals(report, totals_path(csv_path))
    if html_path is not None:
        write_page(report, html_path)
    if as_json:
        print_json(report.as_json())
    else:
        _show(report, _console())
    ctx.exit(0 if report.is_equal else DISAGREEMENT)


def _console() -> Console:
    """Wide where nobody sees its edge: a file or a pipe."""
    console = Console(highlight=False)
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=_WIDE)


def _show(report: PairReport, console: Console) -> None:
    table = Table(title=f"Control totals: {report.left} / {report.right}")
    for name in ("Period", "Currency", "Status", "Measure"):
        table.add_column(name, overflow="fold")
    for name in ("Orders", report.left, report.right, "Right less left"):
        table.add_column(name, justify="right", overflow="fold")
    for key, total in report.sorted_totals():
        difference = total.right_amount - total.left_amount
        table.add_row(
            *(part or "not known" for part in key),
            f"{total.left_orders:,} / {total.right_orders:,}",
            f"{total.left_amount:,.2f}",
            f"{total.right_amount:,.2f}",
            f"{difference:,.2f}",
            style=None if total.is_equal else "red",
        )
    console.print(table)
    if not report.is_equal:
        console.print(_differences(report))
        if report.differences > _SHOWN:
            console.print(f"... and {report.differences - _SHOWN:,} more; --csv FILE holds them all")
    console.print(f"Compared: {report.terms}")
    console.print(report.summary())


def _differences(report: PairReport) -> Table:
    table = Table(title="Differences")
    for name in ("Order", "Kind", "Field", report.left, report.right, "Amount"):
        table.add_column(name, overflow="fold")
    for one in report.shown[:_SHOWN]:
        amount = "" if one.amount is None else f"{one.amount:,.2f} {one.currency_code or ''}"
        table.add_row(one.order_id, one.kind, one.field or "", one.left or "", one.right or "", amount)
    return table


@click.command("totals")
@click.option("--as-of", type=INSTANT, help="Orders as they were known at this time (ISO 8601).  [default: now]")
@click.option("--currency", metavar="CODE", help="Also in this currency, at the rates valid then.")
@json_option
@home_option
@click.pass_context
def totals(ctx: click.Context, as_of: datetime | None, currency: str | None, as_json: bool, home: Path) -> None:
    """Consolidate the orders of all systems, as of any time, by system, month, currency and status.

    With --currency each currency is converted at the newest rate of master.fx-rates whose day is not after the time.
    A currency without a rate is named and left out of the sum; the exit code is 3 then.
    """
    # Only here: they lead to every library that there is.
    from consumers.reconcile.consolidation import consolidate
    from schemas.currencies import is_currency
    from schemas.registry import SchemaRegistry

    if currency is not None and not is_currency(currency):
        raise click.UsageError(f"{currency!r} is no currency of ISO 4217; write it as EUR")
    cluster = cluster_of(home)
    with closing(SchemaRegistry(cluster.registry)) as schemas:
        found = consolidate(cluster.kafka, schemas, as_of, currency)
    if as_json:
        print_json(found.as_json())
    else:
        _show_totals(found, _console())
    ctx.exit(DISAGREEMENT if found.missing_rates else 0)


def _show_totals(found: Consolidation, console: Console) -> None:
    table = Table(title=f"Orders as of {found.as_of:%Y-%m-%d %H:%M:%S} UTC")
    for name in ("System", "Period", "Currency", "Status"):
        table.add_column(name, overflow="fold")
    converted = (f"Payable in {found.currency_code}",) if found.currency_code is not None else ()
    for name in ("Orders", "Payable", "Invoiced", "Paid", *converted):
        table.add_column(name, justify="right", overflow="fold")
    for key, total in found.sorted_totals():
        amounts = [f"{amount:,.2f}" for amount in total.amounts]
        if converted:
            amount = found.converted(key.currency_code, total.amounts.payable_amount)
            amounts.append("no rate" if amount is None else f"{amount:,.2f}")
        table.add_row(*key, f"{total.orders:,}", *amounts)
    console.print(table)
    for rate in found.rates.values():
        told = f"of {rate.rate_date} by {rate.provider}"
        console.print(f"1 {rate.base_currency_code} = {rate.rate} {rate.quote_currency_code} ({told})")
    for code in found.missing_rates:
        console.print(
            f"[red]No rate of {code} to {found.currency_code} up to {found.as_of:%Y-%m-%d} in master.fx-rates: its "
            "orders are not in the sum[/]"
        )
    for line in found.summary():
        console.print(line)

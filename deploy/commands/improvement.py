"""`ordersync improvement`: what goes wrong from week to week, and what to mend first."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.instants import INSTANT
from deploy.commands.options import cluster_of, home_option, json_option, print_json
from deploy.commands.progress import ToldProgress
from schemas.errors import InvalidValue

if TYPE_CHECKING:
    from deploy.improvement.figures import Improvement

_SHOWN = 20


@click.command("improvement")
@click.option("--weeks", type=click.IntRange(2, 56), default=8, show_default=True, help="With the running one.")
@click.option("--as-of", type=INSTANT, help="The end of the weeks (ISO 8601); by default now.")
@click.option("--currency", default="EUR", show_default=True, help="Amounts are converted to it.")
@click.option(
    "--late-seconds", type=click.FloatRange(min=0), help="A version that takes longer is late.  [default: 30]"
)
@click.option("--csv", "csv_path", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure here.")
@json_option
@home_option
def command(
    weeks: int,
    as_of: datetime | None,
    currency: str,
    late_seconds: float | None,
    csv_path: Path | None,
    as_json: bool,
    home: Path,
) -> None:
    """Count refused events, differences and late versions by cause over weeks, and name what to mend first.

    Reads the topics that keep them: `orders.rejected` and `orders.events` keep all, `orders.mismatches` each
    difference and its healing for 400 days. Of each order the largest amount counts, once for each cause. Causes that
    still occur come first, then those with the most money at stake, then those that occur most often.

    Changes nothing. The exit code does not tell how good the figures are.
    """
    # Only here: they lead to every library that there is.
    from deploy.improvement.collecting import Question, improvement_of
    from deploy.improvement.figures import LATE_SECONDS
    from deploy.improvement.telling import as_json as document_of
    from deploy.improvement.telling import write_csv
    from schemas.currencies import exponent_of

    try:
        exponent_of(currency)
    except InvalidValue as exc:
        raise click.UsageError(str(exc)) from exc
    if csv_path is not None and not csv_path.absolute().parent.is_dir():
        raise click.UsageError(f"{csv_path} cannot be written: there is no directory {csv_path.parent}")
    late = LATE_SECONDS if late_seconds is None else late_seconds
    with ToldProgress() as progress:
        made = improvement_of(Question(as_of or datetime.now(UTC), weeks, currency, late), cluster_of(home), progress)
    if csv_path is not None:
        beside = write_csv(made, csv_path)
        click.echo(f"written: {csv_path} and {beside}", err=True)
    if as_json:
        print_json(document_of(made))
    else:
        _show(made, Console(highlight=False))


def _show(made: Improvement, console: Console) -> None:
    from deploy.improvement.advice import recommendations

    console.print(_weeks_table(made))
    if made.causes:
        console.print(_causes_table(made))
    if made.durations:
        console.print(_durations_table(made))
    for currency in sorted(made.missing_rates):
        console.print(f"[yellow]There is no rate from {currency} to {made.currency_code}: its amounts are left out[/]")
    said = list(recommendations(made))
    for sentence in said:
        console.print(sentence, markup=False)
    if not said:
        console.print("Nothing was refused, differed or came late lately.")


def _table(title: str, texts: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    table = Table(title=title)
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _weeks_table(made: Improvement) -> Table:
    from deploy.improvement.findings import Kind

    table = _table("By week", ("Week",), ("Versions", "Refused", "Differences", "Per 1,000", "Late", "At stake"))
    for week in made.weeks:
        rate = made.per_thousand(week)
        stake = made.at_stake(week, Kind.REJECTION) + made.at_stake(week, Kind.MISMATCH)
        table.add_row(
            str(week),
            f"{made.versions(week):,}",
            f"{made.found(week, Kind.REJECTION):,}",
            f"{made.found(week, Kind.MISMATCH):,}",
            "-" if rate is None else f"{rate:,.2f}",
            f"{made.found(week, Kind.DELAY):,}",
            f"{stake:,.2f} {made.currency_code}",
        )
    return table


def _causes_table(made: Improvement) -> Table:
    from deploy.improvement.advice import all_ranked, told

    found = all_ranked(made)
    title = "By cause" + (f": the first {_SHOWN} of {len(found)}; --json gives all" if len(found) > _SHOWN else "")
    table = _table(title, ("Cause", "Trend"), ("Times", "Orders", "At stake", "Open", "Healed after"))
    for one in found[:_SHOWN]:
        total, healing = one.figures.total, one.figures.median_healing_seconds
        table.add_row(
            f"{one.figures.cause.kind}: {told(one.figures.cause)}",
            one.trend,
            f"{total.count:,}",
            f"{total.orders:,}",
            f"{total.amount:,.2f}",
            f"{one.figures.open:,}",
            "-" if healing is None else f"{healing:,.0f} s",
        )
    return table


def _durations_table(made: Improvement) -> Table:
    from deploy.improvement.telling import duration_rows

    table = _table(
        "From the source's commit to the version",
        ("Week", "Source"),
        ("Versions", f"Over {made.late_seconds:g} s", "Half within", "99 % within"),
    )
    for week, (source, versions, late, p50, p99) in duration_rows(made):
        table.add_row(str(week), source, f"{versions:,}", f"{late:,}", f"{p50:,.2f} s", f"{p99:,.2f} s")
    return table

"""`ordersync ledger`: what the general ledger says, and why; `explain` also of a contract file, without any server."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from deploy.commands.options import home_option, json_option, print_json

if TYPE_CHECKING:
    from schemas.settings import DatabaseSettings

_VIEWS = (
    "revenue",
    "receivables",
    "open-receivables",
    "open-contracts",
    "backlog",
    "backlog-lines",
    "cash-flow",
    "cash-forecast",
    "budget-variance",
    "profitability",
    "sales-lines",
    "planning-tie-out",
)


@click.group("ledger")
def command() -> None:
    """Explain journal entries; balances, periods, planning figures."""


@command.command("explain")
@click.argument("subject", metavar="ORDER|FILE")
@home_option
@json_option
def explain(subject: str, home: Path, as_json: bool) -> None:
    """Every journal entry with its rule, paragraph and arithmetic.

    FILE is a contract file (.toml or .json, see deploy/guide/ledger.md) and needs no server; ORDER is an order id such
    as crm:42, read from the ledger's database.
    """
    if Path(subject).suffix in (".toml", ".json"):
        _explain_contract(Path(subject), as_json)
        return
    # Only here: a contract file needs no database.
    from deploy.ledger.explanation import entries_as_json, show_entries
    from deploy.ledger.queries import entries_of_order

    entries = entries_of_order(_database(home), subject)
    if as_json:
        print_json(entries_as_json(entries))
    else:
        show_entries(entries, Console(highlight=False))


def _explain_contract(path: Path, as_json: bool) -> None:
    from deploy.ledger.contract_files import read_contract
    from deploy.ledger.explanation import journal_as_json, show_journal
    from streams.rules.accounting.contract.journal import journal_of

    journal = journal_of(read_contract(path))
    if as_json:
        print_json(journal_as_json(journal))
    else:
        show_journal(journal, Console(highlight=False))


@command.command("trial-balance")
@click.option("--period", help="Up to and including this period, YYYY-MM; everything where missing.")
@home_option
@json_option
def trial_balance(period: str | None, home: Path, as_json: bool) -> None:
    """Debits, credits and balance of every account, by currency."""
    from deploy.ledger import queries

    _show("trial balance", queries.trial_balance(_database(home), period), as_json)


@command.command("tie-out")
@home_option
@json_option
def tie_out(home: Path, as_json: bool) -> None:
    """Receivables in the ledger against what the orders' invoices and payments leave open."""
    _show_view("tie-out", home, as_json)


@command.command("end-period")
@click.argument("period")
@click.option("--rates", type=click.Path(path_type=Path), help="CSV with the exchange rates of the period end.")
@click.option("--returns", type=click.Path(path_type=Path), help="CSV with the expected returns by product group.")
@home_option
@json_option
def end_period(period: str, rates: Path | None, returns: Path | None, home: Path, as_json: bool) -> None:
    """Bring live orders to the values of the end of PERIOD (YYYY-MM): closing rates, returns still expected.

    Run it before the period is closed, as often as figures change: what has its value already makes no entry.
    """
    from deploy.ledger.explanation import entries_as_json, show_entries
    from deploy.ledger.period_end import end_period as entries_of

    if rates is None and returns is None:
        raise click.UsageError("name --rates, --returns or both")
    entries = entries_of(_database(home), period, rates, returns)
    if as_json:
        print_json(entries_as_json(entries))
        return
    show_entries(entries, Console(highlight=False))
    click.echo(f"{len(entries)} entries of the end of {period} are in the ledger")


@command.command("close-period")
@click.argument("period")
@click.option("--by", "closed_by", required=True, help="Who closes it.")
@home_option
def close_period(period: str, closed_by: str, home: Path) -> None:
    """Close PERIOD (YYYY-MM) and all before it; late entries go to the first open day and keep the day of the event."""
    from deploy.ledger import queries

    queries.close_period(_database(home), period, closed_by)
    click.echo(f"{period} is closed")


@command.command("metrics")
@home_option
@json_option
def metrics(home: Path, as_json: bool) -> None:
    """Net sales, net income and operating cash flow by period, and both as a ratio to sales."""
    _show_view("metrics", home, as_json)


@command.command("view")
@click.argument("name", type=click.Choice(_VIEWS))
@click.option("--by", metavar="COLUMN,...", help="Add up by these columns, such as customer_region,sales_channel.")
@click.option("--where", "conditions", metavar="COLUMN=VALUE", multiple=True, help="Only these rows; may be repeated.")
@home_option
@json_option
def view(name: str, by: str | None, conditions: tuple[str, ...], home: Path, as_json: bool) -> None:
    """One view of finance planning, such as `view profitability --by customer_region --where period=2026-11`."""
    from deploy.ledger import queries

    where = {}
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals:
            raise click.BadParameter(f"{condition!r} is not COLUMN=VALUE", param_hint="--where")
        where[column] = value
    columns = [column.strip() for column in by.split(",")] if by else []
    _show(name, queries.view(_database(home), name, by=columns, where=where), as_json)


@command.command("forecast")
@click.option("--horizon", type=click.IntRange(1, 36), default=6, show_default=True, help="Periods ahead.")
@click.option("--by", type=click.Choice(("month", "quarter")), default="month", show_default=True)
@click.option("--until", metavar="YYYY-MM", help="Last month that is over; the one before this month where missing.")
@home_option
@json_option
def forecast(horizon: int, by: str, until: str | None, home: Path, as_json: bool) -> None:
    """Revenue of the next periods, with prediction intervals and a backtest against last year's figures."""
    from deploy.ledger import queries
    from deploy.ledger.forecast.forecast import forecast as forecast_of
    from deploy.ledger.forecast.series import Grain, revenue_series
    from deploy.ledger.forecast.showing import forecast_as_json, show_forecast
    from schemas.errors import ConfigurationError

    if until is not None and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", until):
        raise click.BadParameter(f"{until!r} is no month: it is written YYYY-MM", param_hint="--until")
    last_month = until or f"{datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y-%m}"
    revenue = queries.revenue_by_month(_database(home))
    if not revenue:
        raise ConfigurationError("the ledger has no revenue yet: there is nothing to forecast from")
    series = [revenue_series(months, currency, Grain(by), last_month) for currency, months in revenue.items()]
    found = [forecast_of(one, horizon) for one in series]
    if as_json:
        print_json([forecast_as_json(one) for one in found])
        return
    for one in found:
        show_forecast(one, Console(highlight=False))


@command.command("export")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--check", is_flag=True, help="Then compare all that was ever exported here with the ledger.")
@home_option
@json_option
def export(directory: Path, check: bool, home: Path, as_json: bool) -> None:
    """Add what the ledger has taken in since the last export to DIRECTORY: a star schema in Parquet, each entry once.

    Repeat it as often as figures are wanted, by cron for one. A killed export goes on with the next.
    """
    from schemas.errors import ConfigurationError

    try:
        from consumers.warehouse.export.exporter import LedgerExport
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"an export needs {exc.name}, a package of the extra `planning`: pip install 'ordersync[planning]'"
        ) from exc

    exporter = LedgerExport(_database(home), directory)
    made = exporter.export()
    result: dict[str, object] = {"files": 0, "rows": 0, "position": None}
    if made is not None:
        rows = sum(file.rows for file in made.files if file.path.startswith("journal_line/"))
        result = {"files": len(made.files), "rows": rows, "position": made.range.position}
    if check:
        result["checked_rows"], result["checked_debit_amount"] = exporter.check()
    if as_json:
        print_json(result)
        return
    click.echo(f"{result['rows']} journal lines in {result['files']} files" if made else "nothing is new")
    if check:
        click.echo(f"all {result['checked_rows']} lines, debits {result['checked_debit_amount']}: as in the ledger")


@command.command("budget")
@click.argument("file", type=click.Path(path_type=Path))
@home_option
def budget(file: Path, home: Path) -> None:
    """Take over a budget: a CSV with period, product_category, quantity, unit_price_amount (functional currency)."""
    from deploy.ledger import queries

    click.echo(f"{queries.load_budget(_database(home), file)} budget rows")


@command.command("post")
@click.argument("file", type=click.Path(path_type=Path))
@home_option
def post(file: Path, home: Path) -> None:
    """Post a journal file, such as operating expenses: journal, date, account, debit, credit, currency, description."""
    from deploy.ledger.journal_files import post_journal, read_journal

    entries = read_journal(file)
    post_journal(_database(home), entries)
    click.echo(f"{len(entries)} entries are in the ledger")


def _database(home: Path) -> DatabaseSettings:
    from deploy.commands.systems import systems_of

    return systems_of(home).ledger


def _show_view(name: str, home: Path, as_json: bool) -> None:
    from deploy.ledger import queries

    _show(name, queries.view(_database(home), name), as_json)


def _show(title: str, rows: list[dict[str, object]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    from deploy.ledger.explanation import show_rows

    show_rows(title, rows, Console(highlight=False))

"""`ordersync rules`: which rules judge the orders, and what a change of them would have done."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.options import home_option, json_option, print_json
from deploy.rules_reference import check_reference, sections_of, shown, write_reference
from deploy.rules_trial import TrialResult
from schemas.errors import ConfigurationError
from streams.rules.duplicates import duplicates
from streams.rules.governance import draft_of, rules_of
from streams.rules.ruleset import Edition, RuleInForce, RuleSet, builtin_rules

_FILE = click.Path(dir_okay=False, path_type=Path)
_DAY = click.DateTime(formats=["%Y-%m-%d"])
_HISTORY_DAYS = 30


def rules_file_option(function: click.decorators.FC) -> click.decorators.FC:
    """`--rules-file`: the governance file that the stream workers run with."""
    return click.option(
        "--rules-file",
        type=_FILE,
        envvar="ORDERSYNC_RULES_FILE",
        show_envvar=True,
        help="Governance file; without it the rules are as they are declared.",
    )(function)


@click.group("rules")
def command() -> None:
    """List, explain and try the rules."""


@command.command("list")
@rules_file_option
@json_option
@click.option("--on", type=_DAY, help="The rules in force on this day (UTC); otherwise today.")
def list_rules(rules_file: Path | None, as_json: bool, on: datetime | None) -> None:
    """All rules in force, with their severity, source and owner."""
    rules = rules_of(rules_file)
    edition = rules.on(_day(on))
    if as_json:
        print_json({"version": rules.version, "rules": [_facts(one) for one in edition.rules]})
        return
    table = Table("rule", "severity", "asked for", "owner", "demands", box=None, header_style="bold")
    for one in edition.rules:
        asked_for = sections_of(one.rule) or "everything"
        table.add_row(one.rule.code, one.severity.value, asked_for, one.rule.owner, one.rule.statement)
    Console(highlight=False, soft_wrap=True).print(table)
    click.echo(f"{len(edition.rules)} rules, version {rules.version}", err=True)


@command.command("explain")
@rules_file_option
@json_option
@click.argument("code")
def explain(rules_file: Path | None, as_json: bool, code: str) -> None:
    """One rule: what it demands and why, its parameters, and when it is in force how."""
    rules = rules_of(rules_file)
    found = [(edition, one) for edition in rules.editions for one in edition.rules if one.rule.code == code]
    if not found:
        raise ConfigurationError(f"there is no rule {code!r}; `ordersync rules list` shows all")
    if as_json:
        print_json([_facts(one) | {"valid_from": of.valid_from, "valid_until": of.valid_until} for of, one in found])
        return
    rule = found[0][1].rule
    click.echo(f"{rule.code}: {rule.statement}")
    click.echo(f"source     {rule.source}\nowner      {rule.owner}\nsince      {rule.since}")
    click.echo(f"asked for  {sections_of(rule) or 'every change'}")
    for name, parameter in rule.parameters.items():
        click.echo(f"parameter  {name}: {parameter.meaning} (declared: {shown(parameter.default)})")
    for edition, one in found:
        values = "; ".join(f"{name} = {shown(value)}" for name, value in one.parameters.items())
        click.echo(f"in force   {_period(edition)}: {one.severity.value}{f', {values}' if values else ''}")
    if rule.plain is not None:
        click.echo(f"says nothing where {rule.plain}")


@command.command("test")
@home_option
@rules_file_option
@json_option
@click.argument("file", type=_FILE)
@click.option("--since", type=_DAY, help=f"First day (UTC) of the history; otherwise {_HISTORY_DAYS} days ago.")
@click.option("--on", type=_DAY, help="Try the rules of this day; otherwise those of the file's newest change.")
def test(
    home: Path, rules_file: Path | None, as_json: bool, file: Path, since: datetime | None, on: datetime | None
) -> None:
    """What would be otherwise if FILE, which need not be approved, had been in force instead of --rules-file."""
    # Only here: they need the Kafka client.
    from deploy.commands.options import cluster_of
    from deploy.rules_history import read_history, read_master
    from deploy.rules_trial import Trial

    drafted = draft_of(file)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = since.replace(tzinfo=UTC) if since is not None else today - timedelta(days=_HISTORY_DAYS)
    after = drafted.on(on.date()) if on is not None else drafted.newest_change()
    cluster = cluster_of(home)
    trial = Trial(read_master(cluster), rules_of(rules_file).on(today.date()), after, begin)
    result = trial.run(read_history(cluster))
    if as_json:
        print_json(_result(result, drafted))
        return
    _print_result(result)


@command.command("duplicates")
@home_option
@json_option
@click.option("--days", default=30, show_default=True, type=click.IntRange(1), help="How far apart two orders may be.")
def list_duplicates(home: Path, as_json: bool, days: int) -> None:
    """Orders of the same customer, reference and amount as an earlier one: probably entered twice."""
    # Only here: it needs the Kafka client.
    from deploy.commands.options import cluster_of
    from deploy.rules_history import read_states

    found = duplicates(read_states(cluster_of(home)), timedelta(days=days))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = Table("placed at", "order", "repeats", "customer", "reference", "amount", box=None, header_style="bold")
    for one in found:
        said = one.fingerprint
        amount = f"{said.payable_amount:f} {said.currency_code}"
        placed_at = one.placed_at.isoformat(timespec="seconds")
        table.add_row(placed_at, one.order_id, one.repeats, said.customer_id, said.customer_reference, amount)
    Console(highlight=False, soft_wrap=True).print(table)
    click.echo(f"{len(found)} orders repeat another", err=True)


@command.command("write")
def write() -> None:
    """Write the rules reference, deploy/guide/rules.md."""
    click.echo("written" if write_reference() else "up to date", err=True)


@command.command("check")
@click.argument("file", type=_FILE, required=False)
def check(file: Path | None) -> None:
    """Fail where the rules reference is stale, or where FILE cannot be run with."""
    check_reference()
    rules = builtin_rules() if file is None else rules_of(file)
    click.echo(f"version {rules.version}, {len(rules.editions)} editions")


def _day(on: datetime | None) -> date:
    return datetime.now(UTC).date() if on is None else on.date()


def _period(edition: Edition) -> str:
    begin = "ever" if edition.valid_from is None else f"{edition.valid_from}"
    return f"since {begin}" + ("" if edition.valid_until is None else f" until before {edition.valid_until}")


def _facts(one: RuleInForce) -> dict[str, object]:
    rule = one.rule
    return {
        "rule": rule.code,
        "severity": one.severity.value,
        "demands": rule.statement,
        "sections": sections_of(rule),
        "source": rule.source,
        "owner": rule.owner,
        "since": rule.since,
        "parameters": {name: shown(value) for name, value in one.parameters.items()},
    }


def _result(result: TrialResult, drafted: RuleSet) -> dict[str, object]:
    facts = asdict(result)
    return {
        "version": drafted.version,
        "since": result.since.isoformat(),
        "summary": result.summary,
        "events": result.events,
        "orders": len(result.orders),
        "left_out": result.left_out,
        "newly_rejected": facts["newly_rejected"],
        "newly_accepted": sorted(result.newly_accepted),
        "rules": [
            {"rule": code, "before": result.before[code], "after": result.after[code]}
            for code in result.differing_rules
        ],
    }


def _print_result(result: TrialResult) -> None:
    click.echo(result.summary)
    console = Console(highlight=False, soft_wrap=True)
    if result.differing_rules:
        table = Table("rule", "events before", "events after", box=None, header_style="bold")
        for code in result.differing_rules:
            table.add_row(code, f"{result.before[code]:,}", f"{result.after[code]:,}")
        console.print(table)
    for order_id, reasons in sorted(result.newly_rejected.items()):
        console.print(f"[red]rejected[/] {order_id}  {'; '.join(dict.fromkeys(reasons))}")
    for order_id in sorted(result.newly_accepted):
        console.print(f"[green]accepted[/] {order_id}")

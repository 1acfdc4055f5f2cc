"""`ordersync backup drill|status`: rehearse a restore, and tell whether the backup keeps what its policy promises."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from consumers.backup.vault.audit import entries
from consumers.backup.vault.commits import START
from consumers.backup.vault.drills import FAILED, Rehearsals
from deploy.backup.state import Access, Backup, Moment, access_options, identity_option, key_option
from deploy.commands.options import json_option, print_json
from deploy.commands.progress import ToldProgress
from schemas.errors import BackupRefused, ConfigurationError, OrdersyncError


@click.command("drill")
@click.option("--at", type=Moment(), help="The moment; a recent complete one where none is named.")
@click.option("--if-due", is_flag=True, help="Do nothing unless the policy wants a drill now: for daily schedules.")
@click.option(
    "--scratch",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Directory for the stack that is made and removed; by default that for temporary files.",
)
@access_options
@identity_option
@key_option
@json_option
def drill(
    at: datetime | None,
    if_due: bool,
    scratch: Path | None,
    access: Access,
    identity_path: Path,
    key_path: Path,
    as_json: bool,
) -> None:
    """Rehearse a restore on this machine: every topic, ERP and ledger at one moment, compared order by order.

    Starts a stack of its own, restores all topics, lets the sinks write ERP and ledger anew, compares these with the
    state and with the archive, recomputes the trial balance and both ratios, and tells the audit log. Exit code 1
    where anything differs or it takes longer than the policy's recovery time objective.
    """
    backup, policy = access.load(), access.policy()
    now = datetime.now(UTC)
    if if_due and _rehearsals(backup).alarm(policy.drill.every_days, now) is None:
        click.echo("no drill is due", err=True)
        return
    moment = at or backup.catalogue.settled_through_at
    if moment is None:
        raise ConfigurationError("the backup has no complete state yet; wait until the archive has read all topics")
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.backup.drill import DrillReport
    from deploy.backup.drill import drill as rehearse

    report: DrillReport | None = None
    backup.require_role(key_path)
    with tempfile.TemporaryDirectory(prefix="ordersync-drill-", dir=scratch, ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        # PostgreSQL runs under an account of its own where root runs the drill, and must get through.
        home.chmod(0o711)
        try:
            reader = backup.reader(identity_path)
            with ToldProgress() as progress:
                report = rehearse(reader, policy, moment, home, lambda doing: click.echo(doing, err=True), progress)
        except OrdersyncError as exc:
            backup.record(key_path, FAILED, str(exc))
            raise
    backup.record(key_path, report.action, str(report))
    if as_json:
        print_json(_figures(report))
    else:
        _print(report)
    if report.faults:
        raise BackupRefused(f"the drill failed: {report}", reason="drill_failed")


@click.command("status")
@access_options
@json_option
@click.pass_context
def status(ctx: click.Context, access: Access, as_json: bool) -> None:
    """Tell how old the newest restorable state is, and whether a drill is overdue; exit code 1 where one of them is.

    A quiet system commits at least once in `surroundings_seconds`; an older state is late.
    """
    backup, policy = access.load(), access.policy()
    now = datetime.now(UTC)
    through, rehearsals = backup.catalogue.complete_through_at, _rehearsals(backup)
    alarms: list[str] = []
    limit = timedelta(seconds=policy.segments.surroundings_seconds + policy.objectives.rpo_seconds)
    if through is None:
        alarms.append("nothing is complete yet")
    elif now - through > limit:
        alarms.append(f"complete through {through.isoformat()} only; do archive and keeper run?")
    if (due := rehearsals.alarm(policy.drill.every_days, now)) is not None:
        alarms.append(due)
    if as_json:
        print_json(
            {
                "commit": backup.catalogue.head.version,
                "complete_through_at": through,
                "trusted_until": backup.trusted.expires_at,
                "drill_passed_at": rehearsals.passed_at,
                "drill_failed_at": rehearsals.failed_at,
                "alarms": alarms,
            }
        )
    else:
        click.echo(f"commit {backup.catalogue.head.version}, complete through {through}")
        click.echo(f"signatures hold until {backup.trusted.expires_at}")
        click.echo(f"last drill passed {rehearsals.passed_at or 'never'}, failed {rehearsals.failed_at or 'never'}")
        for alarm in alarms:
            click.echo(f"ALARM: {alarm}")
    ctx.exit(1 if alarms else 0)


def _rehearsals(backup: Backup) -> Rehearsals:
    found = Rehearsals()
    for _, entry, _ in entries(backup.copies, START, backup.trusted.roots):
        found = found.after(entry)
    return found


def _figures(report: Any) -> dict[str, Any]:
    proof = report.proof
    return {
        "at": report.at,
        "passed": not report.faults,
        "faults": report.faults,
        "records": report.records,
        "orders": proof.orders,
        "restored_seconds": report.restored_seconds,
        "rebuilt_seconds": report.rebuilt_seconds,
        "altogether_seconds": report.altogether_seconds,
        "trial_balance": [one._asdict() | held._asdict() for one, held in sorted(proof.trial_balance.items())],
        "ratios": [one._asdict() for one in proof.ratios],
    }


def _print(report: Any) -> None:
    console = Console(highlight=False)
    table = Table(title="From the restored ledger")
    for heading in ("Period", "Currency", "Net sales", "Operating cash flow / sales", "Net income / sales"):
        table.add_column(heading, justify="right")
    for one in report.proof.ratios:
        shares = (one.operating_cash_flow_to_sales, one.net_income_to_sales)
        told = ("-" if share is None else str(share) for share in shares)
        table.add_row(one.period, one.functional_currency_code, f"{one.net_sales_amount:,.2f}", *told)
    console.print(table)
    console.print(f"{report.action}: {report}")

"""`ordersync backup list|verify|mend|diff|order|audit`: what the copies hold, and whether it can be trusted."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from consumers.backup.restore.moments import differences, order_versions
from consumers.backup.restore.restoration import require_reach
from consumers.backup.restore.verification import mend as mend_copies
from consumers.backup.restore.verification import verify_copy
from consumers.backup.vault.audit import entries
from consumers.backup.vault.commits import START
from consumers.backup.vault.encryption import read_identity
from deploy.backup.options import FILE
from deploy.backup.state import Access, Backup, Moment, access_options, identity_option
from deploy.commands.options import json_option, print_json
from deploy.commands.progress import ToldProgress
from schemas.errors import BackupRefused


@click.command("list")
@access_options
@json_option
def list_(access: Access, as_json: bool) -> None:
    """Show what can be restored: topics, records, gaps, and through when everything is there."""
    backup = access.load()
    rows = [_topic_row(backup, topic) for topic in sorted({one.topic for one in backup.catalogue.positions})]
    through = backup.catalogue.complete_through_at
    if as_json:
        print_json(
            {
                "commit": backup.catalogue.head.version,
                "complete_through_at": through,
                "trusted_until": backup.trusted.expires_at,
                "sets": len(backup.catalogue.sets),
                "topics": rows,
            }
        )
        return
    console = Console(highlight=False)
    table = Table()
    for heading in ("Topic", "Partitions", "Segments", "Records", "MB", "First", "Last", "Expired offsets"):
        table.add_column(heading, justify="left" if heading == "Topic" else "right")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value or "-") for value in row.values()))
    console.print(table)
    console.print(f"commit {backup.catalogue.head.version}, complete through {through}")


@click.command("verify")
@access_options
@click.option("--identity", "identity_path", type=FILE, help="Also decrypt and read every record.")
@json_option
def verify(access: Access, identity_path: Path | None, as_json: bool) -> None:
    """Verify each copy on its own: signatures, chain, completeness, every file; exit with 1 unless all are sound."""
    holder = read_identity(identity_path) if identity_path else None
    with ToldProgress() as progress:
        reports = [
            verify_copy(one, access.root(), access.trusted_dir, holder, progress) for one in access.copies().copies
        ]
    if as_json:
        print_json([asdict(report) | {"is_sound": report.is_sound} for report in reports])
    else:
        for report in reports:
            click.echo(
                f"{report.name}: commit {report.commit}, {report.files:,} files, {report.bytes:,} bytes, "
                f"{report.records_read:,} records read, {report.expired_offsets:,} offsets expired before the backup: "
                f"{'sound' if report.is_sound else 'NOT SOUND'}"
            )
            for finding in report.findings:
                click.echo(f"  {finding.path}: {finding.message}")
    if bad := [report for report in reports if not report.is_sound]:
        raise BackupRefused(
            f"{', '.join(report.name for report in bad)}: not what was signed; `backup mend` repairs a copy from a "
            "sound one",
            reason=bad[0].findings[0].reason,
        )


@click.command("mend")
@access_options
def mend(access: Access) -> None:
    """Give each copy what it lacks or has altered, from one that has it as signed; --copy names the sound one."""
    backup = access.load()
    every = replace(access, copy=None).copies()
    with ToldProgress() as progress:
        mended = mend_copies(every, backup.catalogue, lambda name, path: click.echo(f"{name}: {path}"), progress)
    click.echo(f"{mended} files mended")


@click.command("diff")
@click.argument("before", type=Moment())
@click.argument("after", type=Moment())
@access_options
@identity_option
@json_option
def diff(
    before: datetime,
    after: datetime,
    access: Access,
    identity_path: Path,
    as_json: bool,
) -> None:
    """Show which orders differ between two moments, and how."""
    reader = access.load().reader(identity_path)
    require_reach(reader, max(before, after))
    for change in differences(reader, before, after):
        if as_json:
            print_json(asdict(change))
            continue
        click.echo(f"{change.order_id} {change.kind}: version {change.version_before} -> {change.version_after}")
        for line in change.changes:
            click.echo(f"  {line}")


@click.command("order")
@click.argument("order_id")
@click.option("--at", type=Moment(), required=True, help="The moment, such as 2026-11-21T08:30:00Z.")
@access_options
@identity_option
@json_option
def order(
    order_id: str,
    at: datetime,
    access: Access,
    identity_path: Path,
    as_json: bool,
) -> None:
    """Show every version of ORDER_ID up to a moment; of deleted orders too."""
    reader = access.load().reader(identity_path)
    for version in order_versions(reader, order_id, at):
        state = version.state
        if as_json:
            print_json(version.model_dump(mode="json"))
        else:
            statuses = (state.order_status, state.fulfilment_status, state.billing_status, state.payment_status)
            click.echo(f"{state.version} {state.committed_at.isoformat()} {version.event_type}: {', '.join(statuses)}")


@click.command("audit")
@access_options
@json_option
def audit(access: Access, as_json: bool) -> None:
    """Show who did what with the backup."""
    backup = access.load()
    for _, entry, role in entries(backup.copies, START, backup.trusted.roots):
        if as_json:
            print_json(entry.model_dump(mode="json") | {"role": role})
        else:
            click.echo(f"{entry.occurred_at.isoformat()} {role} {entry.keyid[:12]} {entry.action}: {entry.subject}")


def _topic_row(backup: Backup, topic: str) -> dict[str, Any]:
    catalogue = backup.catalogue
    mine = [one for one in catalogue.positions if one.topic == topic]
    segments = [segment for one in mine for segment in catalogue.segments.get(one, ())]
    gaps = [gap for one in mine for gap in catalogue.gaps.get(one, ()) if gap.reason == "expired"]
    return {
        "topic": topic,
        "partitions": len(mine),
        "segments": len(segments),
        "records": sum(segment.holds.records for segment in segments),
        "megabytes": round(sum(segment.file.length for segment in segments) / 1e6, 3),
        "first_at": _moment(min((segment.holds.earliest_ms for segment in segments), default=None)),
        "last_at": _moment(max((segment.holds.latest_ms for segment in segments), default=None)),
        "expired_offsets": sum(gap.end - gap.first for gap in gaps),
    }


def _moment(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(timespec="milliseconds")

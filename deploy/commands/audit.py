"""`ordersync audit`: who did what with orders, and whether the record of it is as it was written."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from deploy.commands.instants import INSTANT
from deploy.commands.options import cluster_of, home_option, json_option, print_json

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("audit")
def command() -> None:
    """Who did what: list it, and verify that nobody changed it."""


@command.command("list")
@home_option
@json_option
@click.option("--actor", help="Only what this one did.")
@click.option("--action", help="Only this, as DeadLetterMended.")
@click.option("--subject", help="Only about this: an order, a system.")
@click.option("--since", type=INSTANT, help="Only from this time on.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="At most so many, newest first.")
def list_events(
    home: Path,
    as_json: bool,
    actor: str | None,
    action: str | None,
    subject: str | None,
    since: datetime | None,
    limit: int,
) -> None:
    """What was done, newest first; each with how it is known who did it."""
    # Only here: it needs the Kafka client.
    from deploy.audit.verifying import audit_events
    from schemas.models import AuditEvent

    wanted = {"actor": actor, "action": action, "subject": subject}
    found = [
        (position, event)
        for position, event in audit_events(cluster_of(home))
        if isinstance(event, AuditEvent)
        and all(value is None or getattr(event, name) == value for name, value in wanted.items())
        and (since is None or event.occurred_at >= since)
    ]
    shown = found[: -limit - 1 : -1]
    if as_json:
        print_json([{"position": position} | event.model_dump(mode="json") for position, event in shown])
        return
    for _, event in shown:
        at, about = event.occurred_at.isoformat(timespec="seconds"), f" ({event.reference})" if event.reference else ""
        why = f": {event.reason}" if event.reason else ""
        click.echo(f"{at} {event.actor} [{event.identified_by}] {event.action} {event.subject}{about}{why}")
        for change in event.changes:
            click.echo(f"    {change}")
    click.echo(f"{len(shown)} of {len(found)} events", err=True)


@command.command("verify")
@home_option
@json_option
@click.option("--topic", help="Another topic with the audit, as one restored from the backup.  [default: audit.events]")
@click.option("--heads", "noted", type=_FILE, help="Also hold it against heads that --note wrote at an earlier time.")
@click.option("--note", "note_to", type=_FILE, help="Note where each chain ends now, in a new file.")
@click.pass_context
def verify(
    ctx: click.Context, home: Path, as_json: bool, topic: str | None, noted: Path | None, note_to: Path | None
) -> None:
    """Recompute the hash chain of every writer; names each event that was changed, removed, put in or moved.

    Whoever owns the broker can cut off the end of a chain, or write all of one anew, and no chain shows it. So note
    the heads where they cannot write, and hold the topic against them the next time; or against the same topic
    restored from the signed backup. Exit code 1 where something is wrong.
    """
    # Only here: they need the Kafka client.
    from deploy.audit.noted_heads import NotedHeads
    from deploy.audit.verifying import verify as verified
    from schemas.topics import AUDIT

    before = None if noted is None else NotedHeads.read(noted)
    report = verified(cluster_of(home), topic or AUDIT, {} if before is None else before.by_chain())
    if note_to is not None and not report.faults:
        NotedHeads.of(report).write(note_to)
    if as_json:
        told = {"topic": report.topic, "events": report.events, "chains": len(report.heads), "end": report.end}
        print_json(told | {"faults": [asdict(fault) for fault in report.faults]})
    else:
        for fault in report.faults:
            click.echo(str(fault))
        against = "" if before is None else f", held against heads of {before.noted_at.isoformat(timespec='seconds')}"
        verdict = "all as they were written" if not report.faults else f"{len(report.faults)} faults"
        click.echo(f"{report.events:,} events of {len(report.heads):,} chains on {report.topic}{against}: {verdict}")
    if report.faults and note_to is not None:
        click.echo("ordersync: the heads were not noted, for they are not sound", err=True)
    ctx.exit(1 if report.faults else 0)

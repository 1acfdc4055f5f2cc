"""`ordersync backup retention|hold`: what the policy keeps, what would go, and the spans that stay whatever it says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from consumers.backup.policy import Policy
from consumers.backup.vault.audit import entries
from consumers.backup.vault.commits import START
from consumers.backup.vault.holds import PLACED, RELEASED, HeldSpan, Holds
from consumers.backup.vault.needs import is_whole
from consumers.backup.vault.retention import Kept, expirable, kept_spans
from consumers.backup.vault.trust import OFFICER, RESTORER
from consumers.sink import Partition
from deploy.backup.options import FILE
from deploy.backup.state import Access, Backup, Moment, access_options, key_option
from deploy.commands.options import json_option, print_json
from schemas.errors import ConfigurationError

_EVERYTHING = 10**9


@click.command("retention")
@access_options
@json_option
def retention(access: Access, as_json: bool) -> None:
    """Show which restore points the policy and the open holds keep, and what would expire now. Changes nothing.

    The archive names these files, and the keeper removes them, where the policy says `enforce = true`.
    """
    backup, policy, now = access.load(), access.policy(), datetime.now(UTC)
    catalogue = backup.catalogue
    kept = kept_spans(catalogue.points, policy.retention, holds_of(backup).known(now), now)
    plan = expirable(catalogue, kept, _EVERYTHING)
    named = set(plan.paths) | {
        segment.file.path
        for one in plan.ranges
        for segment in catalogue.segments[Partition(one.topic, one.partition)]
        if one.first_offset <= segment.holds.first_offset < one.end_offset
    }
    figures = {
        "enforced": policy.retention.enforce,
        "files_to_expire": len(named),
        "bytes_to_expire": sum(one.length for one in catalogue.files if one.path in named),
        "files": catalogue.count,
        "bytes": sum(one.length for one in catalogue.files),
        "files_expired": sum(len(one.paths) for one in catalogue.expiries),
    }
    if as_json:
        print_json(figures | {"kept": [one._asdict() | {"is_whole": _is_whole(backup, one)} for one in kept]})
        return
    _print(backup, policy, kept)
    click.echo(
        f"{figures['files_to_expire']:,} of {figures['files']:,} files ({figures['bytes_to_expire']:,} of "
        f"{figures['bytes']:,} bytes) are needed by none of them and "
        + (
            f"expire with the next commits; {policy.retention.grace_hours:g} hours after that the keeper removes them"
            if policy.retention.enforce
            else "would expire; write enforce = true under [retention] to let them"
        )
    )


@click.group("hold")
def hold() -> None:
    """Spans of time that stay restorable, whatever the policy says: for inquiries and auditors."""


@hold.command("place")
@click.argument("name")
@click.option("--since", type=Moment(), required=True, help="The first moment that stays.")
@click.option("--until", type=Moment(), required=True, help="The last one.")
@access_options
@key_option
def place(name: str, since: datetime, until: datetime, access: Access, key_path: Path) -> None:
    """Keep every moment of a span; with a restorer's or an officer's key.

    It holds once the keeper has signed it, in a second or so; what expired before cannot be brought back.
    """
    backup = access.load()
    if name in holds_of(backup).open:
        raise ConfigurationError(f"there is a hold {name!r} already; choose another name")
    try:
        span = HeldSpan(name=name, since=since, until=until)
    except ValidationError as exc:
        raise ConfigurationError(f"hold {name!r}: {exc.errors()[0]['msg']}") from exc
    backup.record(key_path, PLACED, span.model_dump_json(), (RESTORER, OFFICER))
    click.echo(f"{name}: {since.isoformat()} to {until.isoformat()} stays")
    if not is_whole(backup.catalogue, since):
        click.echo("part of what the topics held at its beginning has expired before", err=True)


@hold.command("release")
@click.argument("name")
@click.option("--key", "key_path", type=FILE, required=True, help="Signing key of an officer.")
@access_options
def release(name: str, access: Access, key_path: Path) -> None:
    """End a hold; with an officer's key."""
    backup = access.load()
    if name not in holds_of(backup).open:
        raise ConfigurationError(f"there is no hold {name!r}; `backup hold list` shows them")
    backup.record(key_path, RELEASED, name, (OFFICER,))
    click.echo(f"{name} is released: the policy decides again")


@hold.command("list")
@access_options
@json_option
def list_(access: Access, as_json: bool) -> None:
    """Show the open holds."""
    spans = [one.span for one in holds_of(access.load()).open.values()]
    if as_json:
        print_json([span.model_dump(mode="json") for span in spans])
        return
    for span in spans:
        click.echo(f"{span.name}: {span.since.isoformat()} to {span.until.isoformat()}")


def holds_of(backup: Backup) -> Holds:
    """The open holds, by the audit log."""
    found = Holds()
    for _, entry, role in entries(backup.copies, START, backup.trusted.roots):
        found = found.after(entry, role, entry.occurred_at)
    return found


def _is_whole(backup: Backup, one: Kept) -> bool:
    return is_whole(backup.catalogue, one.since)


def _print(backup: Backup, policy: Policy, kept: list[Kept]) -> None:
    table = Table(title=f"Kept by {policy.name}, version {policy.version}")
    for heading in ("Since", "Until", "Why", "Restorable"):
        table.add_column(heading)
    for one in kept:
        until = "for ever after" if one.until is None else one.until.isoformat(timespec="seconds")
        table.add_row(
            one.since.isoformat(timespec="seconds"), until, one.why, "yes" if _is_whole(backup, one) else "NO"
        )
    Console(highlight=False).print(table)

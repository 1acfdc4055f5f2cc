"""`ordersync backup policy`: show the policy, and tell what is wrong with it or left out."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from consumers.backup.policy import Policy, uncovered
from deploy.backup.options import policy_option
from deploy.commands.options import json_option, print_json
from schemas.errors import ConfigurationError


@click.group("policy")
def policy() -> None:
    """The backup policy: what is backed up, how soon, how long, where, and for whom."""


@policy.command("show")
@policy_option
@json_option
def show(policy_path: Path, as_json: bool) -> None:
    """Print the policy."""
    read = Policy.read(policy_path)
    if as_json:
        print_json(read.model_dump(mode="json"))
        return
    console = Console(highlight=False)
    objectives, retention = read.objectives, read.retention
    console.print(f"{read.name}, version {read.version}, from {read.effective_from}, by {', '.join(read.approved_by)}")
    console.print(f"at most {objectives.rpo_seconds:g} s of changes lost, restored in {objectives.rto_seconds:g} s")
    kept = {"day": retention.daily, "week": retention.weekly, "month": retention.monthly, "year": retention.yearly}
    ends = ", ".join(f"{count} {word}s" for word, count in kept.items() if count)
    console.print(f"every moment of {retention.keep_within_days} days" + (f", then the ends of {ends}" if ends else ""))
    console.print(f"a restore is rehearsed every {read.drill.every_days:g} days")
    console.print(f"readable by {', '.join(read.encryption.recipients)}")
    for place in read.copies.places:
        console.print(f"copy {place.name}: {place.url}")
    console.print(_datasets(read))


@policy.command("check")
@policy_option
@json_option
def check(policy_path: Path, as_json: bool) -> None:
    """Exit with 2 unless the policy is right and names every dataset."""
    read = Policy.read(policy_path)
    missing = uncovered(read)
    if as_json:
        print_json({"version": read.version, "uncovered": list(missing)})
    if missing:
        raise ConfigurationError(
            f"{policy_path}: no policy for {', '.join(missing)}; back each up under [[topics]] or [[databases]], or "
            "leave it out under [[excluded]] with the reason"
        )
    if not as_json:
        click.echo(f"{policy_path} is right: version {read.version} decides on every dataset")


def _datasets(policy: Policy) -> Table:
    table = Table()
    for heading in ("Dataset", "Kind", "Backup", "Critical"):
        table.add_column(heading)
    for kind, datasets in (("topic", policy.topics), ("database", policy.databases)):
        for one in datasets:
            how = one.mode.value if one.every_hours is None else f"every {one.every_hours:g} h"
            table.add_row(one.name, kind, how, "yes" if one.critical else "no")
    for left_out in policy.excluded:
        table.add_row(left_out.name, "", f"none: {left_out.reason}", "")
    for name in uncovered(policy):
        table.add_row(name, "", "NO POLICY", "")
    return table

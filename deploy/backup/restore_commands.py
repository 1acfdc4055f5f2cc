"""`ordersync backup restore|rewrap`: the restorer's work; each deed is told to the audit log first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from consumers.backup.restore.restoration import Restoration, RestoredPartition, RestorePlan
from consumers.backup.restore.target import RestoreTarget
from consumers.backup.restore.verification import rewrap as rewrap_sets
from consumers.backup.vault.encryption import read_identity
from deploy.backup.state import Access, Moment, access_options, identity_option, key_option
from deploy.commands.options import cluster_of, home_option, json_option, print_json
from schemas.errors import ConfigurationError
from schemas.registry import SchemaRegistry


@click.command("restore")
@click.option("--at", type=Moment(), help="The moment; a recent complete one where none is named.")
@click.option("--prefix", default="restore.", show_default=True, help="Start of the new names.")
@click.option("--topic", "topics", multiple=True, help="Restore this topic only; may be repeated.")
@click.option("--resume", is_flag=True, help="Go on where the same restore was interrupted.")
@access_options
@identity_option
@key_option
@home_option
@json_option
def restore(
    at: datetime | None,
    prefix: str,
    topics: tuple[str, ...],
    resume: bool,
    access: Access,
    identity_path: Path,
    key_path: Path,
    home: Path,
    as_json: bool,
) -> None:
    """Restore topics to a moment into new topics of the cluster, and prove that they are the archive's to the byte."""
    backup = access.load()
    moment = at or backup.catalogue.settled_through_at
    if moment is None:
        raise ConfigurationError(
            "the backup has no complete state yet; wait until the archive has read all topics once"
        )
    cluster = cluster_of(home)
    plan = RestorePlan(moment, topics, prefix, resume)
    backup.record(
        key_path, "RestoreStarted", f"{', '.join(topics) or 'all topics'} at {moment.isoformat()} to {prefix}"
    )
    registry = SchemaRegistry(cluster.registry)
    try:
        restored = Restoration(
            backup.reader(identity_path), RestoreTarget(cluster.kafka, prefix), registry, plan, _say(as_json)
        ).run()
    finally:
        registry.close()
    backup.record(key_path, "BackupRestored", f"{restored.records} records at {moment.isoformat()} to {prefix}")
    if as_json:
        print_json(asdict(restored) | {"records": restored.records})
    else:
        click.echo(
            f"{restored.records:,} records of {moment.isoformat()} are in topics {prefix}..., each read back and equal "
            f"to the archive; {restored.groups} consumer groups set, {restored.schema_ids_changed} schema ids changed"
        )


@click.command("rewrap")
@click.argument("recipient")
@access_options
@identity_option
@key_option
def rewrap(
    recipient: str,
    access: Access,
    identity_path: Path,
    key_path: Path,
) -> None:
    """Let RECIPIENT (age1...) read the sets that this identity reads; no segment is encrypted anew."""
    backup = access.load()
    backup.record(key_path, "KeysRewrapped", f"for {recipient}")
    count = rewrap_sets(backup.copies, backup.catalogue, read_identity(identity_path), recipient)
    click.echo(f"{count} sets can be read by {recipient} now")


def _say(silent: bool) -> Callable[[RestoredPartition], None]:
    def told(done: RestoredPartition) -> None:
        if not silent:
            click.echo(f"{done.partition.topic}/{done.partition.number}: {done.records:,} records", err=True)

    return told

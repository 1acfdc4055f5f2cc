"""`ordersync backup restore|restore-database|join|rewrap`: the restorer's work, told to the audit log first."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from consumers.backup.restore.bases import plan_for, unpack
from consumers.backup.restore.proof import Proof, RestoredPlaces
from consumers.backup.restore.restoration import RestorePlan
from consumers.backup.restore.verification import rewrap as rewrap_sets
from consumers.backup.vault.encryption import read_identity
from deploy.backup.joining import Joining, RestoredServers
from deploy.backup.restoring import DatabaseServers, Restoring, counted
from deploy.backup.state import Access, Moment, access_options, identity_option, key_option
from deploy.commands.options import cluster_of, home_option, json_option, print_json
from deploy.commands.progress import ToldProgress
from schemas.errors import ConfigurationError


@click.command("restore")
@click.option("--at", type=Moment(), help="The moment; a recent complete one where none is named.")
@click.option("--prefix", default="restore.", show_default=True, help="Start of the new names.")
@click.option("--topic", "topics", multiple=True, help="Restore this topic only; may be repeated.")
@click.option(
    "--with-databases",
    is_flag=True,
    help="Also write ERP and ledger anew, into new databases on their servers, and compare them with the topics.",
)
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
    with_databases: bool,
    resume: bool,
    access: Access,
    identity_path: Path,
    key_path: Path,
    home: Path,
    as_json: bool,
) -> None:
    """Restore topics to a moment into new topics of the cluster, and prove that they are the archive's to the byte.

    With --with-databases also ERP and ledger, at the same position: the sinks write them from the restored topics, and
    they are compared with these order by order, and with the archive account by account.
    """
    backup = access.load()
    moment = at or backup.catalogue.settled_through_at
    if moment is None:
        raise ConfigurationError(
            "the backup has no complete state yet; wait until the archive has read all topics once"
        )
    if with_databases and topics:
        raise ConfigurationError("databases are written from all topics: leave out --topic or --with-databases")
    servers = DatabaseServers.of(home) if with_databases else None
    plan = RestorePlan(moment, topics, prefix, resume)
    restoring = Restoring(backup.reader(identity_path), cluster_of(home), plan)
    what = (", ".join(topics) or "all topics") + (", ERP and ledger" if with_databases else "")
    backup.record(key_path, "RestoreStarted", f"{what} at {moment.isoformat()} to {prefix}")
    with ToldProgress() as progress:
        restored = restoring.topics(counted(backup.catalogue, topics, progress))
    written = None if servers is None else restoring.databases(servers)
    backup.record(key_path, "BackupRestored", f"{restored.records} records at {moment.isoformat()} to {prefix}")
    if as_json:
        print_json(asdict(restored) | {"records": restored.records} | _databases(written))
        return
    click.echo(
        f"{restored.records:,} records of {moment.isoformat()} are in topics {prefix}..., each read back and equal "
        f"to the archive; {restored.groups} consumer groups set, {restored.schema_ids_changed} schema ids changed"
    )
    if written is not None:
        places, proof = written
        click.echo(
            f"{proof.orders:,} orders of the same position are in the databases {places.erp.dbname} and "
            f"{places.ledger.dbname}; state, ERP, ledger and archive agree"
        )


@click.command("restore-database")
@click.argument("name")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--at", type=Moment(), help="The moment; the newest one where none is named.")
@access_options
@identity_option
@key_option
def restore_database(
    name: str,
    directory: Path,
    at: datetime | None,
    access: Access,
    identity_path: Path,
    key_path: Path,
) -> None:
    """Unpack the base backup of NAME's server into the new DIRECTORY, prove it by its manifest, and add the log.

    DIRECTORY is a data directory then: start a server of the same version on it. Where the policy follows the server
    continuously it goes on to the moment before it opens; else it stands where the base backup before the moment was
    made. Its sinks go on from the positions that it holds. Called again after an interruption it fetches the rest.
    """
    backup = access.load()
    plan = plan_for(backup.catalogue, name, at)
    told = f"{name} of {plan.moment.isoformat()} into {directory}"
    backup.record(key_path, "RestoreStarted", told)
    with ToldProgress() as progress:
        unpack(backup.reader(identity_path), plan, directory, progress)
    backup.record(key_path, "BackupRestored", told)
    log = f", and {len(plan.log):,} parts of the log after it" if plan.at is not None else ""
    click.echo(f"{told}: {plan.bytes:,} bytes, each file as the manifest says{log}")


@click.command("join")
@click.option("--at", type=Moment(), required=True, help="The moment that the topics were restored to.")
@click.option("--prefix", default="restore.", show_default=True, help="Start of the restored topics' names.")
@access_options
@identity_option
@key_option
@home_option
@json_option
def join(
    at: datetime,
    prefix: str,
    access: Access,
    identity_path: Path,
    key_path: Path,
    home: Path,
    as_json: bool,
) -> None:
    """Let restored servers of ERP and ledger go on in restored topics, and prove that all stand at one position.

    For databases that come from `backup restore-database`: both servers run, restored to the moment of the topics or
    some seconds before. ORDERSYNC_RESTORED_ERP__... and ORDERSYNC_RESTORED_LEDGER__... say where. Their sinks do what
    is left of the restored topics; then state, ERP and ledger are compared order by order, and with the archive
    account by account.
    """
    backup, servers = access.load(), RestoredServers.load()
    erp, ledger = servers.restored_erp.dbname, servers.restored_ledger.dbname
    what = f"ERP in {erp} and ledger in {ledger} at {at.isoformat()} to {prefix}"
    backup.record(key_path, "RestoreStarted", what)
    joining = Joining(backup.reader(identity_path), cluster_of(home), at, prefix)
    proof = joining.run(servers, lambda doing: click.echo(doing, err=True))
    backup.record(key_path, "BackupRestored", what)
    if as_json:
        print_json({"orders": proof.orders, "at": at, "erp": erp, "ledger": ledger})
        return
    click.echo(
        f"{proof.orders:,} orders of {at.isoformat()}: topics {prefix}..., {erp} and {ledger} stand at one position; "
        "state, ERP, ledger and archive agree"
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


def _databases(written: tuple[RestoredPlaces, Proof] | None) -> dict[str, object]:
    if written is None:
        return {}
    places, proof = written
    return {"erp": places.erp.dbname, "ledger": places.ledger.dbname, "orders": proof.orders}

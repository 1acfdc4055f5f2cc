"""`ordersync backup promote`: put a restore into use, by somebody who did not make it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from consumers.backup.restore.proof import RestoredPlaces
from consumers.backup.vault.audit import entries
from consumers.backup.vault.commits import START
from consumers.backup.vault.trust import PROMOTER
from deploy.audit.desk import clearance_of
from deploy.audit.policy import Kind
from deploy.backup.options import FILE
from deploy.backup.promotion import (
    PROMOTED,
    PROMOTING,
    rename,
    renamings,
    require_agreement,
    require_restored,
    settle_topics,
)
from deploy.backup.restoring import DatabaseServers, restored_places
from deploy.backup.state import Access, access_options
from deploy.commands.options import actor_of, cluster_of, home_option


@click.command("promote")
@click.option("--prefix", default="restore.", show_default=True, help="Start of the names that were restored to.")
@click.option("--with-databases", is_flag=True, help="Also let the restored ERP and ledger take the originals' names.")
@click.option(
    "--key",
    "key_path",
    type=FILE,
    required=True,
    envvar="ORDERSYNC_PROMOTER_KEY",
    show_envvar=True,
    help="Signing key of a promoter.",
)
@click.option("--reason", default="restored", show_default=True, help="Why, for whoever has to approve it.")
@access_options
@home_option
def promote(prefix: str, with_databases: bool, key_path: Path, reason: str, access: Access, home: Path) -> None:
    """Put the restore to --prefix into use; stop all workers before, and start them with that prefix after.

    Its topics keep their records as the catalogue says from then on. With --with-databases ERP and ledger are compared
    with the restored state once more, then take the names of those in use, which stay under another name.

    Where the approval policy wants a second person, it ends with exit code 5 and is asked for; do the same again when
    it is approved. The approval is kept on this cluster's audit.events.
    """
    backup = access.load()
    signer = backup.require_role(key_path, (PROMOTER,))
    log = [entry for _, entry, _ in entries(backup.copies, START, backup.trusted.roots)]
    restored = require_restored(log, prefix, signer.public_key.keyid)
    cluster, now = cluster_of(home), datetime.now(UTC)
    servers = DatabaseServers.of(home) if with_databases else None
    what = f"{restored.subject.removesuffix(f' to {prefix}')} to {prefix}"
    if servers is not None:
        places: RestoredPlaces = restored_places(cluster.kafka, servers, prefix)
        orders = require_agreement(places, cluster)
        click.echo(f"{orders:,} orders of the restored state, ERP and ledger agree")
    parts = (what, prefix, "databases" if with_databases else "topics", str(restored.sequence), signer.public_key.keyid)
    actor = actor_of(None)
    approval_id = clearance_of(home, cluster, actor).of(Kind.PROMOTION, reason, parts, [f"{what} ({parts[2]})"])
    backup.record(key_path, PROMOTING, what, (PROMOTER,))
    topics = settle_topics(cluster, prefix)
    swapped = [] if servers is None else renamings(servers.erp, servers.ledger, places, now)
    rename(swapped)
    for one in swapped:
        click.echo(f"{one.restored} is {one.server.dbname} now; what was there is {one.aside}")
    backup.record(key_path, PROMOTED, what, (PROMOTER,))
    if approval_id is not None:
        click.echo(f"approved as {approval_id}")
    click.echo(f"{len(topics)} topics are in use; start the workers with ORDERSYNC_TOPIC_PREFIX={prefix}")

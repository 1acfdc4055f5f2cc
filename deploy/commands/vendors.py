"""`ordersync vendors`: how each vendor is told, what is open for it, and delivering again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.instants import INSTANT
from deploy.commands.options import cluster_of, home_option, json_option, print_json
from schemas.attributes import VendorId
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.vendor_queues import VendorQueues

F = TypeVar("F", bound=Callable[..., Any])


def vendor_option(function: F) -> F:
    """`--vendor`: whom it is about."""
    return click.option("--vendor", required=True, help="vendor_id, as in the vendors' file.")(function)


@click.group("vendors")
def command() -> None:
    """How each vendor is told, what is open for it, and delivering again.

    Reads the settings of the worker `deliveries` from the environment (ORDERSYNC_DATABASE__..., ORDERSYNC_VENDORS);
    `stock` reads a topic instead.
    """


@command.command("check")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(path: Path) -> None:
    """Check a vendors' file, and the secrets that it names."""
    from consumers.vendors.profiles import VendorProfiles
    from consumers.vendors.webhooks.signing import read_secrets
    from schemas.vendor_topics import vendor_topic

    loaded = VendorProfiles.load(path)
    loaded.with_topics()
    profiles = loaded.vendors
    for profile in profiles.values():
        if profile.webhook is not None:
            read_secrets(profile.webhook.secret_file)
    for name, profile in profiles.items():
        ways = [*profile.channels, *([f"topic {vendor_topic(VendorId(name)).name}"] if profile.topic else [])]
        click.echo(f"{name}: {', '.join(ways) or 'is told of nothing'}")


@command.command("secret")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def secret(path: Path) -> None:
    """Make a secret for a webhook, in a new file that only you can read."""
    from consumers.vendors.webhooks.signing import new_secret

    try:
        path.touch(0o600, exist_ok=False)
        path.write_text(new_secret() + "\n", encoding="ascii")
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be made ({exc}); a secret that is in use is not overwritten") from exc
    click.echo(f"{path}: give its content to the vendor by a way that only it can read")


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """What is waiting, given up and closed, vendor by vendor."""
    with closing(_queues()) as queues:
        rows = queues.status()
    show_rows(rows, as_json, "Nothing is queued for any vendor.")


@command.command("dead-letters")
@click.option("--vendor", default=None, help="Only of this vendor.")
@json_option
def dead_letters(vendor: str | None, as_json: bool) -> None:
    """Updates that were given up, and why; `retry` delivers them again."""
    with closing(_queues()) as queues:
        rows = queues.dead_letters(vendor)
    show_rows(rows, as_json, "No update was given up.")


@command.command("stock")
@home_option
@click.option("--vendor", default=None, help="Only of this vendor.")
@json_option
def stock(home: Path, vendor: str | None, as_json: bool) -> None:
    """What vendors said last of their stock, by vendor and product; reads the topic `vendors.stock`."""
    # Only here: they need the Kafka client.
    from deploy.topic_reading import read_topic
    from schemas.models import VendorStock
    from schemas.topics import VENDOR_STOCK

    latest: dict[tuple[str, str], VendorStock] = {}
    for report in sorted(read_topic(cluster_of(home), VENDOR_STOCK, VendorStock), key=lambda one: one.as_of):
        if vendor in (None, report.vendor_id):
            latest[report.vendor_id, report.product_id] = report
    rows = [latest[key].model_dump(mode="json") for key in sorted(latest)]
    show_rows(rows, as_json, "No vendor has told of its stock.")


@command.command("unacknowledged")
@json_option
def unacknowledged(as_json: bool) -> None:
    """Updates that vendors have not acknowledged within the time that their profile allows, oldest first."""
    with closing(_queues()) as queues:
        rows = queues.unacknowledged()
    show_rows(rows, as_json, "Every update was acknowledged in time.")


@command.command("acknowledge")
@vendor_option
@click.argument("updates", nargs=-1, required=True)
def acknowledge(vendor: str, updates: tuple[str, ...]) -> None:
    """Note that a vendor has UPDATES (update_id) in its system, as it told you by another way."""
    with closing(_queues()) as queues:
        click.echo(f"{queues.acknowledge(vendor, updates)} deliveries are ticked off")


@command.command("retry")
@vendor_option
def retry(vendor: str) -> None:
    """Try now what was given up or waits for its next attempt."""
    with closing(_queues()) as queues:
        click.echo(f"{queues.retry(vendor)} updates are tried at once")


@command.command("open")
@vendor_option
def reopen(vendor: str) -> None:
    """Send requests again to a vendor that answered 410."""
    with closing(_queues()) as queues:
        if not queues.reopen(vendor):
            raise ConfigurationError(f"{vendor} is not closed")
    click.echo(f"{vendor} is open")


@command.command("replay")
@vendor_option
@click.option("--from", "since", type=INSTANT, required=True, help="Updates written from this time on.")
@click.option("--order", default=None, help="Only of this order.")
@click.option("--channel", type=click.Choice(["webhook", "files"]), default=None, help="Only by this way.")
def replay(vendor: str, since: datetime, order: str | None, channel: str | None) -> None:
    """Deliver updates again, with the ids that they had, in their order."""
    with closing(_queues()) as queues:
        click.echo(f"{queues.replay(vendor, since, order, channel)} deliveries are queued again")


def _queues() -> VendorQueues:
    # Only here: quick verbs do without the libraries of Kafka and PostgreSQL.
    from deploy.vendor_queues import VendorQueues

    return VendorQueues()


def show_rows(rows: list[dict[str, Any]], as_json: bool, nothing: str) -> None:
    """Print rows as a table, or as JSON, one a line."""
    if as_json:
        for row in rows:
            print_json(row)
        return
    if not rows:
        click.echo(nothing)
        return
    table = Table(*(name.replace("_", " ") for name in rows[0]))
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)

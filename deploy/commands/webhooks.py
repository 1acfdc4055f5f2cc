"""`ordersync webhooks`: which clients hear what becomes of their orders, what is open for them, delivering again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deploy.commands.instants import INSTANT
from deploy.commands.options import json_option, print_json
from deploy.commands.vendors import show_rows
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.subscriber_queues import SubscriberQueues

F = TypeVar("F", bound=Callable[..., Any])


def subscription_argument(function: F) -> F:
    """Which subscription it is about."""
    return click.argument("subscription_id", metavar="SUBSCRIPTION")(function)


@click.group("webhooks")
def command() -> None:
    """Which clients hear what becomes of their orders, what is open for them, and delivering again.

    Reads the settings of the worker `deliveries` from the environment (ORDERSYNC_DATABASE__..., ORDERSYNC_VENDORS),
    and ORDERSYNC_SECRET_KEYS where secrets are sealed.
    """


@command.command("list")
@click.option("--client", default=None, help="Only of this client.")
@json_option
def list_subscriptions(client: str | None, as_json: bool) -> None:
    """Subscriptions: what waits, what was given up, what is closed and why."""
    with closing(_queues()) as queues:
        rows = queues.listed(client)
    show_rows(rows, as_json, "No client has subscribed.")


@command.command("add")
@click.option("--client", required=True, help="Name of the client, as in the clients' file.")
@click.option("--url", required=True, help="Where its messages go, https://...")
@click.option("--system", "systems", multiple=True, required=True, help="Orders of this system; may be given again.")
@click.option("--type", "types", multiple=True, help="Only messages of this type, such as order.shipped; all without.")
@click.option("--allow-http", is_flag=True, help="Allow an address that is not encrypted; the worker has to, as well.")
@json_option
def add(
    client: str, url: str, systems: tuple[str, ...], types: tuple[str, ...], allow_http: bool, as_json: bool
) -> None:
    """Let a client hear of the orders of its systems; its secret is shown once."""
    # Only here: quick verbs do without the libraries of Kafka and PostgreSQL.
    from deploy.subscriber_queues import Wanted

    with closing(_queues()) as queues:
        added, secret = queues.add(Wanted(client, url, systems, types or ("*",)), allow_http=allow_http)
    if as_json:
        print_json({"subscription_id": added, "secret": secret})
        return
    click.echo(f"{added}\n{secret}\nGive the secret to {client} by a way that only it can read: it is not shown again.")


@command.command("delete")
@subscription_argument
def delete(subscription_id: str) -> None:
    """End a subscription; what waits for it is thrown away."""
    with closing(_queues()) as queues:
        click.echo(f"{subscription_id} is gone; {queues.remove(subscription_id)} messages were waiting for it")


@command.command("rotate")
@subscription_argument
@click.option("--retire", is_flag=True, help="The client has the new one: sign with that only.")
def rotate(subscription_id: str, retire: bool) -> None:
    """Give a second secret that signs beside the present one, or retire the older one."""
    with closing(_queues()) as queues:
        if retire:
            queues.retire(subscription_id)
            click.echo(f"{subscription_id} is signed for with its newest secret only")
        else:
            click.echo(queues.rotate(subscription_id))


@command.command("seal")
def seal() -> None:
    """Seal every secret in the database by the first key of ORDERSYNC_SECRET_KEYS: once, and after a new key."""
    with closing(_queues()) as queues:
        click.echo(f"{queues.seal()} secrets are sealed by the first key")


@command.command("ping")
@subscription_argument
def ping(subscription_id: str) -> None:
    """Send a message that tells of nothing, to see whether it arrives."""
    with closing(_queues()) as queues:
        click.echo(f"{queues.ping(subscription_id)} is queued; `ordersync webhooks list` tells whether it still waits")


@command.command("dead-letters")
@click.option("--subscription", "subscription_id", default=None, help="Only of this one.")
@json_option
def dead_letters(subscription_id: str | None, as_json: bool) -> None:
    """Messages that were given up, and why; `retry` delivers them again."""
    with closing(_queues()) as queues:
        rows = queues.dead_letters(subscription_id)
    show_rows(rows, as_json, "No message was given up.")


@command.command("retry")
@subscription_argument
def retry(subscription_id: str) -> None:
    """Try now what was given up or waits for its next attempt."""
    with closing(_queues()) as queues:
        click.echo(f"{queues.retry(subscription_id)} messages are tried at once")


@command.command("open")
@subscription_argument
def reopen(subscription_id: str) -> None:
    """Send again to a client that answered 410, or took nothing for days."""
    with closing(_queues()) as queues:
        if not queues.reopen(subscription_id):
            raise ConfigurationError(f"{subscription_id} is not closed")
    click.echo(f"{subscription_id} is open; `ordersync webhooks replay` brings what it has missed")


@command.command("replay")
@subscription_argument
@click.option("--from", "since", type=INSTANT, required=True, help="What was decided from this time on.")
@click.option("--order", default=None, help="Only of this order.")
def replay(subscription_id: str, since: datetime, order: str | None) -> None:
    """Deliver messages again, with the ids that they had, each order's in their sequence."""
    with closing(_queues()) as queues:
        click.echo(f"{queues.replay(subscription_id, since, order)} messages are queued again")


def _queues() -> SubscriberQueues:
    # Only here: quick verbs do without the libraries of Kafka and PostgreSQL.
    from deploy.subscriber_queues import SubscriberQueues

    return SubscriberQueues()

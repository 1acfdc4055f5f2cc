"""`ordersync stack`: downloads beforehand, so that the first `up` is as quick as the second."""

from __future__ import annotations

import click


@click.group("stack")
def command() -> None:
    """Download beforehand what `up` needs."""


@command.command("fetch")
def fetch() -> None:
    """Download Kafka and the registry into the cache, checked against their locked digests."""
    from deploy.local.artifacts import fetch_artifacts
    from deploy.local.progress import ConsoleProgress

    artifacts = fetch_artifacts(ConsoleProgress())
    click.echo(f"everything is in {artifacts.cache}")

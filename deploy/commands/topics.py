"""`ordersync topics`: brings a cluster and its registry to what the catalogue declares, and shows the catalogue."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.options import (
    cluster_of,
    home_option,
    json_option,
    print_json,
    vendors_option,
    vendors_with_topics,
)
from schemas.topics import CATALOGUE


@click.group("topics")
def command() -> None:
    """Apply or list the topic catalogue."""


@command.command("apply")
@home_option
@json_option
@click.option("--partitions", default=12, show_default=True, help="Partitions of each order-keyed topic.")
@click.option("--replication-factor", default=1, show_default=True, help="Copies of each partition; 3 in production.")
@vendors_option
def apply(home: Path, as_json: bool, partitions: int, replication_factor: int, vendors_file: Path | None) -> None:
    """Create and update topics, register schemas, give and withdraw rights (where the brokers have an authorizer).

    Refuses to shrink a topic, and changes nothing the second time. Without the vendors' file the topics and rights of
    single vendors stay as they are; a topic of a vendor that the file no longer names stays, and nobody may read it.
    """
    # Only here: `topics list` needs no Kafka.
    from deploy.topics import TopicLayout, apply_grants, apply_topics
    from schemas.registry import SchemaRegistry
    from schemas.vendor_topics import vendor_topic

    vendors = vendors_with_topics(vendors_file)
    topics = [*CATALOGUE.values(), *map(vendor_topic, vendors or ())]
    cluster = cluster_of(home)
    registry = SchemaRegistry(cluster.registry)
    try:
        changes = apply_topics(cluster.kafka, registry, TopicLayout(partitions, replication_factor), topics)
        changes += apply_grants(cluster.kafka, vendors)
    finally:
        registry.close()
    if as_json:
        print_json([asdict(change) for change in changes])
        return
    for change in changes:
        click.echo(f"{change.topic}: {change.action}")
    click.echo(f"{len(changes)} changes; {len(topics)} topics and schemas are as they are declared", err=True)


@command.command("list")
@json_option
def list_topics(as_json: bool) -> None:
    """Every topic: key, contents, how long it is kept, who writes and who reads it."""
    if as_json:
        print_json(
            [
                {
                    "name": topic.name,
                    "key": topic.key,
                    "model": topic.model.__name__,
                    "purpose": topic.purpose,
                    "retention": topic.retention.value,
                    "writers": topic.writers,
                    "readers": topic.readers,
                }
                for topic in CATALOGUE.values()
            ]
        )
        return
    table = Table("Topic", "Key", "Holds", "Kept", "Written by", "Read by", box=None, header_style="bold")
    for topic in CATALOGUE.values():
        readers = ", ".join(topic.readers) or "-"
        table.add_row(topic.name, topic.key, topic.purpose, topic.retention.value, ", ".join(topic.writers), readers)
    Console(highlight=False).print(table)

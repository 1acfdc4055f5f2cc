"""Brings a cluster and a registry to what the topic catalogue declares; used by `ordersync topics apply` and tests."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from deploy.security.broker_grants import BrokerGrants
from schemas.attributes import VendorId
from schemas.avro import avro_schema
from schemas.errors import ConfigurationError, Fatal, Transient
from schemas.grants import Grant, declared_grants
from schemas.kafka_codes import AWAY
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings
from schemas.topics import CATALOGUE, Partitioning, Topic
from schemas.vendor_topics import vendor_grants, vendor_principal

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class TopicLayout:
    """How the catalogue is laid out on a cluster."""

    order_partitions: int = 12
    replication_factor: int = 1

    def partitions(self, topic: Topic) -> int:
        """Partition count of `topic`."""
        return self.order_partitions if topic.partitioning is Partitioning.ORDER else 1


@dataclass(frozen=True, slots=True)
class TopicChange:
    """One thing that `apply_topics` did."""

    topic: str
    action: str


def apply_topics(
    kafka: KafkaSettings, registry: SchemaRegistry, layout: TopicLayout, topics: Iterable[Topic] = CATALOGUE.values()
) -> list[TopicChange]:
    """Create what is missing, grow and reconfigure what differs, register every schema; gives what was done.

    Called by the deployer before workers start; applying twice changes nothing.

    Raises:
        ConfigurationError: a topic has more partitions than declared, or would have to grow although keys are
            already placed by the present count.
        SchemaDrift: the registry refuses a schema.
        Transient: the cluster or the registry is away.
    """
    admin = AdminClient(kafka.client_config())
    wanted = {topic.name: topic for topic in topics}
    changes = _create(admin, layout, wanted)
    # A topic created just now is as declared, and not every broker may know it yet.
    created = {change.topic for change in changes}
    older = {name: topic for name, topic in wanted.items() if name not in created}
    changes += _resize(admin, layout, older)
    changes += _configure(admin, older)
    for topic in wanted.values():
        registry.register(topic.subject, avro_schema(topic.model))
    return changes


def apply_grants(kafka: KafkaSettings, vendors: Iterable[VendorId] | None = None) -> list[TopicChange]:
    """Give each principal the rights that the table beside the catalogue names, withdraw all others; what was done.

    Called by the deployer after `apply_topics`; applying twice changes nothing, and a cluster without an authorizer
    is left as it is. `vendors` read topics of their own; where it is not known who does, those that may go on.

    Raises:
        ConfigurationError: this user may not change rights.
        Transient: the cluster is away.
    """
    admin = AdminClient(kafka.client_config())
    rights = BrokerGrants(admin)
    drift = rights.apply(wanted_grants(rights, vendors))
    if drift is None:
        return []
    given = [TopicChange(grant.resource, f"given to {grant.principal}: {grant.operation}") for grant in drift.missing]
    return given + [TopicChange("rights", f"withdrawn from {right}") for right in drift.undeclared]


def wanted_grants(rights: BrokerGrants, vendors: Iterable[VendorId] | None) -> frozenset[Grant]:
    """Every right that somebody has to have: those of the table, and of these vendors or of those that have them now.

    Raises:
        ConfigurationError: a vendor's code cannot be in a name.
        Transient: the cluster is away.
    """
    if vendors is None:
        return declared_grants() | vendor_grants(rights.granted() or ())
    return declared_grants() | declared_grants(map(vendor_principal, vendors))


def _existing(admin: AdminClient, wanted: dict[str, Topic]) -> dict[str, int]:
    try:
        metadata = admin.list_topics(timeout=_TIMEOUT_SECONDS)
    except KafkaException as exc:
        raise _kafka_error(exc, "reading the list of topics") from exc
    return {name: len(topic.partitions) for name, topic in metadata.topics.items() if name in wanted}


def _create(admin: AdminClient, layout: TopicLayout, wanted: dict[str, Topic]) -> list[TopicChange]:
    existing = _existing(admin, wanted)
    missing = [topic for name, topic in wanted.items() if name not in existing]
    new = [
        NewTopic(
            topic.name,
            num_partitions=layout.partitions(topic),
            replication_factor=layout.replication_factor,
            config=topic.config(),
        )
        for topic in missing
    ]
    if new:
        _wait(admin.create_topics(new), "creating topic")
    return [TopicChange(topic.name, f"created with {layout.partitions(topic)} partitions") for topic in missing]


def _resize(admin: AdminClient, layout: TopicLayout, wanted: dict[str, Topic]) -> list[TopicChange]:
    existing = _existing(admin, wanted)
    changes, grow = [], []
    for name, topic in wanted.items():
        count, target = existing.get(name, layout.partitions(topic)), layout.partitions(topic)
        if count > target:
            raise ConfigurationError(
                f"{name} has {count} partitions, the catalogue wants {target}: Kafka cannot shrink a topic. Apply with "
                f"--partitions {count}, or move to a new cluster"
            )
        if count < target:
            if _has_records(admin, name, count):
                raise ConfigurationError(
                    f"{name} has {count} partitions and holds records: with {target} the same order would move to "
                    f"another partition and lose its sequence. Apply with --partitions {count}, or use a new cluster"
                )
            grow.append(NewPartitions(name, target))
            changes.append(TopicChange(name, f"grown from {count} to {target} partitions"))
    if grow:
        _wait(admin.create_partitions(grow), "growing topic")
    return changes


def _has_records(admin: AdminClient, name: str, partitions: int) -> bool:
    specs = {TopicPartition(name, number): OffsetSpec.latest() for number in range(partitions)}
    futures = admin.list_offsets(specs, request_timeout=_TIMEOUT_SECONDS)
    ends: list[int] = [future.result().offset for future in futures.values()]
    if min(ends) < 0:
        # The client calls it a success when the time ran out.
        raise Transient(f"Kafka does not name the ends of {name}; is the broker running?")
    return max(ends) > 0


def _configure(admin: AdminClient, wanted: dict[str, Topic]) -> list[TopicChange]:
    if not wanted:
        return []
    resources = {name: ConfigResource(ResourceType.TOPIC, name) for name in wanted}
    described = admin.describe_configs(list(resources.values()), request_timeout=_TIMEOUT_SECONDS)
    changes, alter = [], []
    for resource, future in described.items():
        now: dict[str, Any] = {entry.name: entry.value for entry in future.result().values()}
        differing = {key: value for key, value in wanted[resource.name].config().items() if now.get(key) != value}
        if differing:
            entries = [
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in differing.items()
            ]
            alter.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=entries))
            settings = ", ".join(f"{key}={value}" for key, value in differing.items())
            changes.append(TopicChange(resource.name, f"configured {settings}"))
    if alter:
        _wait(admin.incremental_alter_configs(alter), "configuring topic")
    return changes


def _wait(futures: dict[Any, Future[Any]], doing: str) -> None:
    for subject, future in futures.items():
        try:
            future.result(timeout=_TIMEOUT_SECONDS)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise _kafka_error(exc, f"{doing} {getattr(subject, 'name', subject)}") from exc


def _kafka_error(exc: KafkaException, doing: str) -> Transient | Fatal:
    error: KafkaError = exc.args[0]
    if error.retriable() or error.code() in AWAY:
        return Transient(f"{doing}: Kafka does not answer ({error.str()}); is the broker running?")
    return Fatal(f"{doing}: {error.str()}")

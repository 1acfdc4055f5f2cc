"""Checks that an app's agents and topics fit the transport's promises."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable

from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import KafkaError, KafkaException
from faust.types import TP, AppT
from mode import CrashingSupervisor

from schemas.errors import ConfigurationError, Fatal, Transient
from streams.transport.errors import client_error
from streams.transport.options import TransportOptions


def check_agents(app: AppT) -> None:
    """Each topic has one agent of concurrency 1 whose failure ends the worker; there are no Faust tables.

    Raises `ConfigurationError`.
    """
    if len(app.tables) > 0:
        raise ConfigurationError(
            f"Faust tables ({', '.join(app.tables)}) are not supported by this transport: keep state with "
            "`PartitionHooks`, whose changelog is written through `Output`."
        )
    uses: Counter[str] = Counter()
    for agent in app.agents.values():
        if agent.concurrency != 1:
            raise ConfigurationError(f"Agent {agent.name} has concurrency {agent.concurrency}: it must be 1.")
        if agent.supervisor_strategy is None:
            agent.supervisor_strategy = CrashingSupervisor
        if not issubclass(agent.supervisor_strategy, CrashingSupervisor):
            raise ConfigurationError(
                f"Agent {agent.name} has supervisor {agent.supervisor_strategy}: it must be mode.CrashingSupervisor, "
                "or a failed agent would leave a living worker that processes nothing."
            )
        uses.update(agent.get_topic_names())
    shared = sorted(topic for topic, count in uses.items() if count > 1)
    if shared:
        raise ConfigurationError(f"Several agents consume {', '.join(shared)}: give each topic one agent.")


def check_topics(consumer: KafkaConsumer, app: AppT, names: Iterable[str], options: TransportOptions) -> None:
    """Each topic exists, and topics of one agent have equal partition counts.

    Raises `ConfigurationError`, or `Fatal` if no broker answers within the deadline.
    """
    counts = _partition_counts(consumer, options)
    missing = sorted(name for name in names if not counts.get(name))
    if missing:
        raise ConfigurationError(f"Topics are missing: {', '.join(missing)}. Create them (ordersync topics apply).")
    for topics in copartitioned(app):
        if len({counts[topic] for topic in topics}) > 1:
            told = ", ".join(f"{topic} has {counts[topic]}" for topic in sorted(topics))
            raise ConfigurationError(f"Topics of one agent must have equal partition counts, but {told}.")


def check_assignment(app: AppT, partitions: Iterable[TP]) -> None:
    """The assignment holds the same partition numbers of all topics of an agent.

    Fails when workers with different topics are in one group, as during a roll-out that adds a topic: the
    worker ends, is started again, and succeeds when all workers have the same topics. Raises `Fatal`.
    """
    numbers: dict[str, set[int]] = defaultdict(set)
    for tp in partitions:
        numbers[tp.topic].add(tp.partition)
    for topics in copartitioned(app):
        if len({frozenset(numbers[topic]) for topic in topics}) > 1:
            told = ", ".join(f"{topic}: {sorted(numbers[topic])}" for topic in sorted(topics))
            raise Fatal(
                f"Partitions with equal numbers were assigned to different workers ({told}). All workers of a group "
                "must consume the same topics."
            )


def copartitioned(app: AppT) -> list[frozenset[str]]:
    """The groups of topics that one agent consumes together."""
    return [frozenset(agent.get_topic_names()) for agent in app.agents.values()]


def _partition_counts(consumer: KafkaConsumer, options: TransportOptions) -> dict[str, int]:
    deadline = time.monotonic() + 2 * options.client_timeout_seconds
    while True:
        try:
            metadata = consumer.list_topics(timeout=5)
        except KafkaException as exc:
            error = client_error(exc, "looking up the topics")
            if isinstance(error, Transient) and time.monotonic() < deadline:
                continue
            raise Fatal(f"{error} Are the brokers up at {options.client_config.get('bootstrap.servers')}?") from exc
        return {
            name: len(topic.partitions)
            for name, topic in metadata.topics.items()
            if topic.error is None or topic.error.code() == KafkaError.NO_ERROR
        }

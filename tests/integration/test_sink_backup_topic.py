"""The backup topic holds every record of every order topic to the byte, in sound chains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers.backup.chain import verify_chain
from consumers.backup.settings import BackupSettings
from consumers.backup.sink import TOPICS
from consumers.registry import SINKS
from deploy.local.endpoints import Endpoints
from schemas.errors import ConfigurationError
from schemas.models import BackupRecord
from schemas.topics import BACKUP, ORDER_EVENTS
from tests.contract.sink_workbench import PARTITIONS, Cluster, Sent, Worker, working

BACKUP_SINK = SINKS["backup"]


@pytest.fixture
def cluster(stack: Endpoints, topic_prefix: str) -> Iterator[Cluster]:
    with closing(Cluster(stack, topic_prefix, (*TOPICS, BACKUP))) as cluster:
        yield cluster


@pytest.fixture
def settings(cluster: Cluster) -> BackupSettings:
    return BackupSettings(
        kafka=cluster.stack.kafka(),
        registry=cluster.stack.registry(),
        topic_prefix=cluster.prefix,
        group_id=f"{cluster.prefix}backup",
    )


def records(start: int, end: int) -> list[Sent]:
    return [
        Sent(topic, b"k%d" % number, b"%s %d" % (topic.encode(), number), number % PARTITIONS)
        for number in range(start, end)
        for topic in TOPICS
    ]


def chains(cluster: Cluster) -> list[list[BackupRecord]]:
    found: list[list[BackupRecord]] = [[] for _ in range(PARTITIONS)]
    for link in cluster.values(BACKUP):
        found[link.original.partition].append(link)
    return found


def copied(cluster: Cluster) -> list[Any]:
    return sorted((one.original.topic, one.original.key, one.original.value) for one in cluster.values(BACKUP))


def sent(cluster: Cluster, wanted: list[Sent]) -> list[Any]:
    return sorted((cluster.prefix + one.topic, one.key, one.value) for one in wanted)


def test_every_topic_is_copied_into_the_chain_of_its_partition(cluster: Cluster, settings: BackupSettings) -> None:
    for start in (0, 30):
        cluster.produce(records(start, start + 30))
        with working(BACKUP_SINK, settings, cluster) as worker:
            worker.until_count("written", 30 * len(TOPICS))
    assert copied(cluster) == sent(cluster, records(0, 60))
    for links in chains(cluster):
        assert verify_chain(links).broken is None
        assert len(links) == 20 * len(TOPICS)


@pytest.mark.parametrize("number", [0, PARTITIONS - 1])
def test_what_a_killed_owner_left_open_is_ended_by_the_next(
    cluster: Cluster, settings: BackupSettings, number: int
) -> None:
    killed = Producer(
        settings.kafka.producer_config(
            **{"transactional.id": f"{settings.group_id}-{number}", "transaction.timeout.ms": 600_000}
        )
    )
    killed.init_transactions(30)
    killed.begin_transaction()
    killed.produce(cluster.prefix + BACKUP, b"half a batch", partition=number)
    assert killed.flush(30) == 0
    cluster.produce(records(0, 30))
    with working(BACKUP_SINK, settings, cluster) as worker:
        worker.until_count("written", 30 * len(TOPICS))
    assert copied(cluster) == sent(cluster, records(0, 30))


def test_the_chain_decides_where_the_groups_offsets_were_reset(cluster: Cluster, settings: BackupSettings) -> None:
    cluster.produce(records(0, 30))
    with working(BACKUP_SINK, settings, cluster) as worker:
        worker.until_count("written", 30 * len(TOPICS))
    admin = AdminClient(settings.kafka.client_config())
    zero = [TopicPartition(cluster.prefix + topic, number, 0) for topic in TOPICS for number in range(PARTITIONS)]
    for future in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(settings.group_id, zero)]).values():
        future.result()
    cluster.produce(records(30, 40))
    with working(BACKUP_SINK, settings, cluster) as worker:
        worker.until_count("written", 10 * len(TOPICS))
    assert copied(cluster) == sent(cluster, records(0, 40))
    assert all(verify_chain(links).broken is None for links in chains(cluster))


def test_topics_that_are_missing_are_named(stack: Endpoints, topic_prefix: str) -> None:
    with closing(Cluster(stack, topic_prefix, (ORDER_EVENTS, BACKUP))) as cluster:
        settings = BackupSettings(
            kafka=stack.kafka(), registry=stack.registry(), topic_prefix=topic_prefix, group_id=f"{topic_prefix}g"
        )
        failure = Worker(BACKUP_SINK, settings, cluster).start().ended()
    assert isinstance(failure, ConfigurationError)
    assert f"{topic_prefix}gl.postings 0" in str(failure)

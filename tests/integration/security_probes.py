"""Asks real brokers what a principal may do: by doing it."""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from schemas.settings import KafkaSettings
from schemas.topics import CATALOGUE

DENIED = KafkaError.TOPIC_AUTHORIZATION_FAILED
SECONDS = 60.0


def writable(kafka: KafkaSettings) -> dict[str, bool]:
    """Each topic of the catalogue, and whether a record could be written to it."""
    outcome: dict[str, bool] = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        topic = message.topic()
        assert topic is not None
        assert error is None or error.code() == DENIED, f"{topic}: {error}"
        outcome[topic] = error is None

    producer = Producer(kafka.producer_config(**{"log_level": 0, "enable.idempotence": False}))
    for topic in CATALOGUE:
        producer.produce(topic, b"probe", b"probe", partition=0, on_delivery=delivered)
    producer.flush(SECONDS)
    return outcome


def readable(kafka: KafkaSettings) -> dict[str, bool]:
    """Each topic of the catalogue, and whether its records come."""
    config: dict[str, Any] = {
        "group.id": f"probe-{uuid.uuid4().hex}",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
    }
    consumer = Consumer(kafka.client_config(**config, log_level=0))
    with closing(consumer):
        # The client never says why it does not fetch from a topic that the broker hides from it altogether.
        outcome = {topic: False for topic in CATALOGUE if _hidden(consumer, topic)}
        consumer.assign([TopicPartition(topic, 0, 0) for topic in CATALOGUE if topic not in outcome])
        deadline = time.monotonic() + SECONDS
        while len(outcome) < len(CATALOGUE):
            assert time.monotonic() < deadline, f"no answer about {set(CATALOGUE) - set(outcome)}"
            message = consumer.poll(0.5)
            if message is None or message.topic() is None:
                continue
            error = message.error()
            came = error is None or error.code() == KafkaError._PARTITION_EOF
            assert came or (error is not None and error.code() == DENIED), f"{message.topic()}: {error}"
            outcome[str(message.topic())] = came
    return outcome


def _hidden(consumer: Consumer, topic: str) -> bool:
    error = consumer.list_topics(topic, timeout=SECONDS).topics[topic].error
    assert error is None or error.code() == DENIED, error
    return error is not None


def may_commit(kafka: KafkaSettings, group: str) -> bool:
    """Whether the offsets of a group may be written."""
    admin = AdminClient(kafka.client_config(log_level=0))
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition("orders.events", 0, 0)])
    try:
        done = admin.alter_consumer_group_offsets([asked], request_timeout=SECONDS)[group].result(SECONDS)
    except KafkaException as exc:
        assert exc.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED, exc
        return False
    return all(place.error is None for place in done.topic_partitions)


def may_write_as(kafka: KafkaSettings, transactional_id: str) -> bool:
    """Whether the transactional id may be taken over."""
    producer = Producer(kafka.producer_config(**{"transactional.id": transactional_id, "log_level": 0}))
    try:
        producer.init_transactions(SECONDS)
    except KafkaException as exc:
        assert exc.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, exc
        return False
    return True


def answers(config: dict[str, Any]) -> bool:
    """Whether a client with this configuration is let in at all."""
    refused: list[KafkaError] = []
    admin = AdminClient({**config, "log_level": 0, "error_cb": refused.append})
    deadline = time.monotonic() + SECONDS
    while not refused:
        assert time.monotonic() < deadline, "neither let in nor refused"
        try:
            admin.list_topics(timeout=1)
        except KafkaException:
            admin.poll(0)
        else:
            return True
    return False

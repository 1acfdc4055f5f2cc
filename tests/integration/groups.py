"""Consumer groups of the tests' own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from confluent_kafka import Consumer, KafkaException, TopicPartition

from consumers.kafka import kafka_error
from deploy.demo.patience import patiently
from schemas.settings import KafkaSettings


def commit(kafka: KafkaSettings, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
    """Commit as a reader without a subscription does, as soon as the group's coordinator is at work."""
    places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]

    def attempt() -> None:
        try:
            reader.commit(offsets=places, asynchronous=False)
        except KafkaException as exc:
            raise kafka_error(exc, f"committing offsets of {group}") from exc

    with closing(Consumer(kafka.client_config(**{"group.id": group}))) as reader:
        patiently(attempt)

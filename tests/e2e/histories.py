"""What the topics of a stack hold, record by record and only whole transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from deploy.local.endpoints import Endpoints

_SECONDS = 30.0


def committed(stack: Endpoints, topic: str) -> dict[int, list[Message]]:
    """Every committed record by partition, from the beginning to the end of this moment."""
    config = {"group.id": "tests", "isolation.level": "read_committed", "enable.partition.eof": True}
    with closing(Consumer(stack.kafka().client_config(**config, **{"enable.auto.commit": False}))) as consumer:
        partitions = consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
        assert partitions, f"no topic {topic}"
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        found: dict[int, list[Message]] = {number: [] for number in partitions}
        for message in _to_ends(consumer, len(found)):
            found[message.partition() or 0].append(message)
    return found


def _to_ends(consumer: Consumer, partitions: int) -> Iterator[Message]:
    ended: set[int] = set()
    while len(ended) < partitions:
        message = consumer.poll(_SECONDS)
        assert message is not None, "the topic gave nothing"
        error = message.error()
        if error is None:
            yield message
        else:
            assert error.code() == KafkaError._PARTITION_EOF, error
            ended.add(message.partition() or 0)

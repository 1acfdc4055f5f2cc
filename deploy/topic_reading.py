"""Reads a topic from its beginning to its present end, for verbs of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from deploy.commands.options import Cluster
from schemas.attributes import CanonicalModel
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError, Fatal, Transient
from schemas.registry import SchemaRegistry

M = TypeVar("M", bound=CanonicalModel)

_TIMEOUT_SECONDS = 15.0
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class TopicRecord(Generic[M]):
    """One record and its decoded value."""

    partition: int
    offset: int
    key: str
    value: M


def read_topic(cluster: Cluster, topic: str, model: type[M], *, key: str | None = None) -> Iterator[TopicRecord[M]]:
    """Every record with a value, in order within each partition, to the ends of this moment; only those of `key`.

    Raises:
        ConfigurationError: the cluster has no such topic.
        Transient: the cluster or the registry does not answer.
        UndecodableMessage: a record is not what the topic should hold.
    """
    registry = SchemaRegistry(cluster.registry)
    consumer = Consumer(
        cluster.kafka.client_config(
            **{
                "group.id": "ordersync-cli",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
    )
    try:
        codec = TopicCodec(topic, model, registry)
        wanted = None if key is None else key.encode()
        for message in _messages(consumer, topic):
            found, value = _bytes(message.key()), _bytes(message.value())
            if value and (wanted is None or found == wanted):
                yield TopicRecord(
                    message.partition() or 0, message.offset() or 0, found.decode(errors="replace"), codec.decode(value)
                )
    except KafkaException as exc:
        raise Transient(
            f"reading {topic}: Kafka does not answer ({exc.args[0].str()}); is the broker running?"
        ) from exc
    finally:
        consumer.close()
        registry.close()


def _messages(consumer: Consumer, topic: str) -> Iterator[Message]:
    found = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
    if not found.partitions:
        raise ConfigurationError(f"the cluster has no topic {topic}; run `ordersync topics apply`")
    open_partitions = set(found.partitions)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in open_partitions])
    while open_partitions:
        messages = consumer.consume(_BATCH, _TIMEOUT_SECONDS)
        if not messages:
            raise Transient(f"reading {topic}: nothing came for {_TIMEOUT_SECONDS:.0f} s; is the broker running?")
        for message in messages:
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition() or 0)
            elif not error.retriable():
                raise Fatal(f"reading {topic}: {error.str()}")


def _bytes(part: str | bytes | None) -> bytes:
    return part.encode() if isinstance(part, str) else part or b""

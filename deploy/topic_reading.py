"""Reads a topic from its beginning to its present end, for verbs of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import NamedTuple, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from deploy.commands.options import Cluster
from schemas.attributes import CanonicalModel
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError, Fatal, Transient
from schemas.kafka_codes import AWAY
from schemas.registry import SchemaRegistry

M = TypeVar("M", bound=CanonicalModel)

_TIMEOUT_SECONDS = 15.0
_WAIT_SECONDS = 0.05
_BATCH = 5_000


def read_topic(cluster: Cluster, topic: str, model: type[M], *, key: str | None = None) -> list[M]:
    """Every value, in order within each partition, to the ends of this moment; only those of `key`, where given.

    Raises:
        ConfigurationError: the cluster has no such topic.
        Transient: the cluster or the registry does not answer.
        UndecodableMessage: a record is not what the topic should hold.
    """
    with _codec(cluster, topic, model) as codec:
        return [codec.decode(value) for found, value in _records(cluster, topic) if value and key in (None, found)]


def read_latest(cluster: Cluster, topic: str, model: type[M], key: str) -> M | None:
    """The latest value of `key` on a compacted topic, None after a tombstone. Raises as `read_topic` does."""
    values = [value for found, value in _records(cluster, topic) if found == key]
    if not values or not values[-1]:
        return None
    with _codec(cluster, topic, model) as codec:
        return codec.decode(values[-1])


@contextmanager
def _codec(cluster: Cluster, topic: str, model: type[M]) -> Iterator[TopicCodec[M]]:
    registry = SchemaRegistry(cluster.registry)
    try:
        yield TopicCodec(topic, model, registry)
    finally:
        registry.close()


def _records(cluster: Cluster, topic: str) -> Iterator[tuple[str, bytes]]:
    """Key and value of every record; a tombstone has an empty value."""
    return ((record.key, record.value or b"") for record in read_raw(cluster, topic))


class RawRecord(NamedTuple):
    """One record as it lies on its topic; a tombstone has no value."""

    offset: int
    key: str
    value: bytes | None


def read_raw(cluster: Cluster, topic: str, first: int = OFFSET_BEGINNING) -> Iterator[RawRecord]:
    """Every record as it lies, to the ends of this moment; raises as `read_topic`, but decodes nothing.

    Those from the offset `first` on, of a topic of one partition.
    """
    with _consuming(cluster, topic) as consumer:
        for message in _messages(consumer, topic, first):
            value = message.value()
            key = _bytes(message.key()).decode(errors="replace")
            yield RawRecord(message.offset() or 0, key, None if value is None else _bytes(value))


def span_of(cluster: Cluster, topic: str) -> tuple[int, int]:
    """First offset and end of a topic of one partition.

    Raises:
        ConfigurationError: the cluster has no such topic.
        Transient: the cluster does not answer.
    """
    with _consuming(cluster, topic) as consumer:
        _partitions(consumer, topic)
        found = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=_TIMEOUT_SECONDS)
    if not found:
        raise Transient(f"Kafka did not say where {topic} ends; is the broker running?")
    return found


@contextmanager
def _consuming(cluster: Cluster, topic: str) -> Iterator[Consumer]:
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
        yield consumer
    except KafkaException as exc:
        raise Transient(
            f"reading {topic}: Kafka does not answer ({exc.args[0].str()}); is the broker running?"
        ) from exc
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topic: str) -> set[int]:
    found = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
    if not found.partitions:
        raise ConfigurationError(f"the cluster has no topic {topic}; run `ordersync topics apply`")
    return set(found.partitions)


def _messages(consumer: Consumer, topic: str, first: int) -> Iterator[Message]:
    open_partitions = _partitions(consumer, topic)
    consumer.assign([TopicPartition(topic, partition, first) for partition in open_partitions])
    heard = monotonic()
    while open_partitions:
        # The client waits for as many as are asked for, so it is asked for a short while only.
        messages = consumer.consume(_BATCH, _WAIT_SECONDS)
        heard = monotonic() if messages else heard
        if monotonic() - heard > _TIMEOUT_SECONDS:
            raise Transient(f"reading {topic}: nothing came for {_TIMEOUT_SECONDS:.0f} s; is the broker running?")
        for message in messages:
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition() or 0)
            elif not error.retriable() and error.code() not in AWAY:
                raise Fatal(f"reading {topic}: {error.str()}")


def _bytes(part: str | bytes | None) -> bytes:
    return part.encode() if isinstance(part, str) else part or b""

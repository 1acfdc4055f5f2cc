"""Loads the state of partitions from the topics that are its changelogs."""

from __future__ import annotations

import logging
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.attributes import OrderId
from schemas.errors import Transient
from schemas.settings import KafkaSettings
from schemas.topics import ORDER_STATE, PARKED
from streams.processing.codecs import Codecs
from streams.processing.store import PartitionStore

logger = logging.getLogger(__name__)

_BATCH = 10_000
_STALLED_SECONDS = 60.0
_PROGRESS_SECONDS = 5.0


def load_partitions(kafka: KafkaSettings, codecs: Codecs, partitions: frozenset[int]) -> dict[int, PartitionStore]:
    """Read `orders.state` and `orders.parked` of `partitions` to the end that they have now.

    Called in a thread for partitions newly assigned, when no transaction of their former owner is open any more.

    Raises:
        Transient: nothing came for a minute.
    """
    stores = {number: PartitionStore() for number in partitions}
    consumer = Consumer(_config(kafka))
    try:
        ends = _seek_to_start(consumer, _spans(kafka, partitions))
        started, read = monotonic(), _read(consumer, codecs, stores, ends)
    finally:
        consumer.close()
    orders = sum(len(store.states) for store in stores.values())
    logger.info("loaded %d orders from %d records in %.1f s", orders, read, monotonic() - started)
    return stores


def _config(kafka: KafkaSettings) -> dict[str, object]:
    return kafka.client_config(
        **{
            "group.id": "ordersync-state-recovery",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 65_536,
        }
    )


Span = tuple[int, int]
"""First offset of a partition, and the one after its last."""


def _spans(kafka: KafkaSettings, partitions: frozenset[int]) -> dict[tuple[str, int], Span]:
    """What the partitions hold, transactions that are still open included.

    Committed records can lie behind a dead worker's open transaction: asked with `read_committed`, the broker would
    name an end before it, and state would be loaded without them.
    """
    observer = Consumer(_config(kafka) | {"isolation.level": "read_uncommitted"})
    try:
        return {
            (topic, number): observer.get_watermark_offsets(TopicPartition(topic, number), 30)
            for topic in (ORDER_STATE, PARKED)
            for number in partitions
        }
    finally:
        observer.close()


def _seek_to_start(consumer: Consumer, spans: dict[tuple[str, int], Span]) -> dict[tuple[str, int], int]:
    """Assign every partition that holds records; gives their ends."""
    filled = {place: span for place, span in spans.items() if span[0] < span[1]}
    consumer.assign([TopicPartition(topic, number, low) for (topic, number), (low, _) in filled.items()])
    return {place: high for place, (_, high) in filled.items()}


def _read(
    consumer: Consumer, codecs: Codecs, stores: dict[int, PartitionStore], ends: dict[tuple[str, int], int]
) -> int:
    read, heard, told = 0, monotonic(), monotonic()
    while ends:
        messages = consumer.consume(_BATCH, 0.5)
        for message in messages:
            if _reached_end(message, ends):
                continue
            _apply(message, codecs, stores)
            read += 1
        now = monotonic()
        heard = now if messages else heard
        if now - heard > _STALLED_SECONDS:
            raise Transient(f"state of {len(ends)} partitions did not come within {_STALLED_SECONDS:g} s")
        if now - told > _PROGRESS_SECONDS:
            told = now
            logger.info("loading state: %d records read, %d partitions to go", read, len(ends))
    return read


def _reached_end(message: Message, ends: dict[tuple[str, int], int]) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    topic, number, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and number is not None and offset is not None
    if offset >= ends.get((topic, number), 0):
        ends.pop((topic, number), None)
    return True


def _apply(message: Message, codecs: Codecs, stores: dict[int, PartitionStore]) -> None:
    number, key, value = message.partition(), message.key(), message.value()
    assert number is not None and isinstance(key, bytes)
    store, order_id = stores[number], OrderId(key.decode())
    if message.topic() == ORDER_STATE:
        if value is None:
            store.states.pop(order_id, None)
        else:
            store.states[order_id] = value
    elif value is None:
        store.release(order_id)
    else:
        store.park(codecs.parked.decode(value))

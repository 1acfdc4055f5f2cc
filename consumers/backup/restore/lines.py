"""What a restore writes records with and reads them back: a producer and a consumer, for a partition at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from consumers.backup.archive.batches import Headers, RecordBatch
from consumers.backup.archive.kafka import is_end, require_passing
from consumers.sink import Partition
from schemas.errors import Transient
from schemas.settings import KafkaSettings

_SECONDS = 60.0
_FULL_BUFFER_POLL_SECONDS = 0.05
_BUFFER_KBYTES = 128 * 1024
_MOST = 2_000
"""Records that are taken from the consumer at once."""


class RestoreLine:
    """Of one thread; the topics' names begin with a prefix."""

    def __init__(self, kafka: KafkaSettings, prefix: str) -> None:
        self._kafka = kafka
        self._prefix = prefix
        self._producer: Producer | None = None
        self._consumer: Consumer | None = None
        self._failures: list[KafkaError] = []

    def write(self, partition: Partition, batches: Iterable[RecordBatch]) -> int:
        """Append the records in their order; returns when the brokers have them all.

        Not in a transaction: so each record's new offset is its number, and an interrupted restore can go on.

        Raises:
            Transient: the brokers did not take all of them; `RestoreTarget.ends` tells how far it came.
        """
        producer, failures = self._writer(), self._failures
        written = 0
        for batch in batches:
            self._produce(producer, partition, batch)
            producer.poll(0)
            written += len(batch)
            if failures:
                break
        left = producer.flush(_SECONDS) if written else 0
        if failures or left:
            told = failures[0].str() if failures else f"{left} records were not confirmed"
            raise Transient(
                f"restoring {self._prefix}{partition.topic}/{partition.number}: {told}; go on with --resume"
            )
        return written

    def read(self, partition: Partition, count: int) -> Iterator[RecordBatch]:
        """The first `count` records of a restored partition. Raises `Transient`."""
        if not count:
            return
        consumer = self._reader()
        consumer.assign([TopicPartition(self._prefix + partition.topic, partition.number, 0)])
        try:
            yield from self._read(consumer, count)
        finally:
            # Else the brokers are asked for more as long as the next partition is being written.
            consumer.unassign()

    def close(self) -> None:
        """Give the connections back; what follows opens new ones."""
        consumer, self._consumer, self._producer = self._consumer, None, None
        if consumer is not None:
            consumer.close()

    def _read(self, consumer: Consumer, count: int) -> Iterator[RecordBatch]:
        seen = 0
        while seen < count:
            messages = consumer.consume(min(_MOST, count - seen), 0.2)
            errors = [error for message in messages if (error := message.error()) is not None]
            if errors:
                messages = [message for message in messages if message.error() is None]
            seen += len(messages)
            if messages:
                yield _batch(messages)
            for error in errors:
                if is_end(error):
                    return
                require_passing(error)

    def _produce(self, producer: Producer, partition: Partition, batch: RecordBatch) -> None:
        topic, number, produce = self._prefix + partition.topic, partition.number, producer.produce
        headers_of = batch.headers.get
        rows = zip(batch.values, batch.keys, batch.timestamps_ms, strict=True)
        for row, (value, key, timestamp_ms) in enumerate(rows):
            # Arguments by name cost as much again as the call.
            arguments: tuple[Any, ...] = (topic, value, key, number, None, None, timestamp_ms)
            if headers := headers_of(row):
                arguments = (*arguments, list(headers))
            while True:
                try:
                    produce(*arguments)
                except BufferError:
                    producer.poll(_FULL_BUFFER_POLL_SECONDS)
                else:
                    break

    def _writer(self) -> Producer:
        if self._producer is None:
            failures = self._failures = []

            def on_delivery(error: KafkaError | None, _message: object) -> None:
                if error is not None:
                    failures.append(error)

            # Only failures are told: `flush` waits for every record all the same.
            config: dict[str, Any] = {"on_delivery": on_delivery, "delivery.report.only.error": True, "linger.ms": 20}
            config["queue.buffering.max.kbytes"] = _BUFFER_KBYTES
            self._producer = Producer(self._kafka.producer_config(**config))
        return self._producer

    def _reader(self) -> Consumer:
        if self._consumer is None:
            config = {"group.id": "ordersync-restore", "enable.auto.commit": False, "enable.partition.eof": True}
            # At the default of half a second, each partition's end is waited for so long.
            self._consumer = Consumer(self._kafka.client_config(**config, **{"fetch.wait.max.ms": 20}))
        return self._consumer


def _batch(messages: list[Message]) -> RecordBatch:
    batch = RecordBatch()
    batch.offsets = [message.offset() or 0 for message in messages]
    stamps = [message.timestamp() for message in messages]
    batch.timestamp_types = [kind for kind, _ in stamps]
    batch.timestamps_ms = [time_ms for _, time_ms in stamps]
    batch.keys, batch.values = [one.key() for one in messages], [one.value() for one in messages]
    found: dict[int, Headers] = {}
    for number, message in enumerate(messages):
        if headers := message.headers():
            found[number] = tuple(headers)  # type: ignore[arg-type]  # their values are bytes
    batch.headers = found
    return batch

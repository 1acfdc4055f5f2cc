"""Writes dead letters to `orders.rejected` from a worker that captures no database."""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from producers.kafka import kafka_error
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient
from schemas.models import Rejection
from schemas.settings import KafkaSettings
from schemas.topics import REJECTED


class RejectionWriter:
    """Producer of the dead letters; delivery at least once, so give the same letter the same id each time."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds, timeout_seconds: float) -> None:
        self._codec = TopicCodec(REJECTED, Rejection, schemas)
        self._seconds = timeout_seconds
        self._producer = Producer(kafka.producer_config(**{"delivery.timeout.ms": int(timeout_seconds * 1000)}))

    async def write(self, key: bytes, rejection: Rejection) -> None:
        """Return when the letter is durable. Raises Transient where Kafka does not answer, Fatal where it refuses."""
        await asyncio.to_thread(self._send, key, self._codec.encode(rejection))

    def _send(self, key: bytes, value: bytes) -> None:
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        try:
            self._producer.produce(REJECTED, value, key, on_delivery=delivered)
            waiting = self._producer.flush(self._seconds + 5)
        except BufferError as exc:
            raise Transient("the queue of dead letters is full") from exc
        except KafkaException as exc:
            raise kafka_error(exc, f"writing to {REJECTED}") from exc
        if failures:
            raise kafka_error(failures[0], f"writing to {REJECTED}")
        if waiting:
            raise Transient(f"a dead letter has not reached {REJECTED}; is the broker running?")

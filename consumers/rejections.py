"""Writes refused records to `orders.rejected`, durably, before a sink's position moves past them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from uuid import uuid5

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumers.kafka import kafka_error
from consumers.original import original_of
from consumers.settings import SinkSettings
from consumers.sink import Refusal
from schemas.attributes import Instant, OrderId
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient
from schemas.models import Rejection, Violation
from schemas.models.source import EVENT_NAMESPACE
from schemas.topics import REJECTED

_FLUSH_SECONDS = 30.0


def rejection_of(refusal: Refusal, stage: str, now: Instant) -> Rejection:
    """The dead letter of a refused record; the same record always has the same id."""
    original = original_of(refusal.message)
    error = refusal.error
    place = f"{original.topic}/{original.partition}/{original.offset}"
    return Rejection(
        rejection_id=str(uuid5(EVENT_NAMESPACE, place)),
        stage=stage,
        order_id=_order_id(original.key),
        violations=[Violation(rule=error.rule, message=f"{place}: {error}", field=error.field)],
        rejected_at=now,
        code_version=version("ordersync"),
        original=original,
    )


class RejectionWriter:
    """Producer of one sink's dead letters; delivery at least once, the id is the same each time."""

    def __init__(self, stage: str, settings: SinkSettings, schemas: SchemaIds) -> None:
        self._stage = stage
        self._topic = settings.topic(REJECTED)
        self._codec = TopicCodec(self._topic, Rejection, schemas)
        self._producer = Producer(settings.kafka.producer_config())

    def write(self, refused: Iterable[Refusal]) -> None:
        """Return when the brokers have every one of them.

        Raises:
            Transient: they do not answer; some may have been written, writing all again does no harm.
            Fatal: they refuse.
        """
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        try:
            for refusal in refused:
                rejection = rejection_of(refusal, self._stage, datetime.now(UTC))
                self._producer.produce(
                    self._topic,
                    key=rejection.original.key,
                    value=self._codec.encode(rejection),
                    partition=rejection.original.partition,
                    on_delivery=delivered,
                )
            waiting = self._producer.flush(_FLUSH_SECONDS)
        except KafkaException as exc:
            raise kafka_error(exc, f"{self._stage}: writing to {self._topic}") from exc
        except BufferError as exc:
            self._producer.flush(_FLUSH_SECONDS)
            raise Transient(f"{self._stage}: the queue to {self._topic} is full") from exc
        if failures:
            raise kafka_error(failures[0], f"{self._stage}: writing to {self._topic}")
        if waiting:
            raise Transient(f"{self._stage}: {waiting} records have not reached {self._topic}; is the broker running?")


def _order_id(key: bytes | None) -> OrderId | None:
    if key is None:
        return None
    try:
        return OrderId(key.decode())
    except UnicodeDecodeError:
        return None

"""Writes refused documents to `orders.rejected`, with every reason."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from importlib.metadata import version
from uuid import uuid5

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from producers.documents.originals import DocumentId
from producers.documents.reasons import RefusedDocument
from producers.kafka import kafka_error
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient
from schemas.models import MessageHeader, OriginalMessage, Rejection, Violation
from schemas.models.source import EVENT_NAMESPACE
from schemas.settings import KafkaSettings
from schemas.topics import REJECTED

STAGE = "documents"
_LONGEST = 1024 * 1024
"""Longer documents are not copied into their letter: the original is kept by its hash."""


def rejection_of(source: str, document_id: DocumentId, content: bytes, refusal: RefusedDocument) -> Rejection:
    """The dead letter of a document; the same one for the same document and first reason."""
    now = datetime.now(UTC)
    first = refusal.reasons[0]
    return Rejection(
        rejection_id=str(uuid5(EVENT_NAMESPACE, f"{STAGE}/{document_id}/{first.rule}/{first.place}")),
        stage=STAGE,
        order_id=None,
        violations=[Violation(rule=one.rule, message=one.message, field=one.place) for one in refusal.reasons],
        rejected_at=now,
        code_version=version("ordersync"),
        original=OriginalMessage(
            topic=f"{STAGE}/{source}",
            partition=-1,
            offset=0,
            timestamp_at=now,
            key=document_id.encode(),
            value=content if len(content) <= _LONGEST else None,
            headers=[MessageHeader(key="sha256", value=document_id.encode())],
        ),
    )


class LetterWriter:
    """Producer of the dead letters; delivery at least once, the id is the same each time."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds, timeout_seconds: float) -> None:
        self._codec = TopicCodec(REJECTED, Rejection, schemas)
        self._seconds = timeout_seconds
        self._producer = Producer(kafka.producer_config(**{"delivery.timeout.ms": int(timeout_seconds * 1000)}))

    async def write(self, source: str, document_id: DocumentId, content: bytes, refusal: RefusedDocument) -> None:
        """Return when the letter is durable. Raises Transient where Kafka does not answer, Fatal where it refuses."""
        rejection = rejection_of(source, document_id, content, refusal)
        await asyncio.to_thread(self._send, document_id.encode(), self._codec.encode(rejection))

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

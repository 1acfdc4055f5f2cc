"""Writes refused documents to `orders.rejected`, with every reason."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from uuid import uuid5

from producers.documents.originals import DocumentId
from producers.documents.reasons import RefusedDocument
from producers.rejections import RejectionWriter
from schemas.codec.topic import SchemaIds
from schemas.models import MessageHeader, OriginalMessage, Rejection, Violation
from schemas.models.source import EVENT_NAMESPACE
from schemas.settings import KafkaSettings

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
    """The dead letters of documents; delivery at least once, the id is the same each time."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds, timeout_seconds: float) -> None:
        self._rejections = RejectionWriter(kafka, schemas, timeout_seconds)

    async def write(self, source: str, document_id: DocumentId, content: bytes, refusal: RefusedDocument) -> None:
        """Return when the letter is durable. Raises Transient where Kafka does not answer, Fatal where it refuses."""
        await self._rejections.write(document_id.encode(), rejection_of(source, document_id, content, refusal))

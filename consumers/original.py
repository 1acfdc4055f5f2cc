"""A Kafka record as a canonical `OriginalMessage`, to the byte; for dead letters and the backup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from confluent_kafka import Message

from schemas.attributes import Instant
from schemas.models import MessageHeader, OriginalMessage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def original_of(message: Message) -> OriginalMessage:
    """The record as it came, to the byte."""
    headers: list[tuple[str, str | bytes | None]] = list(message.headers() or ())  # type: ignore[arg-type]
    return OriginalMessage.model_construct(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp_at=timestamp_of(message),
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=[MessageHeader.model_construct(key=key, value=_bytes(value)) for key, value in headers],
    )


def timestamp_of(message: Message) -> Instant:
    """The record's timestamp; 1970 where it has none."""
    return _EPOCH + timedelta(milliseconds=max(0, message.timestamp()[1]))


def _bytes(part: str | bytes | None) -> bytes | None:
    return part.encode() if isinstance(part, str) else part

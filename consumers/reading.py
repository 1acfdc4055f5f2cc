"""Bytes of a run of records to values, refusing what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from confluent_kafka import Message

from consumers.sink import Refusal
from schemas.attributes import CanonicalModel
from schemas.codec import TopicCodec
from schemas.errors import InvalidMessage, UndecodableMessage

M = TypeVar("M", bound=CanonicalModel)


def read_each(codec: TopicCodec[M], messages: Sequence[Message]) -> tuple[list[M], list[Refusal]]:
    """The value of every record in order, and the records that have none.

    Raises:
        Transient: a foreign schema has to be asked for and the registry is away.
    """
    found, refused = read_with_records(codec, messages)
    return [value for _, value in found], refused


def read_with_records(
    codec: TopicCodec[M], messages: Sequence[Message]
) -> tuple[list[tuple[Message, M]], list[Refusal]]:
    """The same, each value with its record, for sinks that need its place. Raises as `read_each`."""
    found: list[tuple[Message, M]] = []
    refused: list[Refusal] = []
    for message in messages:
        try:
            found.append((message, codec.decode(value_of(message))))
        except InvalidMessage as exc:
            refused.append(Refusal(message, exc))
    return found, refused


def value_of(message: Message) -> bytes:
    """The record's value.

    Raises:
        UndecodableMessage: it has none.
    """
    value = message.value()
    if value is None:
        raise UndecodableMessage(
            f"a tombstone on {message.topic()}, which is not compacted; nothing can be removed from it",
            rule="tombstone",
        )
    return value


def key_of(message: Message) -> str:
    """The record's key as text; empty where it has none."""
    key = message.key()
    return key.decode(errors="replace") if isinstance(key, bytes) else key or ""

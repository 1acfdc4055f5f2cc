"""Reads only the highest version of each order in a run of `orders.events`; the others would be overwritten at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from confluent_kafka import Message

from consumers.reading import value_of
from consumers.sink import Reading, Refusal
from schemas.codec import TopicCodec, schema_id_of
from schemas.codec.scalars import read_long
from schemas.codec.wire import HEADER_LENGTH
from schemas.errors import InvalidMessage
from schemas.models import OrderEvent

_MALFORMED = (IndexError, UnicodeDecodeError, InvalidMessage)


def read_latest(codec: TopicCodec[OrderEvent], messages: Sequence[Message]) -> Reading[OrderEvent]:
    """The newest readable version of each order; a record that had to be read and could not is refused.

    Where the newest is unreadable the one before is taken. The order's id and version stand near the start of a
    record, so the others are told apart without decoding them.

    Raises:
        Transient: a foreign schema has to be asked for and the registry is away.
    """
    versions: dict[str, list[tuple[int, int, Message]]] = defaultdict(list)
    events: list[OrderEvent] = []
    refused: list[Refusal] = []
    for place, message in enumerate(messages):
        try:
            value = value_of(message)
            identity = order_and_version(value) if schema_id_of(value) == codec.schema_id else None
            if identity is None:
                state = codec.decode(value).state
                identity = state.order_id, state.version
        except InvalidMessage as exc:
            refused.append(Refusal(message, exc))
        else:
            versions[identity[0]].append((identity[1], place, message))
    for candidates in versions.values():
        _read_newest(codec, candidates, events, refused)
    return Reading(events, refused, [event.state.committed_at for event in events])


def order_and_version(value: bytes) -> tuple[str, int] | None:
    """Order and version of an `OrderEvent` in our schema; None where the bytes cannot be one.

    They come after the event's type, its topic and `captured_at`, as the first two fields of `state`.
    """
    try:
        index = HEADER_LENGTH
        for _ in range(2):
            length, index = read_long(value, index)
            index += length
        _, index = read_long(value, index)
        length, index = read_long(value, index)
        order_id = value[index : index + length].decode()
        version, _ = read_long(value, index + length)
    except _MALFORMED:
        return None
    return order_id, version


def _read_newest(
    codec: TopicCodec[OrderEvent],
    candidates: list[tuple[int, int, Message]],
    events: list[OrderEvent],
    refused: list[Refusal],
) -> None:
    if len(candidates) > 1:
        candidates.sort(key=lambda candidate: candidate[:2], reverse=True)
    for _, _, message in candidates:
        try:
            events.append(codec.decode(value_of(message)))
        except InvalidMessage as exc:
            refused.append(Refusal(message, exc))
        else:
            return

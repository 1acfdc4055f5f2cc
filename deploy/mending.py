"""Mends a refused event: its original as JSON, changed by a person, and checked against its schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError, InvalidMessage
from schemas.masking import masked_changes
from schemas.models import CapturedEvent, Rejection
from schemas.topics import CAPTURED_TOPICS

SHOPS = "shops"
"""Stage of what a shop sent and no mapping read."""
IDENTITY = ("event_id", "order_id", "source")
"""What says which event of which order it is; merging by owner goes by it, so it is not for mending."""


@dataclass(frozen=True, slots=True)
class MendedEvent:
    """An event that may go back to its topic, and what was changed of it."""

    key: bytes
    value: bytes
    changes: list[str]
    topic: str | None = None
    """Where it goes; None to where its original came from."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """What belongs to it besides those of its original."""


def check_replayable(letter: Rejection) -> None:
    """Raise `ConfigurationError` where the letter's original cannot be put back into its place."""
    original = letter.original
    if letter.stage == SHOPS:
        raise ConfigurationError(
            f"dead letter {letter.rejection_id} is a webhook of a shop: mend the shop's mapping, then `ordersync "
            f"dead-letters replay {letter.rejection_id} --shops FILE` maps it again"
        )
    if original.topic not in CAPTURED_TOPICS or original.partition < 0:
        raise ConfigurationError(
            f"dead letter {letter.rejection_id} is of {original.topic}, not of a captured event: correct it there, and "
            "it comes again by itself"
        )


def unchanged(letter: Rejection) -> MendedEvent:
    """The original as it came.

    Raises:
        ConfigurationError: it has no key or no value, so it was never an event.
    """
    original = letter.original
    if original.key is None or original.value is None:
        raise ConfigurationError(
            f"dead letter {letter.rejection_id} has no {'key' if original.key is None else 'value'}: as it is it would "
            "be refused again; mend it with `dead-letters edit --file`"
        )
    return MendedEvent(original.key, original.value, [])


def readable(letter: Rejection, codec: TopicCodec[Any]) -> dict[str, Any] | None:
    """The original as JSON; None where its bytes are no event."""
    try:
        event: CapturedEvent = codec.decode(letter.original.value or b"")
    except InvalidMessage:
        return None
    document: dict[str, Any] = event.model_dump(mode="json")
    return document


def mended(letter: Rejection, document: Any, codec: TopicCodec[Any]) -> MendedEvent:
    """The event that a changed document says.

    Raises:
        ConfigurationError: it does not fit the schema, speaks of another event or order, or nothing was changed.
    """
    before = readable(letter, codec)
    try:
        event: CapturedEvent = codec.records.model.model_validate(document)
        value = codec.encode(event)
    except ValidationError as exc:
        problems = "; ".join(f"{_path(error['loc'])}: {error['msg']}" for error in exc.errors())
        raise ConfigurationError(f"the mended event does not fit {codec.topic}: {problems}") from exc
    except InvalidMessage as exc:
        raise ConfigurationError(f"the mended event does not fit {codec.topic}: {exc}") from exc
    after = event.model_dump(mode="json")
    # They go into the audit, which is kept for ever and read by others than those who may see of whom an order tells.
    changes = ["the whole event"] if before is None else masked_changes(_differences(before, after, ()))
    if before is not None:
        moved = [name for name in IDENTITY if before[name] != after[name]]
        if moved:
            raise ConfigurationError(
                f"{', '.join(moved)} must stay as in the original, which says where the event belongs among the others"
            )
    elif letter.order_id is not None and event.order_id != letter.order_id:
        raise ConfigurationError(f"the event is about {event.order_id}, the dead letter about {letter.order_id}")
    key = event.order_id.encode()
    if key != letter.original.key:
        changes.append(f"key: {letter.original.key!r} -> {key!r}")
    if not changes:
        raise ConfigurationError("nothing was changed; `dead-letters replay` replays an event as it is")
    return MendedEvent(key, value, changes)


def with_values(document: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """A copy of the document with `path=value` set, as in `order.order_lines.0.quantity=3`.

    Values are JSON where they can be read so, else text; numbers keep all their digits.

    Raises:
        ConfigurationError: no such place, or no `=`.
    """
    changed: dict[str, Any] = json.loads(json.dumps(document))
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ConfigurationError(f"--set {setting}: write path=value, as in order.order_lines.0.quantity=3")
        *parents, name = path.split(".")
        place: Any = changed
        for parent in parents:
            place = place[_step(place, parent, path)]
        place[_step(place, name, path)] = _value(text)
    return changed


def _step(place: Any, name: str, path: str) -> str | int:
    if isinstance(place, dict) and name in place:
        return name
    if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
        return int(name)
    names = (
        ", ".join(place) if isinstance(place, dict) else f"0 to {len(place) - 1}" if isinstance(place, list) else "none"
    )
    raise ConfigurationError(f"--set {path}: there is no {name!r}; there are {names}")


def _value(text: str) -> Any:
    try:
        # Money must not pass through a float.
        return json.loads(text, parse_float=str)
    except ValueError:
        return text


def _differences(before: Any, after: Any, path: Sequence[str | int]) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            yield from _differences(before.get(name), after.get(name), (*path, name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(old, new, (*path, number))
    elif before != after:
        yield f"{_path(path)}: {_told(before)} -> {_told(after)}"


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _path(steps: Sequence[str | int]) -> str:
    return ".".join(map(str, steps))

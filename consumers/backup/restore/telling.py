"""Which order, and which version of it, an archived value is about: read from its first bytes where they tell it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from io import BytesIO
from typing import Any

import fastavro
from fastavro.read import SchemaResolutionError

from schemas.codec.wire import HEADER_LENGTH
from schemas.topics import ORDER_EVENTS, POSTINGS

_TELLING = frozenset({"state", "order_id", "version", "order_version"})
_NUMBERS = frozenset({"int", "long", "enum"})
_TEXTS = frozenset({"string", "bytes"})
_MORE = 0x80


class _Step(Enum):
    """How one field at the beginning of a value is passed or read."""

    PASS_NUMBER = 1
    PASS_TEXT = 2
    ORDER = 3
    VERSION = 4


class Telling:
    """Of one topic and one schema that its values were written with."""

    def __init__(self, topic: str, schema: dict[str, Any]) -> None:
        self._topic = topic
        self._version_name = "order_version" if topic == POSTINGS else "version"
        self._steps = self._first_steps(schema)
        self._written = fastavro.parse_schema(schema, named_schemas={})
        self._narrowed = fastavro.parse_schema(_narrowed(schema), named_schemas={})

    def order_and_version(self, value: bytes) -> tuple[str, int] | None:
        """What a value with its header tells; None where its bytes are not of the schema."""
        if self._steps is None:
            return self._decoded(value)
        index, order_id, version = HEADER_LENGTH, "", 0
        try:
            for step in self._steps:
                byte = value[index]
                index += 1
                number = byte & 0x7F
                shift = 7
                while byte & _MORE:
                    byte = value[index]
                    index += 1
                    number |= (byte & 0x7F) << shift
                    shift += 7
                number = (number >> 1) ^ -(number & 1)
                if step is _Step.PASS_TEXT:
                    index += number
                elif step is _Step.ORDER:
                    order_id = value[index : index + number].decode()
                    index += number
                elif step is _Step.VERSION:
                    version = number
        except (IndexError, UnicodeDecodeError):
            return None
        return order_id, version

    def _decoded(self, value: bytes) -> tuple[str, int] | None:
        try:
            found: Any = fastavro.schemaless_reader(BytesIO(value[HEADER_LENGTH:]), self._written, self._narrowed)
            part = found["state"] if self._topic == ORDER_EVENTS else found
            return part["order_id"], part[self._version_name]
        except (ValueError, KeyError, EOFError, IndexError, SchemaResolutionError):
            return None

    def _first_steps(self, schema: dict[str, Any]) -> tuple[_Step, ...] | None:
        """Up to the later of both; None where something stands before it that is not plain."""
        steps: list[_Step] = []
        wanted = {"order_id", self._version_name}
        for name, kind in _leading(schema, self._topic):
            plain = kind.get("type") if isinstance(kind, dict) else kind
            if name in wanted:
                steps.append(_Step.ORDER if name == "order_id" else _Step.VERSION)
                wanted.discard(name)
                if not wanted:
                    return tuple(steps)
            elif isinstance(plain, str) and plain in _NUMBERS | _TEXTS:
                steps.append(_Step.PASS_TEXT if plain in _TEXTS else _Step.PASS_NUMBER)
            else:
                return None
        return None


def _leading(schema: dict[str, Any], topic: str) -> Iterator[tuple[str, Any]]:
    """The fields in the order of their bytes; those of an event's state, from where that begins."""
    for field in schema["fields"]:
        if topic == ORDER_EVENTS and field["name"] == "state":
            yield from ((inner["name"], inner["type"]) for inner in field["type"]["fields"])
            return
        # An event may have a field of its own with such a name.
        yield ("" if topic == ORDER_EVENTS else field["name"]), field["type"]


def _narrowed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the fields alone that tell order and version, of a nested state, too."""
    kept = [field for field in schema["fields"] if field["name"] in _TELLING]
    nested = {field["name"]: field | {"type": _narrowed(field["type"])} for field in kept if field["name"] == "state"}
    return schema | {"fields": [nested.get(field["name"], field) for field in kept]}

"""The content of an order as flat attributes, path to text, in which two systems can be compared and digested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from schemas.attributes import CanonicalModel
from schemas.avro import shapes_of

Attributes = Mapping[str, str]
"""Path to canonical text, such as `order_lines[2].quantity` to `12.5`; what is null is left out.

Elements of lists are named by their own identity, so that their order has no meaning.
"""
DIGEST_BYTES = 16


def text_of(value: Any) -> str:
    """The one text of a value, however many zeros or which zone it came with."""
    kind = type(value)
    if kind is str:
        text: str = value
        return text
    written = _WRITTEN.get(kind)
    return written(value) if written is not None else _subclass_text(value)


# Equal numbers and moments have the same text, and prices, rates and days come again and again.
@lru_cache(maxsize=65_536)
def _decimal_text(value: Decimal) -> str:
    return f"{value.normalize():f}" if value else "0"


@lru_cache(maxsize=65_536)
def _moment_text(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")


_WRITTEN: dict[type[Any], Callable[[Any], str]] = {
    Decimal: _decimal_text,
    datetime: _moment_text,
    date: date.isoformat,
    bool: lambda value: "true" if value else "false",
    int: int.__str__,
}


def _subclass_text(value: Any) -> str:
    for kind in (Decimal, datetime, date):
        if isinstance(value, kind):
            return _WRITTEN[kind](value)
    return str(value)


def model_attributes(value: CanonicalModel) -> dict[str, str]:
    """All attributes of `value`, at any depth; an element of a list is named by its first attribute."""
    attributes: dict[str, str] = {}
    _flatten(value, "", attributes)
    return attributes


def put(attributes: dict[str, str], prefix: str, names: Iterable[str], values: Iterable[Any]) -> None:
    """Add named values under `prefix`, without those that are None."""
    for name, value in zip(names, values, strict=True):
        if value is not None:
            # Half of all values are texts, and there are millions.
            attributes[prefix + name] = value if type(value) is str else text_of(value)


def put_from(attributes: dict[str, str], prefix: str, names: Iterable[str], record: object) -> None:
    """Add attributes of `record` under `prefix`, without those that are None."""
    for name in names:
        value = getattr(record, name)
        if value is not None:
            attributes[prefix + name] = value if type(value) is str else text_of(value)


def digest_of(attributes: Attributes) -> bytes:
    """A digest that is the same for the same attributes, in whatever order."""
    content = "\x1e".join([f"{path}\x1f{text}" for path, text in sorted(attributes.items())])
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


class Elements:
    """Names the elements of one list; a repeated identity gets its number."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: dict[str, int] = {}

    def next(self, identity: Any) -> str:
        """The path of the next element, with a dot at its end."""
        name = str(identity)
        count = self._seen[name] = self._seen.get(name, 0) + 1
        return f"{self._path}[{name if count == 1 else f'{name}#{count}'}]."


def _flatten(value: CanonicalModel, prefix: str, attributes: dict[str, str]) -> None:
    for shape in shapes_of(type(value)):
        content = getattr(value, shape.name)
        if content is None:
            continue
        path = prefix + shape.name
        if shape.is_list:
            elements = Elements(path)
            for element in content:
                if shape.record is None:
                    attributes[elements.next(element)[:-1]] = text_of(element)
                else:
                    identity = shapes_of(shape.record)[0].name
                    _flatten(element, elements.next(getattr(element, identity)), attributes)
        elif shape.record is not None:
            _flatten(content, f"{path}.", attributes)
        else:
            attributes[path] = text_of(content)

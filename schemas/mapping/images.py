"""Assembled rows, and the functions that build a list of records from child rows or from a JSON array."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.attributes import CanonicalModel
from schemas.errors import InvalidValue

Row = Mapping[str, Any]
"""One source row (or JSON element): column name to Python value."""


@dataclass(slots=True)
class Image:
    """A source row with the rows that belong to it, by table alias."""

    row: Row
    children: dict[str, list[Image]] = field(default_factory=dict)


Builder = Callable[[Image, Row, "Row | None"], "CanonicalModel | None"]
"""`(image, root row, parent row) -> instance`, None where the record's `when` is false."""


def row_list(alias: str, order_by: Sequence[str], build: Builder) -> Callable[[Image, Row], list[Any]]:
    """A record for each child row of the table `alias`, sorted by the columns `order_by`."""

    def rows(image: Image, root: Row) -> list[Any]:
        children = image.children.get(alias)
        if not children:
            return []
        if len(children) > 1:
            children = sorted(children, key=lambda child: tuple(_sortable(child.row[column]) for column in order_by))
        built = [build(child, root, image.row) for child in children]
        return [item for item in built if item is not None]

    return rows


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


def json_list(elements: Callable[[Row, Row], Any], build: Builder, path: str) -> Callable[[Image, Row], list[Any]]:
    """A record for each object of a JSON array; in its expressions `position` is its place, from 1."""

    def items(image: Image, root: Row) -> list[Any]:
        found = elements(image.row, root)
        if not isinstance(found, list) or not all(isinstance(element, dict) for element in found):
            raise InvalidValue(f"{path}: not a JSON array of objects", rule="mapping", field=path)
        built = [
            build(Image(_Element(element, position=number)), root, image.row) for number, element in enumerate(found, 1)
        ]
        return [item for item in built if item is not None]

    return items


class _Element(dict[str, Any]):
    """A JSON object: a key that it lacks is None, and `position` is its place in the array, from 1."""

    def __missing__(self, key: str) -> Any:
        return None

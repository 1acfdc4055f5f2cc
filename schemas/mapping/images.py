"""Assembled rows, and the functions that build a list of records from child rows or from a JSON array."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.attributes import CanonicalModel
from schemas.errors import InvalidValue

MOST_REASONS = 100
"""Reasons of one aggregate that are told."""

Row = Mapping[str, Any]
"""One source row (or JSON element): column name to Python value."""


@dataclass(slots=True)
class Image:
    """A source row with the rows that belong to it, by table alias."""

    row: Row
    children: dict[str, list[Image]] = field(default_factory=dict)


Builder = Callable[[Image, Row, "Row | None"], "CanonicalModel | None"]
"""`(image, root row, parent row) -> instance`, None where the record's `when` is false."""


ListBuilder = Callable[[Image, Row, "Row | None"], list[Any]]
"""`(image, root row, parent row) -> instances`."""


class Refused(InvalidValue):
    """Several values of one aggregate have no meaning; `reasons` has each by itself."""

    def __init__(self, reasons: Sequence[InvalidValue]) -> None:
        first = reasons[0]
        if len(reasons) > MOST_REASONS:
            more = InvalidValue("and there are more", rule=first.rule, field=first.field)
            reasons = [*reasons[: MOST_REASONS - 1], more]
        self.reasons = tuple(reasons)
        super().__init__("; ".join(map(str, reasons)), rule=first.rule, field=first.field)


def reasons_of(exc: InvalidValue) -> tuple[InvalidValue, ...]:
    """Each by itself."""
    return exc.reasons if isinstance(exc, Refused) else (exc,)


def refused(reasons: Sequence[InvalidValue]) -> InvalidValue:
    """One error for all of them."""
    return reasons[0] if len(reasons) == 1 else Refused(reasons)


def located(found: Exception, where: str, field: str, reads: str = "") -> InvalidValue:
    """The error of an expression that `found` came out of; `where` is its place in the mapping and its source."""
    rule = found.rule if isinstance(found, InvalidValue) else "mapping"
    if isinstance(found, InvalidValue):
        problem = str(found)
    elif isinstance(found, KeyError):
        problem = f"the row has no column {found}"
    else:
        problem = f"{type(found).__name__}: {found}"
    return InvalidValue(f"{where}: {problem}{reads}", rule=rule, field=field)


def row_list(alias: str, order_by: Sequence[str], build: Builder, where: str, path: str) -> ListBuilder:
    """A record for each child row of the table `alias`, sorted by the columns `order_by`, nulls first."""

    def rows(image: Image, root: Row, parent: Row | None) -> list[Any]:
        children = image.children.get(alias)
        if not children:
            return []
        # Built before they are sorted: a value that cannot be compared is then refused by its own attribute.
        built, reasons = [], list[InvalidValue]()
        for child in children:
            try:
                built.append((build(child, root, image.row), child.row))
            except InvalidValue as exc:
                reasons += reasons_of(exc)
        if reasons:
            raise refused(reasons)
        if len(built) > 1:
            try:
                built.sort(key=lambda item: tuple(_sortable(item[1][column]) for column in order_by))
            except (KeyError, TypeError, ArithmeticError) as exc:
                raise located(exc, f"{where}: sorting by {', '.join(order_by)}", path) from exc
        return [item for item, _ in built if item is not None]

    return rows


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


def own_row_list(build: Builder) -> ListBuilder:
    """A list of one record, made of the row itself, or of none where its `when` is false."""

    def rows(image: Image, root: Row, parent: Row | None) -> list[Any]:
        item = build(image, root, image.row)
        return [] if item is None else [item]

    return rows


def json_list(elements: Callable[[Row, Row, Row | None], Any], build: Builder, where: str, path: str) -> ListBuilder:
    """A record for each object of a JSON array (none where it is NULL); `position` is its place in it, from 1."""

    def items(image: Image, root: Row, parent: Row | None) -> list[Any]:
        try:
            found = elements(image.row, root, parent)
        except Exception as exc:
            raise located(exc, where, path) from exc
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(element, dict) for element in found):
            raise InvalidValue(f"{where}: not a JSON array of objects", rule="mapping", field=path)
        built, reasons = [], list[InvalidValue]()
        for number, element in enumerate(found, 1):
            try:
                built.append(build(Image(_Element(element | {"position": number})), root, image.row))
            except InvalidValue as exc:
                reasons += reasons_of(exc)
        if reasons:
            raise refused(reasons)
        return [item for item in built if item is not None]

    return items


class _Element(dict[str, Any]):
    """A JSON object: a key that it lacks is None."""

    def __missing__(self, key: str) -> Any:
        return None

"""A shop's JSON as a row that a mapping file reads: nested members by path, lists with their sums; pure."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from schemas.errors import InvalidValue

_DEEPEST: Final = 8


class _Members(dict[str, Any]):
    """A member that is not there is None: shops leave out what is empty."""

    def __missing__(self, name: str) -> None:
        return None


def row_of(body: bytes) -> dict[str, Any]:
    """The members of a JSON object: `a__b` for `{"a": {"b": ...}}`.

    For a list of objects under `a` the list itself, `a__count`, and `a__b__sum` for each member that is a number (or
    the text of one) in all of them. Numbers are exact. Raises `InvalidValue` where the body is no such object.
    """
    try:
        found = json.loads(body, parse_float=Decimal, parse_constant=_refused)
    except (ValueError, RecursionError) as exc:
        raise InvalidValue(f"the body is no JSON: {exc}", rule="shop.body") from exc
    if not isinstance(found, dict):
        raise InvalidValue("the body is no JSON object", rule="shop.body")
    return _flat(found, 0)


def _flat(members: dict[str, Any], depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise InvalidValue(f"the body is nested more than {_DEEPEST} deep", rule="shop.body")
    row = _Members()
    for name, value in members.items():
        if isinstance(value, dict):
            row.update({f"{name}__{inner}": one for inner, one in _flat(value, depth + 1).items()})
        elif isinstance(value, list):
            _put_list(row, name, value, depth)
        else:
            row[name] = value
    return row


def _put_list(row: dict[str, Any], name: str, values: list[Any], depth: int) -> None:
    elements = [_flat(value, depth + 1) if isinstance(value, dict) else value for value in values]
    row[name], row[f"{name}__count"] = elements, len(elements)
    objects = [element for element in elements if isinstance(element, dict)]
    for member in objects[0] if objects and len(objects) == len(elements) else ():
        numbers = [_number(element[member]) for element in objects]
        present = [number for number in numbers if number is not None]
        if len(present) == len(numbers):
            row[f"{name}__{member}__sum"] = sum(present, Decimal(0))


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number")

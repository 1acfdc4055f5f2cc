"""Which attributes of an order two systems give differently, and what money hangs on each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from consumers.reconcile.attributes import Attributes

_MAIN_AMOUNTS = ("payable_amount", "paid_amount", "line_extension_amount")
_SHOWN_CHARACTERS = 500


class AttributeDifference(NamedTuple):
    """One attribute, or one element of a list that only one side has; `stake` is the money at stake, if any."""

    path: str
    left: str | None
    right: str | None
    stake: Decimal | None


def differing_attributes(left: Attributes, right: Attributes) -> Iterator[AttributeDifference]:
    """Each differing attribute; an element of a list that only one side has is one difference."""
    lone = _lone_elements(left, right)
    for element in sorted(lone):
        ours, theirs = _within(left, element), _within(right, element)
        stake = next(
            (_number(side.get(name)) for side in (ours, theirs) for name in _MAIN_AMOUNTS if name in side), None
        )
        yield AttributeDifference(element, _shown(ours), _shown(theirs), stake)
    for path in sorted(left.keys() | right.keys()):
        if left.get(path) != right.get(path) and not any(path.startswith(f"{element}.") for element in lone):
            left_text, right_text = left.get(path), right.get(path)
            yield AttributeDifference(path, left_text, right_text, _stake(path, left_text, right_text))


def currency_in(path: str | None) -> str | None:
    """The currency that a path such as `cash_amount[EUR]` names."""
    return path[path.rindex("[") + 1 : -1] if path and path.endswith("]") and "_amount[" in path else None


def _lone_elements(left: Attributes, right: Attributes) -> set[str]:
    """Outermost elements of lists that only one side has."""
    lone = _elements(left) ^ _elements(right)
    return {element for element in lone if not any(element.startswith(f"{other}.") for other in lone)}


def _elements(attributes: Attributes) -> set[str]:
    found = set()
    for path in attributes:
        end = path.find("].")
        while end >= 0:
            found.add(path[: end + 1])
            end = path.find("].", end + 1)
    return found


def _within(attributes: Attributes, element: str) -> dict[str, str]:
    start = f"{element}."
    return {path.removeprefix(start): text for path, text in attributes.items() if path.startswith(start)}


def _shown(attributes: Attributes) -> str | None:
    if not attributes:
        return None
    text = "; ".join(f"{path}={value}" for path, value in attributes.items())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} ..."


def _stake(path: str, left: str | None, right: str | None) -> Decimal | None:
    if not path.partition("[")[0].endswith("_amount") and not path.endswith("_amount"):
        return None
    ours, theirs = _number(left or "0"), _number(right or "0")
    return None if ours is None or theirs is None else abs(ours - theirs)


def _number(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None

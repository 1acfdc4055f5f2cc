"""What differs between two versions of an order, field by field; members of lists are compared by their identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.models import OrderState

BOOKKEEPING = frozenset(
    {
        "version",
        "committed_at",
        "processed_at",
        "event_id",
        "order_source",
        "fulfilment_source",
        "settlement_source",
        "warnings",
    }
)
"""Changes with each version, or is told apart from the facts."""
_NOTHING: tuple[Any, ...] = (None, [], {})
_IDENTITIES = ("line_id", "shipment_id", "return_id", "invoice_id", "payment_id", "message_id")


@dataclass(frozen=True, slots=True)
class Change:
    """One field; `before` is None where it was not there, `after` where it is no more."""

    path: str
    before: Any
    after: Any


def changes(before: OrderState, after: OrderState) -> list[Change]:
    """Every field of the facts, statuses and enrichment that differs, in the order of the state."""
    left, right = (state.model_dump(exclude=set(BOOKKEEPING)) for state in (before, after))
    # Positions of master records are told with what was taken from them.
    return [change for change in _differences(left, right, "") if "_source" not in change.path]


def fields_of(state: OrderState) -> Iterator[tuple[str, Any]]:
    """Path and value of every field that is set, in the order of the state."""
    for change in _differences(None, state.model_dump(), ""):
        if change.after not in _NOTHING:
            yield change.path, change.after


def _differences(before: Any, after: Any, path: str) -> Iterator[Change]:
    if before == after or (before in _NOTHING and after in _NOTHING):
        return
    if isinstance(after, Mapping) or isinstance(before, Mapping):
        yield from _of_members(before, after, path)
    elif _is_keyed(before) and _is_keyed(after) and (before or after):
        yield from _of_members(_by_identity(before), _by_identity(after), path, "[{}]")
    elif isinstance(after, list) and after and before in (None, []):
        yield from _of_members({}, dict(enumerate(after)), path, "[{}]")
    else:
        yield Change(path, before, after)


def _of_members(before: Any, after: Any, path: str, form: str = ".{}") -> Iterator[Change]:
    left = before if isinstance(before, Mapping) else {}
    right = after if isinstance(after, Mapping) else {}
    for name in [*left, *(name for name in right if name not in left)]:
        below = path + form.format(name)
        yield from _differences(left.get(name), right.get(name), below.removeprefix("."))


def _is_keyed(items: Any) -> bool:
    return items is None or (
        isinstance(items, Sequence)
        and not isinstance(items, str)
        and all(isinstance(item, Mapping) and _identity(item) is not None for item in items)
    )


def _identity(item: Mapping[str, Any]) -> Any:
    return next((item[name] for name in _IDENTITIES if item.get(name) is not None), None)


def _by_identity(items: Sequence[Mapping[str, Any]] | None) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for item in items or ():
        name, number = _identity(item), 2
        while name in found:
            name, number = f"{_identity(item)}#{number}", number + 1
        found[name] = item
    return found

"""The difference between two versions for people: whole lines, invoices and shipments, not each field of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, Final

from deploy.state_changes import Change

_MEMBER: Final = re.compile(r"^(.*?)\[([^\]]*)\](?:\.(.*))?$")
_SECTIONS: Final = ("order.", "fulfilment.", "settlement.")
_SAID_ELSEWHERE: Final = frozenset(
    {"order.order_status", "order.order_id", "fulfilment.order_id", "settlement.order_id"}
)
"""Say what another row says already."""


class Sort(StrEnum):
    """What happened to the thing."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of the table; of a thing that was added or removed the whole of it."""

    name: str
    sort: Sort
    before: Any
    after: Any


def differences(changes: Iterable[Change]) -> list[Difference]:
    """The rows, in the order of the changes."""
    told = (change for change in changes if change.path not in _SAID_ELSEWHERE)
    rows: list[Difference] = []
    for member, group in groupby(told, key=lambda change: _member(change.path)):
        found = list(group)
        whole = None if member is None else _whole(member, found)
        rows += [whole] if whole is not None else [_row(change) for change in found]
    return rows


def _member(path: str) -> str | None:
    found = _MEMBER.match(path)
    return None if found is None else f"{found[1]}[{found[2]}]"


def _whole(member: str, changes: list[Change]) -> Difference | None:
    """One row for all fields, where the thing was not there before or is not there any more."""
    if any(change.before is not None for change in changes):
        gone = {_field(change.path): change.before for change in changes}
        is_gone = all(change.after is None for change in changes) and len(changes) > 1
        return Difference(_name(member), Sort.REMOVED, gone, None) if is_gone else None
    if len(changes) == 1 and _field(changes[0].path):
        return None
    come = {_field(change.path): change.after for change in changes}
    return Difference(_name(member), Sort.ADDED, None, come.get("", come))


def _row(change: Change) -> Difference:
    sort = Sort.ADDED if change.before is None else Sort.REMOVED if change.after is None else Sort.CHANGED
    if isinstance(change.after, Mapping) or isinstance(change.before, Mapping) or sort is not Sort.ADDED:
        return Difference(_name(change.path), sort, change.before, change.after)
    return Difference(_name(change.path), Sort.CHANGED, None, change.after)


def _field(path: str) -> str:
    found = _MEMBER.match(path)
    return "" if found is None else found[3] or ""


def _name(path: str) -> str:
    for section in _SECTIONS:
        path = path.removeprefix(section)
    return path.replace("_", " ").replace("[", " ").replace("].", ", ").replace("]", "").replace(".", ", ")

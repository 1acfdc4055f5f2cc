"""Which attributes tell of a person, by their classification, and how they are shown to those without the right. Pure.

What is masked follows from the schema: an attribute that is declared `personal`, or one without a classification of its
own in a model that is. Nothing here names attributes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeVar

from schemas.attributes import CanonicalModel
from schemas.models import Mismatch
from schemas.personal import is_wholly_personal, members_of
from schemas.topics import CATALOGUE

MASK: Final = "•••"
"""Stands for every value, so that neither its length nor its letters are told."""

M = TypeVar("M", bound=CanonicalModel)
_STEPS: Final = re.compile(r"[.\s]+")
_INDEX: Final = re.compile(r"\[[^\]]*\]")
_SHORTEST_FOUND: Final = 3


def masked(shown: M) -> M:
    """A copy without personal values, for showing only: what is written or computed with must be the original."""
    members = members_of(type(shown))
    update = {}
    for name, (is_personal, _, _) in members.items():
        value = getattr(shown, name)
        new = _masked(value, is_personal)
        if new is not value:
            update[name] = new
    return shown.model_copy(update=update) if update else shown


def masked_document(model: type[CanonicalModel], document: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a model's JSON. What its schema does not know is masked too: nobody can say what it is."""
    members = members_of(model)
    return {
        name: _masked_json(value, members[name].is_personal, members[name].model)
        if name in members
        else _mask_of(value)
        for name, value in document.items()
    }


def is_personal_path(model: type[CanonicalModel], path: str) -> bool:
    """Whether a path such as `order.delivery_address.city_name` or `order.order_lines[1].note` leads to a person."""
    now: type[CanonicalModel] | None = model
    for name in _INDEX.sub("", path).split("."):
        if name.isdecimal() or not name:
            continue
        member = members_of(now).get(name) if now is not None else None
        if member is not None and member.is_personal:
            return True
        now = member.model if member is not None else None
    return now is not None and now is not model and is_wholly_personal(now)


def is_personal_name(name: str) -> bool:
    """Whether a step of a path is called as a personal attribute of any topic is; for paths of unknown models."""
    return any(step in _personal_names() for step in _STEPS.split(_INDEX.sub("", name)))


def masked_value(model: type[CanonicalModel], path: str, value: Any) -> Any:
    """The value at a path, masked where it is personal; of a mapping or list those values in it that are."""
    if is_personal_path(model, path):
        return _mask_of(value)
    member = _model_at(model, path)
    if member is None:
        return value
    if isinstance(value, Mapping):
        return masked_document(member, value)
    if isinstance(value, list):
        return [masked_document(member, one) if isinstance(one, Mapping) else one for one in value]
    return value


def masked_changes(changes: Iterable[str]) -> list[str]:
    """Changes as the audit tells them, `path: before -> after`, without the values of personal attributes."""
    return [_masked_change(change) for change in changes]


def _masked_change(change: str) -> str:
    path, is_told, values = change.partition(": ")
    before, is_pair, after = values.partition(" -> ")
    if not is_told or not is_pair:
        return change
    if is_personal_name(path):
        return f"{path}: {MASK} -> {MASK}"
    return f"{path}: {_masked_text(before)} -> {_masked_text(after)}"


def _masked_text(told: str) -> str:
    """A value of a change; one with members is JSON, and those of its members that are personal are masked."""
    if not told.startswith(("{", "[")):
        return told
    try:
        return json.dumps(_masked_by_name(json.loads(told, parse_float=str)), ensure_ascii=False)
    except ValueError:
        return MASK


def _masked_by_name(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked_by_name(one) for one in value]
    if isinstance(value, dict):
        return {name: _mask_of(one) if is_personal_name(name) else _masked_by_name(one) for name, one in value.items()}
    return value


def masked_mismatch(one: Mismatch) -> Mismatch:
    """A difference of a personal attribute is told without both values."""
    if one.field is None or not is_personal_name(one.field):
        return one
    return one.model_copy(update={"expected": MASK, "actual": MASK, "explanation": None})


def without_values(text: str, values: Iterable[str]) -> str:
    """A sentence without these values, longest first, so that no part of one is left."""
    for value in sorted({one for one in values if len(one) >= _SHORTEST_FOUND}, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def personal_values(shown: CanonicalModel) -> Iterator[str]:
    """Every personal text in it."""
    for name, (is_personal, _, _) in members_of(type(shown)).items():
        yield from _texts(getattr(shown, name), is_personal)


def _texts(value: Any, is_personal: bool) -> Iterator[str]:
    if isinstance(value, CanonicalModel):
        yield from personal_values(value)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, is_personal)
    elif is_personal and isinstance(value, str):
        yield value


def _masked(value: Any, is_personal: bool) -> Any:
    if isinstance(value, CanonicalModel):
        return masked(value)
    if isinstance(value, list):
        found = [_masked(one, is_personal) for one in value]
        return found if any(new is not old for new, old in zip(found, value, strict=True)) else value
    return _mask_of(value) if is_personal else value


def _masked_json(value: Any, is_personal: bool, model: type[CanonicalModel] | None) -> Any:
    if isinstance(value, list):
        return [_masked_json(one, is_personal, model) for one in value]
    if isinstance(value, Mapping) and model is not None:
        return masked_document(model, value)
    return _mask_of(value) if is_personal else value


def _mask_of(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _mask_of(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_mask_of(one) for one in value]
    # That something is not known, or empty, tells of nobody.
    return value if value in (None, "") else MASK


def _model_at(model: type[CanonicalModel], path: str) -> type[CanonicalModel] | None:
    now: type[CanonicalModel] | None = model
    for name in _INDEX.sub("", path).split("."):
        if name and not name.isdecimal() and now is not None:
            member = members_of(now).get(name)
            now = member.model if member is not None else None
    return now


@cache
def _personal_names() -> frozenset[str]:
    found: set[str] = set()
    pending: list[type[CanonicalModel]] = [topic.model for topic in CATALOGUE.values()]
    seen: set[type[CanonicalModel]] = set()
    while pending:
        model = pending.pop()
        if model in seen:
            continue
        seen.add(model)
        for name, (is_personal, member, _) in members_of(model).items():
            if is_personal or (member is not None and is_wholly_personal(member)):
                found.add(name)
            if member is not None:
                pending.append(member)
    return frozenset(found)

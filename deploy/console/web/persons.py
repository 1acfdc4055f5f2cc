"""Takes out of what the index knows whatever tells of a person, by the classification of the attributes."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from schemas.masking import MASK, is_personal_name, masked_changes

T = TypeVar("T")


def without_persons(told: T) -> T:
    """A row of the index, or an answer with rows in it, whose fields are named as the attributes are."""
    if not is_dataclass(told) or isinstance(told, type):
        return told
    update = {}
    for field in fields(told):
        value = getattr(told, field.name)
        update[field.name] = _shown(field.name, value)
    return replace(told, **update)


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, str) and value and is_personal_name(name):
        return MASK
    if isinstance(value, list):
        texts = all(isinstance(one, str) for one in value)
        return masked_changes(value) if texts and name == "changes" else [without_persons(one) for one in value]
    return value

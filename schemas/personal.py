"""Which attributes of a model tell of a person, by their classification: what masking and sealing both follow. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple, get_args

from schemas.attributes import CanonicalModel

PERSONAL: Final = "personal"


class Member(NamedTuple):
    """What is known of one attribute."""

    is_personal: bool
    model: type[CanonicalModel] | None
    """The model of what it holds, if it holds one."""
    data_subject: str | None
    """As `schemas.attributes.attribute` was told; None for whom the record is about."""


@cache
def members_of(model: type[CanonicalModel]) -> dict[str, Member]:
    """Of each attribute whether it is personal, by its own classification or that of its model."""
    found = {}
    for name, field in model.model_fields.items():
        extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        classification = extra.get("classification") or model.classification
        found[name] = Member(classification == PERSONAL, model_in(field.annotation), extra.get("data_subject"))
    return found


def is_wholly_personal(model: type[CanonicalModel]) -> bool:
    """Whether every attribute is: then so is whatever holds one."""
    return all(member.is_personal for member in members_of(model).values())


def model_in(annotation: Any) -> type[CanonicalModel] | None:
    """The model that an attribute holds, alone, in a list or optionally; None where it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, CanonicalModel):
        return annotation
    return next((one for one in map(model_in, get_args(annotation)) if one is not None), None)

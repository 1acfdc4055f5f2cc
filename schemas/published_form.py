"""What is left of a record when its personal attributes are taken out, and those attributes by whom they tell of. Pure.

Both follow from the classification alone: an attribute that is declared `personal` leaves the published form, and is
given to be sealed, from then on. Nothing here names attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import TypeAdapter, create_model

from schemas.attributes import CanonicalModel
from schemas.avro import shapes_of
from schemas.personal import is_wholly_personal, members_of


class PersonalValue(NamedTuple):
    """One personal attribute that has a value."""

    pointer: str
    """Where it stands in the whole record: a JSON Pointer (RFC 6901), such as `/order/delivery_name`."""
    data_subject: str | None
    value: Any
    """As JSON has it."""


@cache
def published_form(model: type[CanonicalModel]) -> type[CanonicalModel]:
    """The model without what is personal; itself where nothing is."""
    members = members_of(model)
    kept: dict[str, Any] = {}
    is_changed = False
    for shape in shapes_of(model):
        member = members[shape.name]
        if member.is_personal or _holds_only_personal(member.model):
            is_changed = True
            continue
        field = model.model_fields[shape.name]
        annotation: Any = field.annotation
        if shape.record is not None and (public := published_form(shape.record)) is not shape.record:
            is_changed = True
            held: Any = list[public] if shape.is_list else public  # type: ignore[valid-type]
            annotation = held | None if shape.is_optional else held
        for mark in field.metadata:
            annotation = Annotated[annotation, mark]
        kept[shape.name] = (annotation, field)
    if not is_changed:
        return model
    return create_model(
        f"Published{model.__name__}",
        __base__=CanonicalModel,
        __module__=model.__module__,
        __doc__=f"{(model.__doc__ or '').strip().splitlines()[0]} Without what is personal.",
        __cls_kwargs__={"owner": model.owner, "classification": model.classification},
        **kept,
    )


def published(whole: CanonicalModel) -> CanonicalModel:
    """The same record in its published form."""
    model = type(whole)
    public = published_form(model)
    if public is model:
        return whole
    values = whole.__dict__
    return public.trusted(**{name: _published(values[name]) for name in public.model_fields})


def personal_values(whole: CanonicalModel, at: str = "") -> Iterator[PersonalValue]:
    """Every personal attribute that has a value, and where it belongs; what is null or empty tells nothing."""
    values = whole.__dict__
    for name, member in members_of(type(whole)).items():
        value, pointer = values[name], f"{at}/{name}"
        if value in (None, "", []):
            continue
        if member.is_personal or _holds_only_personal(member.model):
            yield PersonalValue(pointer, member.data_subject, _json(type(whole), name, value))
        elif isinstance(value, CanonicalModel):
            yield from personal_values(value, pointer)
        elif member.model is not None:
            for number, one in enumerate(value):
                yield from personal_values(one, f"{pointer}/{number}")


def _published(value: Any) -> Any:
    if isinstance(value, CanonicalModel):
        return published(value)
    if isinstance(value, list):
        return [_published(one) for one in value]
    return value


@cache
def _holds_only_personal(model: type[CanonicalModel] | None) -> bool:
    return model is not None and is_wholly_personal(model)


def _json(model: type[CanonicalModel], name: str, value: Any) -> Any:
    return value if isinstance(value, str) else _adapter(model, name).dump_python(value, mode="json")


@cache
def _adapter(model: type[CanonicalModel], name: str) -> TypeAdapter[Any]:
    annotation: Any = model.model_fields[name].annotation
    return TypeAdapter(annotation)

"""Where the attributes of a model stand among the slots of a scanned record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape, shapes_of


@dataclass(frozen=True, slots=True)
class SlotPlace:
    """One slot; `may_be_null` where the attribute, or a record around it, is optional."""

    number: int
    shape: FieldShape
    may_be_null: bool


@cache
def slots_of(model: type[CanonicalModel], present: frozenset[str] = frozenset()) -> dict[str, SlotPlace]:
    """Every slot of `model` by its dotted path, numbered as `width_of` in scanning.c counts them.

    `present` are the paths of optional records that are known to be there.
    """
    slots: dict[str, SlotPlace] = {}
    _place(model, "", False, present, slots)
    return slots


def items_of(model: type[CanonicalModel]) -> type[CanonicalModel] | None:
    """The model of the items in `model`'s one list of records, if it has one.

    Raises:
        TypeError: it has several lists, or one of something else.
    """
    lists = [place.shape for place in slots_of(model).values() if place.shape.is_list]
    if len(lists) > 1 or any(shape.record is None for shape in lists):
        raise TypeError(f"{model.__name__}: the fast path knows records with one list of records")
    return lists[0].record if lists else None


def _place(
    model: type[CanonicalModel], prefix: str, may_be_null: bool, present: frozenset[str], slots: dict[str, SlotPlace]
) -> None:
    for shape in shapes_of(model):
        path = prefix + shape.name
        is_null = may_be_null or (shape.is_optional and path not in present)
        slots[path] = SlotPlace(len(slots), shape, is_null)
        if shape.record is not None and not shape.is_list:
            _place(shape.record, f"{path}.", is_null, present, slots)

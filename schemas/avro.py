"""Generates the Avro schema of a canonical model; the committed `.avsc` files come from here."""

from __future__ import annotations

import json
import types
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from schemas.attributes import AvroDecimal, CanonicalModel

NAMESPACE = "ordersync"

_TYPES: dict[type, Any] = {
    str: "string",
    int: "long",
    bool: "boolean",
    bytes: "bytes",
    datetime: {"type": "long", "logicalType": "timestamp-micros"},
    date: {"type": "int", "logicalType": "date"},
}


@dataclass(frozen=True, slots=True)
class FieldShape:
    """The shape of one attribute: a leaf type, a record, or a list of either, and whether it may be null."""

    name: str
    leaf: type
    decimal: AvroDecimal | None
    is_list: bool
    is_optional: bool

    @property
    def record(self) -> type[CanonicalModel] | None:
        """The nested model, where the attribute is one."""
        return self.leaf if issubclass(self.leaf, CanonicalModel) else None


@cache
def shapes_of(model: type[CanonicalModel]) -> tuple[FieldShape, ...]:
    """The attributes of `model` in wire order."""
    return tuple(_shape(model, name, field) for name, field in model.model_fields.items())


@cache
def _schema_text(model: type[CanonicalModel]) -> str:
    return json.dumps(_record(model, set()), indent=2, ensure_ascii=False)


def avro_schema(model: type[CanonicalModel]) -> dict[str, Any]:
    """The Avro schema of `model` as a fresh tree of Python values."""
    schema: dict[str, Any] = json.loads(_schema_text(model))
    return schema


def attribute_schema(model: type[CanonicalModel], name: str) -> Any:
    """The Avro schema of one attribute of `model`, complete in itself."""
    return _type(next(shape for shape in shapes_of(model) if shape.name == name), set())


def raw_schema(schema: Any) -> Any:
    """`schema` without logical types and documentation: the codec converts only what is asked for, and faster."""
    if isinstance(schema, list):
        return [raw_schema(branch) for branch in schema]
    if isinstance(schema, dict):
        kept = {key: raw_schema(value) for key, value in schema.items() if key not in _ANNOTATIONS}
        return kept["type"] if set(kept) == {"type"} else kept
    return schema


_ANNOTATIONS = frozenset({"logicalType", "precision", "scale", "doc", "owner", "classification", "unit"})


def _shape(model: type[CanonicalModel], name: str, field: FieldInfo) -> FieldShape:
    annotation, metadata = field.annotation, list(field.metadata)
    annotation, is_optional = _without_none(annotation)
    annotation, more = _without_annotated(annotation)
    metadata += more
    is_list = get_origin(annotation) is list
    if is_list:
        annotation, more = _without_annotated(get_args(annotation)[0])
        metadata += more
    leaf = getattr(annotation, "__supertype__", annotation)
    if not isinstance(leaf, type):
        raise TypeError(f"{model.__name__}.{name}: {leaf!r} has no Avro form")
    decimal = next((mark for mark in metadata if isinstance(mark, AvroDecimal)), None)
    if leaf is Decimal and decimal is None:
        raise TypeError(f"{model.__name__}.{name}: a Decimal needs AvroDecimal(precision, scale)")
    return FieldShape(name, leaf, decimal, is_list, is_optional)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        others = [branch for branch in get_args(annotation) if branch is not type(None)]
        if len(others) != 1:
            raise TypeError(f"{annotation}: only `X | None` has an Avro form")
        return others[0], True
    return annotation, False


def _without_annotated(annotation: Any) -> tuple[Any, list[Any]]:
    metadata = getattr(annotation, "__metadata__", None)
    return (annotation, []) if metadata is None else (annotation.__origin__, list(metadata))


def _record(model: type[CanonicalModel], known: set[str]) -> Any:
    if model.__name__ in known:
        return f"{NAMESPACE}.{model.__name__}"
    known.add(model.__name__)
    fields = []
    for shape in shapes_of(model):
        info = model.model_fields[shape.name]
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        field: dict[str, Any] = {"name": shape.name, "doc": info.description, "type": _type(shape, known)}
        if shape.is_optional:
            field["default"] = None
        elif shape.is_list:
            field["default"] = []
        elif not info.is_required() and shape.leaf is bool:
            field["default"] = info.default
        field["owner"] = extra.get("owner", model.owner)
        field["classification"] = extra.get("classification", model.classification)
        if "unit" in extra:
            field["unit"] = extra["unit"]
        fields.append(field)
    return {
        "type": "record",
        "name": model.__name__,
        "namespace": NAMESPACE,
        "doc": (model.__doc__ or "").strip().splitlines()[0],
        "fields": fields,
    }


def _type(shape: FieldShape, known: set[str]) -> Any:
    avro: Any
    if shape.record is not None:
        avro = _record(shape.record, known)
    elif shape.decimal is not None:
        avro = {
            "type": "bytes",
            "logicalType": "decimal",
            "precision": shape.decimal.precision,
            "scale": shape.decimal.scale,
        }
    else:
        avro = _TYPES[shape.leaf]
    if shape.is_list:
        avro = {"type": "array", "items": avro}
    return ["null", avro] if shape.is_optional else avro

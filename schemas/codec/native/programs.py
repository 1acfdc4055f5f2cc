"""The native engine: the program of each model, run by the C extension `_avro`.

The extension is optional. Where it is not built, importing this module raises `ImportError` and the codec works in
Python; `python -m schemas.codec.native.build` builds it in place with the machine's C compiler.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, cast

from pydantic import BaseModel

from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape, shapes_of
from schemas.codec.compiled import trailing_shapes
from schemas.codec.compiler import expected_of
from schemas.codec.native import _avro

EXTENSION_REVISION = 2
"""Revision of the interface to the C sources (`REVISION` in module.c); an extension of another one is not used."""

if _avro.REVISION != EXTENSION_REVISION:
    raise ImportError(
        f"the extension is of revision {_avro.REVISION}, not {EXTENSION_REVISION}; run "
        "`python -m schemas.codec.native.build`"
    )

_KINDS: dict[type, int] = {
    bool: _avro.BOOLEAN,
    int: _avro.LONG,
    datetime: _avro.INSTANT,
    date: _avro.DAY,
    str: _avro.TEXT,
    bytes: _avro.OCTETS,
    Decimal: _avro.DECIMAL,
}
_SLOTS = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


@cache
def native_engine(
    model: type[CanonicalModel], sections: tuple[str, ...] = (), knows_decimals: bool = _avro.KNOWS_DECIMALS
) -> _avro.Program:
    """The native `schemas.codec.engine.Engine` of `model`.

    `knows_decimals` is off where this Python lays Decimals out in a way that the extension does not know; it then
    makes and reads them through Python.
    """
    shapes = shapes_of(model)
    head = len(shapes) - len(trailing_shapes(model, sections))
    fields = tuple(_field(shape, knows_decimals) for shape in shapes)
    slots = cast("tuple[Any, Any, Any]", tuple(vars(BaseModel)[name] for name in _SLOTS))
    is_frozen = bool(model.model_config.get("frozen"))
    return _avro.Program(model, fields, head, slots, set(model.model_fields), is_frozen, knows_decimals)


def _field(shape: FieldShape, knows_decimals: bool) -> Any:
    precision, scale = (shape.decimal.precision, shape.decimal.scale) if shape.decimal else (0, 0)
    if shape.record is not None:
        kind, record = _avro.RECORD, native_engine(shape.record, (), knows_decimals)
    else:
        kind, record = _KINDS[shape.leaf], None
    expected = "a list" if shape.is_list else expected_of(shape)
    return shape.name, kind, shape.is_optional, shape.is_list, precision, scale, record, expected

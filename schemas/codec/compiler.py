"""Compiles the Avro codec of one model: Python source made from its fields, as dataclasses makes `__init__`.

fastavro walks the schema for each record and tries the branches of each union; the compiled functions have the
walk unrolled and build model instances directly. `tests/unit/test_codec.py` holds them equal to fastavro on every
model. The decoder trusts nothing: each length is checked, and no input makes it loop or read beyond the end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar, cast

from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape, shapes_of
from schemas.codec import scalars
from schemas.errors import UndecodableMessage

M = TypeVar("M", bound=CanonicalModel)
Decoder = Callable[[bytes, int], tuple[M, int]]
"""`(data, index) -> (instance, index after it)`."""
Encoder = Callable[[M, bytearray], None]
"""Appends the Avro form of an instance."""


@cache
def decoder(model: type[M], leave_out: tuple[str, ...] = ()) -> Decoder[M]:
    """The compiled decoder of `model`; stops before the trailing fields in `leave_out` and sets them to None."""
    shapes = [shape for shape in shapes_of(model) if shape.name not in leave_out]
    lines = ["def decode(data, index):"]
    for number, shape in enumerate(shapes):
        lines += _indented(_decode_field(shape, f"v{number}"))
    items = [f"{shape.name!r}: v{number}" for number, shape in enumerate(shapes)]
    items += [f"{name!r}: None" for name in leave_out]
    lines += [
        "    instance = new(model)",
        f"    put(instance, '__dict__', {{{', '.join(items)}}})",
        "    put(instance, '__pydantic_fields_set__', fields_set)",
        "    put(instance, '__pydantic_extra__', None)",
        "    put(instance, '__pydantic_private__', None)",
        "    return instance, index",
    ]
    names = {
        "model": model,
        "new": model.__new__,
        "put": object.__setattr__,
        "fields_set": set(model.model_fields),
        "malformed": malformed,
        **{f"decode_{shape.name}": decoder(shape.record) for shape in shapes if shape.record is not None},
    }
    return cast("Decoder[M]", _compiled("decode", lines, names))


@cache
def encoder(model: type[M], leave_out: tuple[str, ...] = ()) -> Encoder[M]:
    """The compiled encoder of `model`; leaves out the trailing fields in `leave_out`."""
    shapes = [shape for shape in shapes_of(model) if shape.name not in leave_out]
    lines = ["def encode(instance, out):", "    fields = instance.__dict__"]
    for shape in shapes:
        lines += _indented(_encode_field(shape))
    names = {f"encode_{shape.name}": encoder(shape.record) for shape in shapes if shape.record is not None}
    return cast("Encoder[M]", _compiled("encode", lines, names))


def malformed(what: str) -> Any:
    """Refuse the message; compiled decoders call this."""
    raise UndecodableMessage(f"not Avro of the schema that its header names: {what}", rule="avro")


def _compiled(name: str, lines: list[str], names: dict[str, Any]) -> Any:
    scope = vars(scalars) | names
    exec("\n".join(lines), scope)  # the source is made from our own field names only
    return scope[name]


def _indented(lines: list[str], levels: int = 1) -> list[str]:
    return ["    " * levels + line for line in lines]


def _decode_field(shape: FieldShape, target: str) -> list[str]:
    if not shape.is_optional:
        return _decode_value(shape, target)
    return [
        "branch = data[index]",
        "index += 1",
        "if branch == 2:",
        *_indented(_decode_value(shape, target)),
        f"elif branch == 0: {target} = None",
        f"else: malformed('union branch of {shape.name}')",
    ]


def _decode_value(shape: FieldShape, target: str) -> list[str]:
    if not shape.is_list:
        return _decode_one(shape, target)
    return [
        f"{target} = []",
        "while True:",
        "    count, index = read_long(data, index)",
        "    if count == 0: break",
        "    if count < 0:",
        "        count = -count",
        "        size, index = read_long(data, index)",
        f"    if count > len(data) - index: malformed('item count of {shape.name}')",
        "    for _ in range(count):",
        *_indented(_decode_one(shape, "item"), 2),
        f"        {target}.append(item)",
    ]


def _decode_one(shape: FieldShape, target: str) -> list[str]:
    if shape.record is not None:
        return [f"{target}, index = decode_{shape.name}(data, index)"]
    if shape.leaf is bool:
        return [
            f"{target} = data[index] == 1",
            f"if data[index] > 1: malformed('boolean {shape.name}')",
            "index += 1",
        ]
    number = [
        "n = data[index]",
        "index += 1",
        "if n > 127: n, index = varint_rest(data, index, n)",
    ]
    if shape.leaf in (int, datetime, date):
        value = "(n >> 1) ^ -(n & 1)"
        if shape.leaf is datetime:
            value = f"datetime_from_micros({value})"
        if shape.leaf is date:
            value = f"date_from_days({value})"
        return [*number, f"{target} = {value}"]
    if shape.decimal is not None:
        value = f"decimal_from_bytes(data[index:end], {shape.decimal.scale})"
    else:
        value = "data[index:end]" + (".decode()" if shape.leaf is str else "")
    return [
        *number,
        f"if n & 1: malformed('length of {shape.name}')",
        "end = index + (n >> 1)",
        f"{target} = {value}",
        "index = end",
    ]


def _encode_field(shape: FieldShape) -> list[str]:
    lines = [f"value = fields[{shape.name!r}]"]
    if shape.is_optional:
        return [
            *lines,
            "if value is None: out.append(0)",
            "else:",
            "    out.append(2)",
            *_indented(_encode_value(shape)),
        ]
    return lines + _encode_value(shape)


def _encode_value(shape: FieldShape) -> list[str]:
    if not shape.is_list:
        return _encode_one(shape)
    return [
        "if value:",
        "    out += varint(len(value))",
        "    for value in value:",
        *_indented(_encode_one(shape), 2),
        "out.append(0)",
    ]


def _encode_one(shape: FieldShape) -> list[str]:
    if shape.record is not None:
        return [f"encode_{shape.name}(value, out)"]
    if shape.leaf is bool:
        return ["out.append(1 if value else 0)"]
    if shape.decimal is not None:
        return [f"out += decimal_to_bytes(value, {shape.decimal.scale}, {shape.decimal.precision})"]
    if shape.leaf is datetime:
        return ["out += varint(datetime_to_micros(value))"]
    if shape.leaf is date:
        return ["out += varint(date_to_days(value))"]
    if shape.leaf is int:
        return ["out += SHORT_VARINTS[value] if 0 <= value < 4096 else varint(value)"]
    text = ["value = value.encode()"] if shape.leaf is str else []
    return [
        *text,
        "n = len(value)",
        "out += SHORT_VARINTS[n] if n < 4096 else varint(n)",
        "out += value",
    ]

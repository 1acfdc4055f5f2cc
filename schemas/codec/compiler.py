"""Compiles the Avro codec of one model: Python source made from its fields, as dataclasses makes `__init__`.

fastavro walks the schema for each record and tries the branches of each union; the compiled functions have the
walk unrolled and build model instances directly. `tests/unit/test_codec_properties.py` holds them equal to fastavro
on every model. The decoder trusts nothing: each length is checked, and no input makes it loop or read beyond the
end. The encoder trusts nothing either: a value of another type than its field's is refused, not written.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, cast

from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape, shapes_of
from schemas.codec import scalars

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
        **{f"decode_{shape.name}": decoder(shape.record) for shape in shapes if shape.record is not None},
    }
    return cast("Decoder[M]", _compiled("decode", lines, names))


@cache
def decode_value_of(shape: FieldShape) -> Callable[[bytes, int], tuple[Any, int]]:
    """The compiled decoder of one field's value: `(data, index) -> (value, index after it)`."""
    lines = ["def decode(data, index):", *_indented(_decode_field(shape, "value")), "    return value, index"]
    names = {} if shape.record is None else {f"decode_{shape.name}": decoder(shape.record)}
    return cast("Callable[[bytes, int], tuple[Any, int]]", _compiled("decode", lines, names))


@cache
def encoder(model: type[M], leave_out: tuple[str, ...] = ()) -> Encoder[M]:
    """The compiled encoder of `model`; leaves out the trailing fields in `leave_out`."""
    shapes = [shape for shape in shapes_of(model) if shape.name not in leave_out]
    lines = [
        "def encode(instance, out):",
        f"    if not isinstance(instance, model): refuse(instance, {model.__name__!r}, 'one {model.__name__}')",
        "    fields = instance.__dict__",
    ]
    for shape in shapes:
        lines += _indented(_encode_field(model, shape))
    names: dict[str, Any] = {"model": model, "list": list}
    for shape in shapes:
        if shape.record is not None:
            names[f"encode_{shape.name}"] = encoder(shape.record)
    return cast("Encoder[M]", _compiled("encode", lines, names))


def expected_of(shape: FieldShape) -> str:
    """What may be written as the field or as an item of its list, for people."""
    if shape.record is not None:
        return f"one {shape.leaf.__name__}"
    if shape.decimal is not None:
        precision, scale = shape.decimal.precision, shape.decimal.scale
        return f"a Decimal of {precision} digits with {scale} decimals; round it where it arises"
    return _CHECKS[shape.leaf][1]


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
        value = f"decimal_from_bytes(data[index:end], {shape.decimal.scale}, {shape.decimal.precision})"
    else:
        value = "data[index:end]" + (".decode()" if shape.leaf is str else "")
    return [
        *number,
        f"if n & 1: malformed('length of {shape.name}')",
        "end = index + (n >> 1)",
        f"{target} = {value}",
        "index = end",
    ]


def _encode_field(model: type[CanonicalModel], shape: FieldShape) -> list[str]:
    lines = [f"value = fields[{shape.name!r}]"]
    where = f"{model.__name__}.{shape.name}"
    if shape.is_optional:
        return [
            *lines,
            "if value is None: out.append(0)",
            "else:",
            "    out.append(2)",
            *_indented(_encode_value(shape, where)),
        ]
    return lines + _encode_value(shape, where)


def _encode_value(shape: FieldShape, where: str) -> list[str]:
    if not shape.is_list:
        return _encode_one(shape, where)
    return [
        f"if not isinstance(value, list): refuse(value, {where!r}, 'a list')",
        "if value:",
        "    out += varint(len(value))",
        "    for value in value:",
        *_indented(_encode_one(shape, where), 2),
        "out.append(0)",
    ]


def _encode_one(shape: FieldShape, where: str) -> list[str]:
    if shape.record is not None:
        return [f"encode_{shape.name}(value, out)"]
    expected = expected_of(shape)
    if shape.decimal is not None:
        arguments = f"value, {shape.decimal.scale}, {shape.decimal.precision}"
        write = [f"out += decimal_to_bytes({arguments}) or refuse(value, {where!r}, {expected!r})"]
    else:
        write = _WRITERS[shape.leaf]
    refusal = f"refuse(value, {where!r}, {expected!r})"
    lines = [f"if {_CHECKS[shape.leaf][0]}: {refusal}"]
    if shape.leaf not in _MAY_FAIL:
        return [*lines, *write]
    return [*lines, "try:", *_indented(write), "except (TypeError, ValueError, OverflowError):", f"    {refusal}"]


_CHECKS = {
    bool: ("value is not True and value is not False", "a bool"),
    int: ("not isinstance(value, int) or value.__class__ is bool or not LEAST <= value <= MOST", "an int of 64 bits"),
    str: ("not isinstance(value, str)", "a str that UTF-8 can hold"),
    bytes: ("not isinstance(value, bytes)", "bytes"),
    Decimal: ("not isinstance(value, Decimal)", "a Decimal"),
    datetime: ("not isinstance(value, datetime)", "an aware datetime of the years 1 to 9999 in UTC"),
    date: ("not isinstance(value, date) or isinstance(value, datetime)", "a date"),
}
_MAY_FAIL = (str, datetime, Decimal)
_WRITERS = {
    bool: ["out.append(1 if value else 0)"],
    int: ["out += SHORT_VARINTS[value] if 0 <= value < 4096 else varint(value)"],
    str: [
        "octets = value.encode()",
        "n = len(octets)",
        "out += SHORT_VARINTS[n] if n < 4096 else varint(n)",
        "out += octets",
    ],
    bytes: ["n = len(value)", "out += SHORT_VARINTS[n] if n < 4096 else varint(n)", "out += value"],
    datetime: ["out += varint(datetime_to_micros(value))"],
    date: ["out += varint(date_to_days(value))"],
}

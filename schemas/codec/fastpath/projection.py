"""How an output record is put together from fields of scanned records: declared by attribute, compiled to pieces."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import IntEnum, auto
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape, attribute_schema, shapes_of
from schemas.codec.fastpath.compiler import NodeCompiler, Scope
from schemas.codec.fastpath.slots import SlotPlace
from schemas.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Copy:
    """The attribute of a scanned record, as in `line.product_id`; `default` where that is null and ours must not be."""

    path: str
    default: Any = None


@dataclass(frozen=True, slots=True)
class Given:
    """The same value in every output."""

    value: Any


@dataclass(frozen=True, slots=True)
class Argument:
    """Bytes that the caller hands over for each call: the attribute's Avro form."""

    number: int


@dataclass(frozen=True, slots=True)
class Each:
    """A list with one record for each item of the scanned record."""

    fields: Projection


@dataclass(frozen=True, slots=True)
class IfFound:
    """One part where a record was looked up, another where there was nothing to look up."""

    name: str
    found: Part
    otherwise: Part


@dataclass(frozen=True, slots=True)
class Whole:
    """An earlier output, whole, without its prefix."""

    output: int


@dataclass(frozen=True, slots=True)
class Computed:
    """A number or day calculated in the language of conditions, for an optional attribute; null where `given` is.

    Rounded half up to the attribute's decimals; a record for which it is at `limit` or beyond is not for the fast path.
    """

    expression: str
    given: str
    limit: int


Projection = Mapping[str, "Part"]
Part = Computed | Copy | Given | Argument | Each | IfFound | Whole | Mapping[str, Any]
Piece = tuple[int, int, int, int, bytes]
_LEAVES: Mapping[str, type] = {"number": Decimal, "day": date}


class PieceKind(IntEnum):
    """As `enum PieceKind` in fastpath.c."""

    CONSTANT = 0
    FIELD = auto()
    VALUE = auto()
    ARGUMENT = auto()
    EACH_ITEM = auto()
    IF_FOUND = auto()
    OUTPUT = auto()
    COMPUTED = auto()


@dataclass(frozen=True, slots=True)
class OutputDeclaration:
    """One output: what goes before it (the header of its topic), its model, and where each attribute comes from."""

    prefix: bytes
    model: type[CanonicalModel]
    fields: Projection = field(default_factory=dict)


class ProjectionCompiler:
    """Compiles the outputs of one fast path, in their order."""

    def __init__(self, scopes: Mapping[str, Scope], compiler: NodeCompiler) -> None:
        self._scopes = scopes
        self._compiler = compiler
        self._prefixes: list[bytes] = []

    def compile(self, output: OutputDeclaration) -> tuple[Piece, ...]:
        """The pieces of one output, neighbouring constants joined.

        Raises:
            ConfigurationError: an attribute is missing or unknown, or has another Avro form than its origin.
        """
        pieces = [_constant(output.prefix), *self._record(output.model, output.fields)]
        self._prefixes.append(output.prefix)
        return tuple(_joined(pieces))

    def _record(self, model: type[CanonicalModel], fields: Projection) -> Iterator[Piece]:
        shapes = shapes_of(model)
        names = {shape.name for shape in shapes}
        if names != fields.keys():
            raise ConfigurationError(f"{model.__name__}: {', '.join(sorted(names ^ fields.keys()))} does not match")
        for shape in shapes:
            yield from self._part(model, shape, fields[shape.name])

    def _part(self, model: type[CanonicalModel], shape: FieldShape, part: Part) -> Iterator[Piece]:
        if isinstance(part, Copy):
            yield from self._copied(model, shape, part)
        elif isinstance(part, Given):
            yield _constant(encoded_attribute(model, shape.name, part.value))
        elif isinstance(part, Computed):
            yield self._computed(model, shape, part)
        elif isinstance(part, Argument):
            yield (PieceKind.ARGUMENT, 0, 0, part.number, b"")
        elif isinstance(part, Whole):
            yield (PieceKind.OUTPUT, 0, 0, part.output, self._prefixes[part.output])
        elif isinstance(part, Each):
            assert shape.record is not None
            body = list(_joined(self._record(shape.record, part.fields)))
            yield (PieceKind.EACH_ITEM, 0, 0, len(body), b"")
            yield from body
        elif isinstance(part, IfFound):
            yield from self._either(model, shape, part)
        else:
            assert shape.record is not None
            if shape.is_optional:
                yield _constant(b"\x02")
            yield from self._record(shape.record, part)

    def _either(self, model: type[CanonicalModel], shape: FieldShape, part: IfFound) -> Iterator[Piece]:
        """Written as two tests: the native side skips what follows where nothing was found."""
        scope = self._scopes[part.name].number
        found = list(_joined(self._part(model, shape, part.found)))
        otherwise = list(_joined(self._part(model, shape, part.otherwise)))
        yield (PieceKind.IF_FOUND, scope, 0, len(found), b"")
        yield from found
        yield (PieceKind.IF_FOUND, scope, 1, len(otherwise), b"")
        yield from otherwise

    def _computed(self, model: type[CanonicalModel], shape: FieldShape, part: Computed) -> Piece:
        scope, place = self._origin(part.given)
        kind, node, scale = self._compiler.compile_value(part.expression)
        wanted = shape.decimal.scale if shape.decimal is not None else 0
        if not shape.is_optional or shape.leaf is not _LEAVES.get(kind) or scale < wanted:
            raise ConfigurationError(f"{model.__name__}.{shape.name} cannot be the {kind} {part.expression}")
        form = struct.pack("=QQQ", 10 ** (scale - wanted), part.limit * 10**wanted, shape.decimal is not None)
        return (PieceKind.COMPUTED, scope, place.number, node, form)

    def _copied(self, model: type[CanonicalModel], shape: FieldShape, part: Copy) -> Iterator[Piece]:
        scope, place = self._origin(part.path)
        origin = place.shape
        kinds = [(one.leaf, one.decimal, one.is_list) for one in (shape, origin)]
        if kinds[0] != kinds[1]:
            raise ConfigurationError(f"{model.__name__}.{shape.name} has another Avro form than {part.path}")
        is_within_null = place.may_be_null and not origin.is_optional
        if origin.is_optional == shape.is_optional and not is_within_null:
            yield (PieceKind.FIELD, scope, place.number, 0, b"")
        elif shape.is_optional and not place.may_be_null:
            yield _constant(b"\x02")
            yield (PieceKind.FIELD, scope, place.number, 0, b"")
        elif not shape.is_optional and part.default is not None:
            yield (PieceKind.VALUE, scope, place.number, 0, encoded_attribute(model, shape.name, part.default))
        else:
            raise ConfigurationError(f"{model.__name__}.{shape.name}: {part.path} may be null; give a default")

    def _origin(self, path: str) -> tuple[int, SlotPlace]:
        root, _, rest = path.partition(".")
        scope = self._scopes[root]
        full = ".".join(part for part in (scope.path, rest) if part)
        if full not in scope.slots:
            raise ConfigurationError(f"{path} is no attribute")
        return scope.number, scope.slots[full]


def encoded_attribute(model: type[CanonicalModel], name: str, value: Any) -> bytes:
    """The Avro form of one attribute's value, union branch included."""
    out = BytesIO()
    schemaless_writer(out, attribute_schema(model, name), value)
    return out.getvalue()


def _constant(data: bytes) -> Piece:
    return (PieceKind.CONSTANT, 0, 0, 0, data)


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Neighbouring constants as one; the counts of what belongs to a piece stay right, because that is joined first."""
    held: bytes | None = None
    guarded = 0
    for piece in pieces:
        if guarded:
            guarded -= 1
            yield piece
            continue
        if piece[0] == PieceKind.CONSTANT:
            held = piece[4] if held is None else held + piece[4]
            continue
        if held is not None:
            yield _constant(held)
            held = None
        if piece[0] in (PieceKind.EACH_ITEM, PieceKind.IF_FOUND):
            guarded = piece[3]
        yield piece
    if held is not None:
        yield _constant(held)

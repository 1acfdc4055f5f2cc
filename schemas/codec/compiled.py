"""The engine of compiled Python, for machines on which the native one is not built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from schemas.attributes import CanonicalModel
from schemas.avro import FieldShape, shapes_of
from schemas.codec.compiler import Decoder, Encoder, decode_value_of, decoder, encoder
from schemas.errors import InvalidValue, UndecodableMessage

M = TypeVar("M", bound=CanonicalModel)

# What malformed bytes provoke in compiled decoders, and values of a wrong type in compiled encoders.
_MALFORMED = (IndexError, ValueError, OverflowError)
_WRONG_VALUE = (TypeError, ValueError, AttributeError, KeyError, OverflowError)


class CompiledEngine(Generic[M]):
    """Pure-Python `schemas.codec.engine.Engine`."""

    def __init__(self, model: type[M], sections: tuple[str, ...] = ()) -> None:
        self._model = model
        self._decode: Decoder[M] = decoder(model)
        self._encode: Encoder[M] = encoder(model)
        self._decode_head: Decoder[M] = decoder(model, sections)
        self._encode_head: Encoder[M] = encoder(model, sections)
        self._sections = [(shape.name, decode_value_of(shape)) for shape in trailing_shapes(model, sections)]

    def decode(self, data: bytes, start: int, /) -> M:
        """The instance whose body is the rest of `data` from `start`."""
        try:
            value, end = self._decode(data, start)
        except _MALFORMED as exc:
            raise self._undecodable(exc) from exc
        if end != len(data):
            raise self._wrong_end(end, data)
        return value

    def encode(self, prefix: bytes, value: M, /) -> bytes:
        """`prefix` and the body of `value`."""
        out = bytearray(prefix)
        try:
            self._encode(value, out)
        except _WRONG_VALUE as exc:
            raise self._unwritable(exc) from exc
        return bytes(out)

    def decode_sections(self, data: bytes, start: int, /) -> tuple[M, list[bytes]]:
        """The whole instance, and the bytes of each section."""
        sections = []
        try:
            value, start = self._decode_head(data, start)
            for name, decode in self._sections:
                value.__dict__[name], end = decode(data, start)
                sections.append(data[start:end])
                start = end
        except _MALFORMED as exc:
            raise self._undecodable(exc) from exc
        if start != len(data):
            raise self._wrong_end(start, data)
        return value, sections

    def encode_sections(self, prefix: bytes, value: M, sections: Sequence[bytes], /) -> bytes:
        """`prefix`, the fields of `value` before the sections, and `sections` as they are."""
        if len(sections) != len(self._sections):
            raise InvalidValue(f"{self._model.__name__} has {len(self._sections)} sections, not {len(sections)}")
        out = bytearray(prefix)
        try:
            self._encode_head(value, out)
            for section in sections:
                out += section
        except _WRONG_VALUE as exc:
            raise self._unwritable(exc) from exc
        return bytes(out)

    def _undecodable(self, exc: Exception) -> UndecodableMessage:
        return UndecodableMessage(f"not an Avro {self._model.__name__}: {type(exc).__name__}: {exc}", rule="avro")

    def _unwritable(self, exc: Exception) -> InvalidValue:
        return InvalidValue(f"{self._model.__name__} cannot be written as Avro: {exc}", rule="avro")

    def _wrong_end(self, end: int, data: bytes) -> UndecodableMessage:
        return UndecodableMessage(
            f"a whole {self._model.__name__} ends at byte {end} of {len(data)}: truncated, or written with another "
            "schema than its header names",
            rule="avro",
        )


def trailing_shapes(model: type[CanonicalModel], sections: tuple[str, ...]) -> tuple[FieldShape, ...]:
    """The shapes of `sections`, which must be the last fields of `model`, in this order."""
    shapes = shapes_of(model)
    head = len(shapes) - len(sections)
    if tuple(shape.name for shape in shapes[head:]) != sections:
        raise TypeError(f"{', '.join(sections)} are not the last fields of {model.__name__}")
    return shapes[head:]

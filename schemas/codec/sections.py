"""Codec of a record whose last fields are sections that are passed on as bytes instead of being encoded again."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from schemas.attributes import CanonicalModel
from schemas.avro import shapes_of
from schemas.codec.compiler import decoder, encoder, malformed
from schemas.codec.records import RecordCodec
from schemas.errors import UndecodableMessage

M = TypeVar("M", bound=CanonicalModel)
ABSENT = b"\x00"
"""The bytes of a section that is null."""


class SectionedCodec(Generic[M]):
    """Codec of `model`, whose optional record fields `sections` stand last, in this order.

    The stream processor merges sections of several records into one; Avro writes a record's fields one after the
    other, so a section decoded for its rules is written again by copying its bytes.
    """

    def __init__(self, model: type[M], sections: tuple[str, ...]) -> None:
        shapes = {shape.name: shape for shape in shapes_of(model)}
        if tuple(shapes)[-len(sections) :] != sections:
            raise TypeError(f"{', '.join(sections)} are not the last fields of {model.__name__}")
        self.records = RecordCodec(model)
        self._head_decoder = decoder(model, sections)
        self._head_encoder = encoder(model, sections)
        self._sections = [(name, decoder(record)) for name in sections if (record := shapes[name].record)]

    def decode(self, body: bytes, writer: Any = None) -> tuple[M, list[bytes]]:
        """The whole instance, and the bytes of each section.

        Raises:
            UndecodableMessage: the bytes are not what the schema says.
        """
        if writer is not None:
            body = self.records.resolved(body, writer)
        sections = []
        try:
            value, start = self._head_decoder(body, 0)
            for name, decode in self._sections:
                end = start + 1
                if body[start] == 2:
                    value.__dict__[name], end = decode(body, end)
                elif body[start] != 0:
                    malformed(f"union branch of {name}")
                sections.append(body[start:end])
                start = end
        except (IndexError, UnicodeDecodeError, OverflowError, ValueError) as exc:
            raise UndecodableMessage(
                f"not an Avro {self.records.model.__name__}: {type(exc).__name__}: {exc}", rule="avro"
            ) from exc
        if start != len(body):
            raise UndecodableMessage(
                f"a whole {self.records.model.__name__} ends at byte {start} of {len(body)}", rule="avro"
            )
        return value, sections

    def encode(self, value: M, sections: list[bytes]) -> bytes:
        """The Avro body of `value` with `sections` (as `decode` gave them) in the place of its own.

        Raises:
            InvalidValue: a value before the sections does not fit the schema.
        """
        out = bytearray()
        self._head_encoder(value, out)
        for section in sections:
            out += section
        return bytes(out)

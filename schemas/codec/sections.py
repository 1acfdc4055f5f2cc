"""Codec of a record whose last fields are sections that are passed on as bytes instead of being encoded again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from schemas.attributes import CanonicalModel
from schemas.codec.engine import Engine, engine_of
from schemas.codec.records import RecordCodec

M = TypeVar("M", bound=CanonicalModel)
ABSENT = b"\x00"
"""The bytes of an optional section that is null."""


class SectionedCodec(Generic[M]):
    """Codec of `model`, whose fields `sections` stand last, in this order.

    The stream processor merges sections of several records into one; Avro writes a record's fields one after the
    other, so a section decoded for its rules is written again by copying its bytes. The bytes of an optional section
    include its union branch.
    """

    def __init__(self, model: type[M], sections: tuple[str, ...], engine: Engine[M] | None = None) -> None:
        self.engine = engine_of(model, sections) if engine is None else engine
        self.records = RecordCodec(model, self.engine)

    def decode(self, body: bytes, writer: Any = None, start: int = 0) -> tuple[M, list[bytes]]:
        """The whole instance, and the bytes of each section; `body` begins at `start`.

        Raises:
            UndecodableMessage: the bytes are not what the schema says.
        """
        if writer is not None:
            body, start = self.records.resolution.resolved(body[start:], writer), 0
        return self.engine.decode_sections(body, start)

    def encode(self, value: M, sections: Sequence[bytes], prefix: bytes = b"") -> bytes:
        """`prefix` (a header), then the Avro body of `value` with `sections` (as `decode` gave them) for its own.

        Raises:
            InvalidValue: a value before the sections does not fit the schema.
        """
        return self.engine.encode_sections(prefix, value, sections)

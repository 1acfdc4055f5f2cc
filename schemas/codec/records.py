"""The Avro body of one record to a model and back, with schema resolution where the writer was older or newer."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from schemas.attributes import CanonicalModel
from schemas.avro import avro_schema
from schemas.codec.engine import Engine, engine_of
from schemas.codec.resolution import Resolution

M = TypeVar("M", bound=CanonicalModel)


class RecordCodec(Generic[M]):
    """Codec of one model. Bodies carry no header; see `schemas.codec.wire`."""

    def __init__(self, model: type[M], engine: Engine[M] | None = None) -> None:
        self.model = model
        self.schema = avro_schema(model)
        self.resolution = Resolution(self.schema)
        self.engine = engine_of(model) if engine is None else engine

    def encode(self, value: M) -> bytes:
        """The Avro body of `value`.

        Raises:
            InvalidValue: a decimal does not fit its precision and scale, or a value is not of its Avro type.
        """
        return self.engine.encode(b"", value)

    def decode(self, body: bytes, writer: Any = None) -> M:
        """The model in `body`; `writer` is the schema of its writer, from `parsed_writer`, where that is not ours.

        Raises:
            UndecodableMessage: the bytes are not what the writer's schema says, or some are left over.
        """
        if writer is not None:
            body = self.resolution.resolved(body, writer)
        return self.engine.decode(body, 0)

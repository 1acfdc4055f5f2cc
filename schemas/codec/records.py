"""The Avro body of one record to a model and back, with schema resolution where the writer was older or newer."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Generic, TypeVar

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas.attributes import CanonicalModel
from schemas.avro import avro_schema, raw_schema
from schemas.codec.compiler import decoder, encoder
from schemas.errors import InvalidValue, UndecodableMessage

M = TypeVar("M", bound=CanonicalModel)

# What values of a wrong type provoke in compiled encoders.
_WRONG_VALUE = (TypeError, ValueError, AttributeError, KeyError, OverflowError)


class RecordCodec(Generic[M]):
    """Codec of one model. Bodies carry no header; see `schemas.codec.wire`."""

    def __init__(self, model: type[M]) -> None:
        self.model = model
        self.schema = avro_schema(model)
        self._parsed = parse_schema(raw_schema(self.schema))
        self._decode = decoder(model)
        self._encode = encoder(model)

    def encode(self, value: M) -> bytes:
        """The Avro body of `value`.

        Raises:
            InvalidValue: a decimal does not fit its precision and scale, or a value is not of its Avro type.
        """
        out = bytearray()
        try:
            self._encode(value, out)
        except _WRONG_VALUE as exc:
            raise InvalidValue(
                f"{self.model.__name__} cannot be written as Avro: {exc}", rule="avro"
            ) from exc
        return bytes(out)

    def decode(self, body: bytes, writer: Any = None) -> M:
        """The model in `body`; `writer` is the parsed schema of its writer where that is not ours.

        Raises:
            UndecodableMessage: the bytes are not what the writer's schema says, or some are left over.
        """
        if writer is not None:
            body = self.resolved(body, writer)
        try:
            value, end = self._decode(body, 0)
        except (IndexError, UnicodeDecodeError, OverflowError, ValueError) as exc:
            raise UndecodableMessage(
                f"not an Avro {self.model.__name__}: {type(exc).__name__}: {exc}", rule="avro"
            ) from exc
        if end != len(body):
            raise UndecodableMessage(
                f"a whole {self.model.__name__} ends at byte {end} of {len(body)}: truncated, or written with another "
                "schema than its header names",
                rule="avro",
            )
        return value

    def resolved(self, body: bytes, writer: Any) -> bytes:
        """`body`, written with another version of the schema, as the bytes of ours.

        Raises:
            UndecodableMessage: the bytes do not fit the writer's schema, or that schema does not resolve to ours.
        """
        stream, out = BytesIO(body), BytesIO()
        try:
            datum = schemaless_reader(stream, writer, self._parsed)
            schemaless_writer(out, self._parsed, datum)
        except Exception as exc:  # fastavro raises whatever the bytes provoke; each of it means this
            raise UndecodableMessage(
                f"not an Avro {self.model.__name__} of its writer's schema: {type(exc).__name__}: {exc}",
                rule="avro",
            ) from exc
        if stream.tell() != len(body):
            raise UndecodableMessage(
                f"{len(body) - stream.tell()} bytes are left after a whole {self.model.__name__}", rule="avro"
            )
        return out.getvalue()


def parsed_writer(schema: Any) -> Any:
    """Parse a writer's schema from the registry for `RecordCodec.decode`."""
    return parse_schema(raw_schema(schema))

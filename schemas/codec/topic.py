"""The values of one topic: wire format, our schema's id, and the schemas of other writers from the registry."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from schemas.attributes import CanonicalModel
from schemas.codec.engine import Engine
from schemas.codec.records import RecordCodec
from schemas.codec.resolution import WriterSchema, parsed_writer
from schemas.codec.wire import HEADER_LENGTH, frame, schema_id_of

M = TypeVar("M", bound=CanonicalModel)


class SchemaIds(Protocol):
    """What a codec needs of a schema registry."""

    def id_of(self, subject: str, schema: dict[str, Any]) -> int:
        """The id under which `schema` is registered as `subject`."""
        ...

    def schema_of(self, schema_id: int) -> dict[str, Any]:
        """The schema with that id; raises `UndecodableMessage` if there is none."""
        ...


class TopicCodec(Generic[M]):
    """Codec of one topic; made once at start (it asks the registry for the id), then used for each message."""

    def __init__(self, topic: str, model: type[M], registry: SchemaIds, engine: Engine[M] | None = None) -> None:
        self.topic = topic
        self.records = RecordCodec(model, engine)
        self.schema_id = registry.id_of(f"{topic}-value", self.records.schema)
        self.header = frame(self.schema_id)
        self._registry = registry
        self._engine = self.records.engine
        self._writers: dict[int, WriterSchema | None] = {self.schema_id: None}

    def encode(self, value: M) -> bytes:
        """The message for `value`.

        Raises:
            InvalidValue: the value does not fit the schema.
        """
        return self._engine.encode(self.header, value)

    def decode(self, message: bytes) -> M:
        """The value of a message of this topic, whichever compatible schema wrote it.

        Raises:
            UndecodableMessage: wrong wire format, unknown schema id, or bytes that the schema does not explain.
            Transient: the registry had to be asked and is away.
        """
        if message.startswith(self.header):
            return self._engine.decode(message, HEADER_LENGTH)
        writer = self.writer_of(schema_id_of(message))
        return self.records.decode(message[HEADER_LENGTH:], writer)

    def writer_of(self, schema_id: int) -> WriterSchema | None:
        """The parsed schema of a foreign writer; None where it is our own.

        Raises:
            UndecodableMessage: the registry knows no such id.
            Transient: the registry is away.
        """
        try:
            return self._writers[schema_id]
        except KeyError:
            parsed = parsed_writer(self._registry.schema_of(schema_id))
            self._writers[schema_id] = parsed
            return parsed

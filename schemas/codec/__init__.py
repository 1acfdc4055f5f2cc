"""Avro bytes to canonical models and back, in the Confluent wire format.

`RecordCodec` turns the Avro body of one record into a model and back; `SectionedCodec` keeps the last fields of a
record as the bytes that they came in; `wire` adds and reads the five-byte header with the schema's id; `TopicCodec`
joins them with the registry for one topic. All are pure but for the registry that `TopicCodec` is given. Beneath them
stands one of two engines, `implementation`.
"""

from schemas.codec.engine import Engine, engine_of, implementation
from schemas.codec.records import RecordCodec
from schemas.codec.resolution import WriterSchema, parsed_writer
from schemas.codec.sections import ABSENT, SectionedCodec
from schemas.codec.topic import SchemaIds, TopicCodec
from schemas.codec.wire import HEADER_LENGTH, frame, schema_id_of

__all__ = [
    "ABSENT",
    "HEADER_LENGTH",
    "Engine",
    "RecordCodec",
    "SchemaIds",
    "SectionedCodec",
    "TopicCodec",
    "WriterSchema",
    "engine_of",
    "frame",
    "implementation",
    "parsed_writer",
    "schema_id_of",
]

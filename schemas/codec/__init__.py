"""Avro bytes to canonical models and back, in the Confluent wire format.

`RecordCodec` turns the Avro body of one record into a model and back; `Section` keeps a part of a record as the
bytes that it came in; `wire` adds and reads the five-byte header with the schema's id; `TopicCodec` joins them
with the registry for one topic. All are pure but for the registry that `TopicCodec` is given.
"""

from schemas.codec.records import RecordCodec
from schemas.codec.topic import SchemaIds, TopicCodec
from schemas.codec.wire import frame, schema_id_of

__all__ = ["RecordCodec", "SchemaIds", "TopicCodec", "frame", "schema_id_of"]

"""Avro schema resolution: bytes of an older or newer writer become bytes of our own schema."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas.avro import raw_schema
from schemas.errors import UndecodableMessage

_MEANING = ("logicalType", "scale")


class WriterSchema:
    """The parsed schema of a foreign writer."""

    def __init__(self, schema: Any) -> None:
        self.parsed = parse_schema(raw_schema(schema))
        self.meanings = _meanings(schema, {}, ())


class Resolution:
    """Resolves the bodies of other writers to the schema of one model.

    Slow (fastavro reads and writes each record): it works only while two versions of ordersync meet.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._name = schema["name"]
        self._parsed = parse_schema(raw_schema(schema))
        self._meanings = _meanings(schema, {}, ())

    def resolved(self, body: bytes, writer: WriterSchema) -> bytes:
        """`body`, written with another version of the schema, as the bytes of ours.

        Raises:
            UndecodableMessage: the bytes do not fit the writer's schema, or that schema does not resolve to ours.
        """
        self._refuse_other_meanings(writer)
        stream, out = BytesIO(body), BytesIO()
        try:
            datum = schemaless_reader(stream, writer.parsed, self._parsed)
            schemaless_writer(out, self._parsed, datum)
        except Exception as exc:  # fastavro raises whatever the bytes provoke; each of it means this
            raise UndecodableMessage(
                f"not an Avro {self._name} of its writer's schema: {type(exc).__name__}: {exc}", rule="avro"
            ) from exc
        if stream.tell() != len(body):
            raise UndecodableMessage(
                f"{len(body) - stream.tell()} bytes are left after a whole {self._name}", rule="avro"
            )
        return out.getvalue()

    def _refuse_other_meanings(self, writer: WriterSchema) -> None:
        # Avro's own resolution would read a scale of 2 as one of 4, and milliseconds as microseconds.
        for path, ours in self._meanings.items():
            theirs = writer.meanings.get(path, ours)
            if theirs != ours:
                raise UndecodableMessage(
                    f"{self._name}.{'.'.join(path)}: its writer's schema says {theirs}, ours says {ours}; write it "
                    "with the same logical type",
                    rule="avro",
                )


def parsed_writer(schema: Any) -> WriterSchema:
    """Parse a writer's schema from the registry for `RecordCodec.decode`.

    Raises:
        UndecodableMessage: the registry holds something else than an Avro schema under that id.
    """
    try:
        return WriterSchema(schema)
    except Exception as exc:  # fastavro raises whatever the schema provokes; each of it means this
        raise UndecodableMessage(
            f"the schema of the message's writer is not Avro: {type(exc).__name__}: {exc}", rule="unknown_schema"
        ) from exc


def _meanings(schema: Any, records: dict[str, Any], path: tuple[str, ...]) -> dict[tuple[str, ...], Any]:
    """The logical type and scale of each leaf, by its path; None where a leaf has none."""
    if isinstance(schema, list):
        branches = [branch for branch in schema if branch != "null"]
        return _meanings(branches[0], records, path) if len(branches) == 1 else {}
    if isinstance(schema, str):
        schema = records.get(schema.rpartition(".")[2], schema)
    if not isinstance(schema, dict):
        return {path: None}
    if schema["type"] == "record":
        records[schema["name"].rpartition(".")[2]] = schema
        found: dict[tuple[str, ...], Any] = {}
        for field in schema["fields"]:
            found |= _meanings(field["type"], records, (*path, field["name"]))
        return found
    if schema["type"] == "array":
        return _meanings(schema["items"], records, path)
    return {path: tuple(schema.get(key) for key in _MEANING) if "logicalType" in schema else None}

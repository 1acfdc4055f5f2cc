"""The Confluent wire format: a zero byte, the schema's id in four bytes, the Avro body."""

from __future__ import annotations

from struct import Struct

from schemas.errors import UndecodableMessage

_HEADER = Struct(">bI")
HEADER_LENGTH = _HEADER.size


def frame(schema_id: int) -> bytes:
    """The header that stands before each body written with `schema_id`."""
    return _HEADER.pack(0, schema_id)


def schema_id_of(message: bytes) -> int:
    """The id of the schema that wrote `message`.

    Raises:
        UndecodableMessage: the bytes do not begin as the wire format says.
    """
    if len(message) < HEADER_LENGTH or message[0] != 0:
        shown = message[:16].hex(" ")
        raise UndecodableMessage(
            f"not in the Confluent wire format: {len(message)} bytes that begin with '{shown}'; expected 00, then "
            "the schema id in 4 bytes. Produce with an Avro serializer that uses the schema registry",
            rule="wire_format",
        )
    return int(_HEADER.unpack_from(message)[1])

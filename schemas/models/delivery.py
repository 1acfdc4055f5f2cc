"""A delivery of files by a system that tells of its orders on a schedule."""

from __future__ import annotations

from schemas.attributes import CanonicalModel, Instant, attribute


class DeliveredFile(CanonicalModel):
    """One file of a delivery."""

    name: str = attribute("Name without its directory")
    table: str = attribute("Table of the mapping that its rows belong to")
    size_bytes: int = attribute("Size", unit="bytes")
    sha256: str = attribute("SHA-256 of its bytes, hexadecimal")


class Delivery(CanonicalModel):
    """What was done of one delivery (topic `capture.deliveries`, compacted, key system/delivery_id).

    Written in the same transactions as the events, so that a delivery that was killed goes on where it stopped.
    """

    delivery_id: str = attribute("UUIDv5 of system, time, mapping, kind and contents")
    system: str = attribute("Name of the source system, as in its mapping file")
    mapping_sha256: str = attribute("SHA-256 of the mapping file, hexadecimal")
    is_full: bool = attribute("Whether it has everything, so that what it lacks is deleted")
    files: list[DeliveredFile] = attribute("Its files, by name")
    as_of: Instant = attribute("When the source wrote them: its facts stand at this position", unit="UTC")
    actor: str = attribute("Who delivered it")
    begun_at: Instant = attribute("When its first event was written", unit="UTC")
    completed_at: Instant | None = attribute("When its last was; null until then", default=None, unit="UTC")
    stated: int = attribute("Facts that were written")
    refused: int = attribute("Facts that the mapping refused: dead letters")
    withdrawn: int = attribute("Facts that were deleted because a full delivery lacks them")

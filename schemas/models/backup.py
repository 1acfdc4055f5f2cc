"""One link of the append-only, hash-chained history of every order topic."""

from __future__ import annotations

from schemas.attributes import CanonicalModel, attribute
from schemas.models.exceptions import OriginalMessage


class BackupRecord(CanonicalModel, classification="confidential"):
    """A copy of one record, chained to the one before it in its partition (topic `backup.orders`)."""

    sequence: int = attribute("Number of the link in its partition's chain, from 0")
    previous_hash: bytes = attribute("SHA-256 of the link before; 32 zero bytes at the start")
    hash: bytes = attribute("SHA-256 over previous_hash and the copied record")
    original: OriginalMessage = attribute("The record as it came")

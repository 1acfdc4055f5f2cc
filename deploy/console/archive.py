"""Where the archive holds records: the segment of each, by the catalogue that the keeper signed."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.client import Client
from consumers.backup.vault.copies import Copies
from consumers.sink import Partition
from deploy.backup.state import Access
from schemas.errors import OrdersyncError

_FRESH_SECONDS: Final = 15.0
Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What the archive holds of some records; `problem` where it cannot be read or is not what was signed."""

    segments: Mapping[Place, str] = field(default_factory=dict)
    """By record, the path of its segment in every copy."""
    copies: tuple[str, ...] = ()
    problem: str | None = None


class ArchiveView:
    """Reads the signed catalogue only, which names no order: whoever has no identity of a recipient reads no record."""

    def __init__(self, policy: Path, root: Path, state_dir: Path) -> None:
        self._access = Access(policy, root, state_dir)
        self._lock = threading.Lock()
        self._catalogue = Catalogue()
        self._copies: Copies | None = None
        self._read_at = float("-inf")

    def holding(self, places: Iterable[Place]) -> Archived:
        """The segment of each of these records that has one; any thread may ask."""
        wanted = list(places)
        with self._lock:
            try:
                copies = self._refreshed()
            except OrdersyncError as exc:
                return Archived(problem=str(exc))
            found = {place: path for place in wanted if (path := self._segment(place)) is not None}
            return Archived(found, tuple(copy.name for copy in copies.copies))

    def _refreshed(self) -> Copies:
        if self._copies is None or time.monotonic() - self._read_at > _FRESH_SECONDS:
            copies = self._access.copies()
            Client(copies, self._access.root(), self._access.trusted_dir).load(self._catalogue)
            self._copies, self._read_at = copies, time.monotonic()
        return self._copies

    def _segment(self, place: Place) -> str | None:
        topic, partition, offset = place
        segments = self._catalogue.segments.get(Partition(topic, partition), [])
        at = bisect_right(segments, offset, key=lambda one: one.holds.first_offset) - 1
        return segments[at].file.path if at >= 0 and offset < segments[at].holds.end_offset else None

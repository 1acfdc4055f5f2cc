"""What a sink's position in the topics of then is in restored topics: databases with backups of their own go on there.

A server that was restored from its own base backup and log stands where its sinks stood at that moment, in offsets of
the topics of then. Restored topics have other offsets. As with consumer groups, a position becomes the number of
restored records that lie before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from consumers.backup.restore.cut import Cut
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.restoration import kept
from consumers.backup.vault.needs import MARGIN_MS, milliseconds
from consumers.sink import Partition
from schemas.errors import ConfigurationError


class PositionsInRestore:
    """Of one moment."""

    def __init__(self, reader: ArchiveReader, cut: Cut) -> None:
        self._reader = reader
        self._cut = cut
        self._topics = {one.name: one for one in reader.surroundings(cut.at).topics}

    def size(self, partition: Partition) -> int:
        """How many records the restored partition has. Raises `BackupRefused` as the reader does."""
        return sum(map(len, kept(self._topics[partition.topic], partition, self._cut)))

    def translated(self, held: Mapping[Partition, int]) -> dict[Partition, int]:
        """The positions of one sink; topics are called as in the catalogue.

        Raises:
            ConfigurationError: the sink had taken records that do not belong to the moment, or a topic is not in the
                backup.
            BackupRefused: as the reader does.
        """
        found: dict[Partition, int] = {}
        for partition, position in held.items():
            topic = self._topics.get(partition.topic)
            if topic is None:
                raise ConfigurationError(f"the backup has no topic {partition.topic}, which a sink has read")
            if beyond := self._beyond(partition, position):
                raise ConfigurationError(
                    f"the database holds {beyond} records of {partition.topic}/{partition.number} that are not of "
                    f"{self._cut.at.isoformat()}: restore it to an earlier moment (clocks of servers differ; some "
                    "seconds earlier is right, for its sink then follows), or the topics to a later one"
                )
            found[partition] = sum(bisect_left(batch.offsets, position) for batch in kept(topic, partition, self._cut))
        return found

    def _beyond(self, partition: Partition, position: int) -> int:
        """How many records before the position do not belong to the cut."""
        near_ms = milliseconds(self._cut.at) - MARGIN_MS
        taken: set[int] = set()
        for segment in self._reader.catalogue.segments.get(partition, ()):
            # Older records belong to the moment.
            if segment.holds.first_offset < position and segment.holds.latest_ms > near_ms:
                for batch in self._reader.read(segment):
                    taken.update(batch.within(near_ms, segment.holds.latest_ms).offsets)
        taken = {offset for offset in taken if offset < position}
        if taken:
            for batch in self._cut.batches(partition):
                taken.difference_update(batch.offsets)
        return len(taken)

"""How far a sink is by its own positions: everything on its topic up to a time is in what it writes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import time

from psycopg import sql

from consumers.group_offsets import GroupOffsets
from consumers.reconcile.rows import Snapshots, snapshot
from consumers.reconcile.topic import TopicReader
from schemas.settings import DatabaseSettings, KafkaSettings

_TOLERANCE_SECONDS = 1.0
"""Records of one transaction have times of their own, so the end of a topic is no sharper than this."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """What a sink is complete through, partition by partition, in seconds since 1970."""

    by_partition: Mapping[int, float] = field(default_factory=dict)

    @property
    def complete_through(self) -> float:
        """Everything up to this time is in the system; 0 where nothing is known."""
        return min(self.by_partition.values(), default=0.0)

    def covers(self, partition: int, written_at: float) -> bool:
        """Whether what was written to the partition then must be in the system."""
        return written_at <= self.by_partition.get(partition, 0.0) - _TOLERANCE_SECONDS


class SinkPositions:
    """Asks one sink's database and its topic; commits nothing anywhere."""

    def __init__(
        self,
        sink: str,
        topic: str,
        database: DatabaseSettings,
        kafka: KafkaSettings,
        snapshots: Snapshots = snapshot,
    ) -> None:
        self._sink, self._database, self._snapshots = sink, database, snapshots
        self._reader = TopicReader(kafka, topic)

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()

    def watermark(self) -> Watermark:
        """As of now.

        Raises:
            ConfigurationError: the database has no positions, or the role may not read them.
            Transient: the database or Kafka is away.
        """
        asked_at = time()
        ends = self._reader.ends()
        with self._snapshots(self._database) as database:
            held: dict[int, int] = dict(database.all_rows(self._query(), ["sink_position"]))
        heads = self._reader.heads(held, ends)
        return Watermark({partition: heads.get(partition, asked_at) for partition in ends})

    def _query(self) -> sql.Composed:
        return sql.SQL("SELECT partition, next_offset FROM sink_position WHERE sink = {} AND topic = {}").format(
            sql.Literal(self._sink), sql.Literal(self._reader.topic)
        )


class GroupPositions:
    """Asks for the offsets of a sink that keeps its positions in its group; joins and commits nothing."""

    def __init__(self, group: str, topic: str, kafka: KafkaSettings) -> None:
        self._group, self._offsets = group, GroupOffsets(kafka)
        self._reader = TopicReader(kafka, topic)

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()

    def watermark(self) -> Watermark | None:
        """As of now; None where nobody of the group ever worked.

        Raises:
            ConfigurationError: Kafka refuses.
            Transient: Kafka does not answer.
        """
        asked_at = time()
        committed = self._offsets.committed([self._group])[self._group]
        if not committed:
            return None
        ends = self._reader.ends()
        held = {number: offset for (topic, number), offset in committed.items() if topic == self._reader.topic}
        heads = self._reader.heads(held, ends)
        return Watermark({partition: heads.get(partition, asked_at) for partition in ends})

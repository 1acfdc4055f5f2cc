"""Restores topics to a point in time, into new topics, and proves that they are what the archive holds (B4, B7).

The order, which makes a restore that was interrupted go on where it ended:

1. Register the schemas; where the new registry gives other ids, values get these.
2. Make the topics as they were laid out.
3. Append each partition's records of the moment (`consumers.backup.restore.cut`), in the order of their offsets. Of a
   compacted topic the latest record of each key only.
4. Read everything back and compare it with the archive, to the byte.
5. Set the consumer groups' offsets to the same records.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue

from consumers.backup.archive.batches import RecordBatch
from consumers.backup.archive.surroundings import GroupOffset, TopicConfiguration
from consumers.backup.restore.cut import Cut
from consumers.backup.restore.digests import Digest, require_same
from consumers.backup.restore.lines import RestoreLine
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.schemas import register_all, with_new_ids
from consumers.backup.restore.target import RestoreTarget
from consumers.backup.vault.needs import is_whole
from consumers.sink import Partition
from schemas.errors import ConfigurationError
from schemas.registry import SchemaRegistry

_MEMORY_BYTES = 64 * 1024 * 1024
"""Of a compacted partition, as it lies in the copies, that is read once instead of twice."""

_LINES = min(4, max(2, os.cpu_count() or 1))
"""Partitions that are restored side by side: one is decrypted, compressed or hashed while another waits for brokers."""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What is restored to when and under which names."""

    at: datetime
    topics: Sequence[str]
    """Names of the catalogue; empty for all."""
    prefix: str
    resume: bool = False


@dataclass(frozen=True, slots=True)
class RestoredPartition:
    """One partition that is proved."""

    partition: Partition
    records: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    at: datetime
    partitions: Sequence[RestoredPartition]
    schema_ids_changed: int
    groups: int

    @property
    def records(self) -> int:
        """Altogether."""
        return sum(one.records for one in self.partitions)


class Restoration:
    """One restore; `told` is called with each partition that is done."""

    def __init__(
        self,
        reader: ArchiveReader,
        target: RestoreTarget,
        registry: SchemaRegistry,
        plan: RestorePlan,
        told: Callable[[RestoredPartition], None] = lambda _: None,
    ) -> None:
        self._reader = reader
        self._target = target
        self._registry = registry
        self._plan = plan
        self._told = told
        self._changed_ids: dict[int, int] = {}

    def run(self) -> Restored:
        """Do it.

        Raises:
            ConfigurationError: a topic is not in the backup or exists already, or the moment is out of its reach.
            BackupRefused: the archive is not what was signed, or what was written is not what it holds.
            Transient: a server is away; the same call with `resume` goes on.
        """
        plan = self._plan
        require_reach(self._reader, plan.at)
        cut = Cut(self._reader, plan.at)
        surroundings = self._reader.surroundings(plan.at)
        topics = [one for one in surroundings.topics if not plan.topics or one.name in plan.topics]
        if missing := set(plan.topics) - {one.name for one in topics}:
            raise ConfigurationError(f"the backup has no topic {', '.join(sorted(missing))}")
        self._changed_ids = register_all(self._registry, surroundings.subjects, plan.prefix)
        if not plan.resume:
            self._target.create(topics)
        groups: dict[Partition, list[GroupOffset]] = {}
        for one in surroundings.offsets:
            groups.setdefault(Partition(one.topic, one.partition), []).append(one)
        partitions = [(topic, Partition(topic.name, number)) for topic in topics for number in range(topic.partitions)]
        done: list[RestoredPartition] = []
        offsets: list[GroupOffset] = []
        for restored, old_offsets in self._side_by_side(cut, partitions):
            done.append(restored)
            self._told(restored)
            # A record's new offset is its number, so a group stands at as many records as it had passed.
            offsets += [
                one.model_copy(update={"offset": bisect_left(old_offsets, one.offset)})
                for one in groups.get(restored.partition, ())
            ]
        return Restored(plan.at, done, len(self._changed_ids), self._target.set_offsets(offsets, plan.prefix))

    def _side_by_side(
        self, cut: Cut, partitions: Sequence[tuple[TopicConfiguration, Partition]]
    ) -> Iterator[tuple[RestoredPartition, array[int]]]:
        """Each partition with the offsets that its records had, in this order; several are restored at once."""
        with ExitStack() as connections:
            free: SimpleQueue[RestoreLine] = SimpleQueue()
            for _ in range(_LINES):
                free.put(connections.enter_context(closing(self._target.line())))
            pool = ThreadPoolExecutor(_LINES, thread_name_prefix="restore")
            connections.callback(pool.shutdown, cancel_futures=True)

            def restore(one: tuple[TopicConfiguration, Partition]) -> tuple[RestoredPartition, array[int]]:
                line = free.get()
                try:
                    return self._restore(line, cut, *one)
                finally:
                    free.put(line)

            yield from pool.map(restore, partitions)

    def _restore(
        self, line: RestoreLine, cut: Cut, topic: TopicConfiguration, partition: Partition
    ) -> tuple[RestoredPartition, array[int]]:
        """Write and prove one partition."""
        there = self._target.ends([partition])[partition]
        wanted, old_offsets = Digest(), array("q")
        batches = wanted.through(self._written(_kept(topic, partition, cut), old_offsets))
        line.write(partition, _without_first(there, batches))
        count = self._target.ends([partition])[partition]
        require_same(partition, wanted, Digest().of(line.read(partition, count)))
        return RestoredPartition(partition, wanted.records, wanted.sha256), old_offsets

    def _written(self, kept: Iterable[RecordBatch], old_offsets: array[int]) -> Iterator[RecordBatch]:
        """As they are to be written; their offsets in the archive are noted."""
        for batch in kept:
            old_offsets.extend(batch.offsets)
            yield batch.with_values(with_new_ids(batch.values, self._changed_ids))


def _kept(topic: TopicConfiguration, partition: Partition, cut: Cut) -> Iterable[RecordBatch]:
    """The records of a partition that are restored: of a compacted topic the latest of each key."""
    if "compact" not in topic.config.get("cleanup.policy", ""):
        return cut.batches(partition)
    held = list(cut.batches(partition)) if cut.size_bytes(partition) <= _MEMORY_BYTES else None
    return _latest(lambda: cut.batches(partition) if held is None else held)


def _latest(batches: Callable[[], Iterable[RecordBatch]]) -> Iterator[RecordBatch]:
    """The last record of each key, in the order of offsets; asks for the same batches twice."""
    last: dict[bytes | None, int] = {}
    count = 0
    for batch in batches():
        last.update(zip(batch.keys, range(count, count + len(batch)), strict=True))
        count += len(batch)
    count = 0
    for batch in batches():
        numbered = enumerate(batch.keys, count)
        yield batch.chosen([number - count for number, key in numbered if last[key] == number])
        count += len(batch)


def _without_first(count: int, batches: Iterable[RecordBatch]) -> Iterator[RecordBatch]:
    """The records after the first `count`."""
    for batch in batches:
        passed = min(count, len(batch))
        count -= passed
        yield batch.chosen(range(passed, len(batch)))


def require_reach(reader: ArchiveReader, at: datetime) -> None:
    """Refuse a moment that the backup does not cover.

    Raises:
        ConfigurationError: it is after the last complete one, or there is none.
    """
    through = reader.catalogue.complete_through_at
    if through is None:
        raise ConfigurationError(
            "the backup has no complete state yet; wait until the archive has read all topics once"
        )
    if at > through:
        raise ConfigurationError(
            f"the backup is complete through {through.isoformat()}, not {at.isoformat()}; ask for that time or before"
        )
    if not is_whole(reader.catalogue, at):
        raise ConfigurationError(
            f"{at.isoformat()} is no longer kept by the policy: part of what the topics held then has expired; "
            "`backup retention` shows which restore points are kept"
        )

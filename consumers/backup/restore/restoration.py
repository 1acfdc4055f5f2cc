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

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice

from consumers.backup.archive.segments import ArchivedRecord
from consumers.backup.archive.surroundings import GroupOffset, TopicConfiguration
from consumers.backup.restore.cut import Cut
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.schemas import register_all, with_new_id
from consumers.backup.restore.target import Digest, RestoreTarget, require_same
from consumers.backup.vault.needs import is_whole
from consumers.sink import Partition
from schemas.errors import ConfigurationError
from schemas.registry import SchemaRegistry

_MEMORY_BYTES = 128 * 1024 * 1024
"""Of a compacted partition, as it lies in the copies, that is read once instead of twice."""


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
        done: list[RestoredPartition] = []
        offsets: list[GroupOffset] = []
        with closing(self._target):
            for topic in topics:
                for number in range(topic.partitions):
                    partition = Partition(topic.name, number)
                    kept = partial(_kept, topic, partition, cut)
                    restored, new_offsets = self._restore(partition, kept, groups.get(partition, []))
                    done.append(restored)
                    offsets += new_offsets
        return Restored(plan.at, done, len(self._changed_ids), self._target.set_offsets(offsets, plan.prefix))

    def _restore(
        self, partition: Partition, kept: Callable[[], Iterator[ArchivedRecord]], groups: Sequence[GroupOffset]
    ) -> tuple[RestoredPartition, list[GroupOffset]]:
        """Write and prove one partition; gives also the groups' offsets in terms of its new ones."""
        there = self._target.ends([partition])[partition]
        wanted, old_offsets = Digest(), array("q")
        records = wanted.through(self._written(kept(), old_offsets))
        self._target.write(partition, islice(records, there, None))
        count = self._target.ends([partition])[partition]
        require_same(partition, wanted, Digest().of(self._target.read(partition, count)))
        restored = RestoredPartition(partition, wanted.records, wanted.sha256)
        self._told(restored)
        # A record's new offset is its number, so a group stands at as many records as it had passed.
        return restored, [one.model_copy(update={"offset": bisect_left(old_offsets, one.offset)}) for one in groups]

    def _written(self, kept: Iterator[ArchivedRecord], old_offsets: array[int]) -> Iterator[ArchivedRecord]:
        """As they are to be written; their offsets in the archive are noted."""
        for record in kept:
            old_offsets.append(record.offset)
            yield record._replace(value=with_new_id(record.value, self._changed_ids))


def _kept(topic: TopicConfiguration, partition: Partition, cut: Cut) -> Iterator[ArchivedRecord]:
    """The records of a partition that are restored."""
    if "compact" not in topic.config.get("cleanup.policy", ""):
        yield from cut.records(partition)
        return
    if cut.bytes(partition) <= _MEMORY_BYTES:
        latest: dict[bytes | None, ArchivedRecord] = {}
        for record in cut.records(partition):
            # At the end of the dictionary, so that it stays in the order of offsets.
            latest.pop(record.key, None)
            latest[record.key] = record
        yield from latest.values()
        return
    last = {record.key: record.offset for record in cut.records(partition)}
    yield from (one for one in cut.candidates(partition) if last.get(one.key) == one.offset)


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

"""What `backup.orders` already holds: the head of each chain, and how far each topic was copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from consumers.backup.chain import GENESIS, ChainHead
from consumers.backup.settings import BackupSettings
from consumers.sink import Partition
from consumers.topic_history import TopicHistory
from schemas.codec import TopicCodec
from schemas.errors import Fatal
from schemas.models import BackupRecord


class BackupHistory(TopicHistory):
    """Reads the backup topic and the group's committed offsets, seeing whole transactions only."""

    def __init__(self, settings: BackupSettings, codec: TopicCodec[BackupRecord]) -> None:
        super().__init__(settings, codec.topic)
        self._codec = codec

    def last(self, number: int) -> BackupRecord | None:
        """The last link of the partition's chain; None where it has none.

        Raises:
            Transient: the brokers are away, or a killed worker's transaction has not been aborted yet.
        """
        last = self.last_record(number)
        return None if last is None else self._codec.decode(last.value() or b"")

    def copied_through(self, number: int) -> dict[Partition, int]:
        """Offset after the last copied record of each topic, found by reading the whole chain of the partition."""
        low, end = self.settled_range(number)
        reached: dict[Partition, int] = {}
        for link in self._links(number, low, end):
            original = link.original
            reached[Partition(original.topic, original.partition)] = original.offset + 1
        return reached

    def _links(self, number: int, start: int, end: int) -> Iterator[BackupRecord]:
        return (self._codec.decode(message.value() or b"") for message in self.records(number, start, end))


def head_after(last: BackupRecord | None) -> ChainHead:
    """Where the chain goes on after its last link."""
    return GENESIS if last is None else ChainHead(last.sequence + 1, last.hash)


def require_same_partitions(partitions: Iterable[Partition], topics: tuple[str, ...]) -> set[int]:
    """The numbers of the assigned partitions, each of which must be there for every topic.

    Raises:
        Fatal: the topics' partitions are split among workers, so a chain would have two writers.
    """
    numbers: dict[int, set[str]] = {}
    for partition in partitions:
        numbers.setdefault(partition.number, set()).add(partition.topic)
    for number, held in numbers.items():
        if held != set(topics):
            raise Fatal(
                f"partition {number} of {', '.join(sorted(set(topics) - held))} went to another worker: give all "
                "topics of the backup the same number of partitions (`ordersync topics apply`)"
            )
    return set(numbers)

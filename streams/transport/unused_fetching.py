"""The parts of Faust's consumer that fetch, seek and commit record by record: refused, or without effect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, NoReturn

from faust.transport import consumer
from faust.types import TP, ConsumerMessage, Message

from schemas.errors import Fatal


class UnusedFetching(consumer.Consumer):
    """A Faust consumer without Faust's fetcher: records come from the poller, commits go through `Output`.

    What Faust calls on its own is without effect; what only user code could call is refused with `Fatal`.
    """

    async def verify_all_partitions_active(self) -> None:
        """Nothing to verify: aiokafka's stalls, which Faust looks for here, cannot occur."""

    async def on_task_error(self, exc: BaseException) -> None:
        """Nothing is committed because of an error."""

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's fetcher has nothing to do."""

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Without effect: the poller bounds what is buffered."""

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Without effect, as `pause_partitions`."""

    def close(self) -> None:
        """The client is closed when the consumer stops."""

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def topic_partitions(self, topic: str) -> int | None:
        """Unknown to Faust: only its tables ask."""
        return None

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Refused."""
        _refuse("getmany")
        yield  # makes this an asynchronous generator, as the interface demands

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        _refuse("getmany")

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        _refuse("_to_message")

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        _refuse("_commit")

    async def _seek(self, partition: TP, offset: int) -> None:
        _refuse("seek")

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Refused."""
        _refuse("seek_wait")

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Refused."""
        _refuse("seek_to_committed")

    async def position(self, tp: TP) -> int | None:
        """Refused."""
        _refuse("position")

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Refused."""
        _refuse("earliest_offsets")

    def highwater(self, tp: TP) -> int:
        """Refused."""
        _refuse("highwater")

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Refused."""
        _refuse("highwaters")

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Refused."""
        _refuse("key_partition")

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Refused: topics are created by whoever administers them."""
        _refuse("create_topic")


def _refuse(what: str) -> NoReturn:
    raise Fatal(f"Consumer.{what} does not exist on the batch transport: handle batches with `batches(stream)`.")

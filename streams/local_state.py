"""The local state of one worker over its life: opened, brought up to date, committed to, closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from schemas.codec import TopicCodec
from schemas.errors import Transient
from schemas.models import ParkedOrder
from streams import metrics
from streams.processing.checkpoints import Changelog, Mark, Marks
from streams.processing.cluster import Cluster
from streams.processing.keyvalues import KeyValues, MemoryKeyValues
from streams.processing.recovery import Recovery
from streams.processing.rocks import RocksKeyValues, StorePlace
from streams.processing.store import CHANGELOG_TOPICS, PartitionStore, WorkerState
from streams.processing.waiting import WaitingRoom
from streams.settings import StateStore, StreamsSettings

logger = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0


def open_values(settings: StreamsSettings) -> KeyValues:
    """Where the settings want local state to be; called once, by the worker.

    Raises:
        ConfigurationError: the directory cannot be used.
        DamagedStore: what is in it cannot be read.
    """
    if settings.state_store is StateStore.MEMORY:
        return MemoryKeyValues()
    place = StorePlace(settings.data_dir / "state", settings.slot)
    logger.info("local state is in %s", place.files)
    return RocksKeyValues(place)


class LocalState:
    """What the engine knows of its partitions' orders; all methods are called in the event loop."""

    def __init__(self, settings: StreamsSettings, values: KeyValues, parked: TopicCodec[ParkedOrder]) -> None:
        self._kafka = settings.kafka
        self._cluster = Cluster(settings.kafka)
        self._state = WorkerState(values, parked, settings.state_cache_bytes)
        self._topic_ids: dict[str, str] = {}
        self._marks = Marks()

    @property
    def partitions(self) -> Mapping[int, PartitionStore]:
        """The stores of the partitions held."""
        return self._state.partitions

    @property
    def waiting(self) -> Iterable[WaitingRoom]:
        """The orders that wait, by partition."""
        return self._state.waiting

    async def load(self, partitions: frozenset[int], kept: Iterable[int]) -> None:
        """Bring all but the `kept` partitions to the ends of their changelogs; may be cancelled.

        Raises:
            Fatal: a changelog does not exist, or the local state is damaged.
        """
        # Dropped before the loading, which may be cancelled: another worker may have had these partitions meanwhile.
        self._state.retain(kept)
        wanted = partitions - self.partitions.keys()
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                self._topic_ids = await asyncio.to_thread(self._cluster.topic_ids, CHANGELOG_TOPICS)
                await self._recover(frozenset(wanted))
                break
            except Transient as exc:
                logger.warning("state is not loaded yet: %s", exc)
                await asyncio.sleep(max(wait, exc.retry_after_seconds))
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        for number in wanted:
            self._state.open(number)

    async def _recover(self, wanted: frozenset[int]) -> None:
        recovery = Recovery(self._kafka, self._cluster, self._state.values, wanted, metrics.STATE_RECORDS_TO_LOAD.set)
        running = asyncio.ensure_future(asyncio.to_thread(recovery.run))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            # Two recoveries of one partition at a time could leave an older version over a newer one.
            recovery.stop()
            await asyncio.wait([running])
            raise

    def committed(self) -> None:
        """See `PartitionHooks.on_committed`."""
        self._state.committed(self._marks.confirmed(self.partitions, self._topic_ids))

    async def take_checkpoint(self) -> None:
        """Ask how far the changelogs are; what they say is kept as soon as it is certain to be true of local state.

        Raises:
            Transient: the brokers do not answer.
        """
        changelogs = [Changelog(topic, number) for topic in CHANGELOG_TOPICS for number in self.partitions]
        asked_at = datetime.now(UTC)
        ends = await asyncio.to_thread(self._cluster.stable_ends, changelogs)
        self._marks.answered(Mark(ends, asked_at))

    async def flush(self) -> None:
        """Write down what a crash would lose."""
        await asyncio.to_thread(self._state.values.flush)

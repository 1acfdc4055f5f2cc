"""The stream worker's state and its handling of batches, between the transport and the processor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from schemas.errors import Transient
from schemas.registry import SchemaRegistry
from streams import metrics
from streams.local_state import LocalState, open_values
from streams.processing.codecs import Codecs
from streams.processing.keyvalues import KeyValues
from streams.processing.master_feed import MasterFeed
from streams.processing.processor import CapturedRecord, OrderProcessor, Outcome, ProcessingPolicy
from streams.processing.store import PartitionStore
from streams.processing.waiting import AwaitedKey
from streams.rules.enrichment import EnrichmentPolicy
from streams.rules.governance import rules_of
from streams.settings import StreamsSettings
from streams.transport import Assignment, Batch, Output

logger = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0
_MASTER_LOAD_SECONDS = 120.0
_EXPIRY_SECONDS = 5.0


class Engine:
    """Holds the stores of the assigned partitions; handles batches, arrivals of master data, and deadlines.

    The transport calls the hooks `on_assigned` and `on_revoked`; the agent calls `handle`, the worker's own task
    `tend`. `handle` and `tend` take turns, so that each sees the state that the other left.
    """

    def __init__(self, settings: StreamsSettings, output: Callable[[], Output]) -> None:
        self._settings = settings
        self._rules = rules_of(settings.rules_file)
        self._output = output
        self._values: KeyValues | None = None
        self._state: LocalState | None = None
        self._assignment: Assignment | None = None
        self._turn = asyncio.Lock()
        self._stirred = asyncio.Event()
        self._recheck = False
        self._settled = False
        self._processor: OrderProcessor | None = None
        self._feed: MasterFeed | None = None
        self._codecs: Codecs | None = None

    # -- told by the transport ----------------------------------------------------------------------------

    async def on_assigned(self, assignment: Assignment) -> None:
        """Bring the state of partitions that this worker did not hold before up to date."""
        if self._processor is None:
            await self._prepare()
        assert self._state is not None
        await self._state.load(assignment.partitions, assignment.kept)
        self._assignment = assignment
        self._recheck = True
        self._stirred.set()
        metrics.parked(self._state.waiting)

    def on_committed(self) -> None:
        """What was applied becomes local state."""
        if self._state is not None:
            self._state.committed()

    async def on_revoked(self, generation_partitions: frozenset[int]) -> None:
        """The partitions may move; `on_assigned` says which of their stores are still exact."""
        self._assignment = None
        self._settled = False
        if self._state is not None:
            await self._state.flush()

    @property
    def has_settled(self) -> bool:
        """Whether orders that waited when the partitions were assigned have been looked at, deadlines included."""
        return self._settled

    @property
    def is_ready(self) -> bool:
        """Whether partitions are assigned and their state is loaded."""
        return self._assignment is not None

    def stop(self) -> None:
        """End the master feed and close the local state."""
        if self._feed is not None:
            self._feed.stop()
        if self._values is not None:
            self._values.close()

    async def _prepare(self) -> None:
        settings = self._settings
        registry = SchemaRegistry(settings.registry)
        codecs = self._codecs
        if codecs is None:
            codecs = self._codecs = await _patiently(lambda: Codecs(registry), "asking the registry for schema ids")
        if self._values is None:
            self._values = open_values(settings)
        if self._state is None:
            self._state = LocalState(settings, self._values, codecs.parked)
        if self._feed is None:
            loop = asyncio.get_running_loop()
            self._feed = MasterFeed(settings.kafka, codecs, lambda: _stir(loop, self._stirred), self._values)
            self._feed.start()
        await asyncio.to_thread(self._feed.wait_loaded, _MASTER_LOAD_SECONDS)
        logger.info("orders are judged by rules %s", self._rules.version)
        policy = ProcessingPolicy(
            EnrichmentPolicy(settings.functional_currency_code),
            timedelta(seconds=settings.parked_for_seconds),
            version("ordersync"),
            self._rules,
        )
        self._processor = OrderProcessor(codecs, self._feed.tables, policy)

    @property
    def _held(self) -> Mapping[int, PartitionStore]:
        return {} if self._state is None else self._state.partitions

    # -- batches ------------------------------------------------------------------------------------------

    async def handle(self, batch: Batch) -> None:
        """Process one batch; its outputs, its changes of state and its offsets are committed together.

        A fault of the environment is waited out while the batch is still ours; any other error ends the worker
        with nothing of the batch committed.
        """
        wait = _FIRST_WAIT_SECONDS
        while batch.ours:
            try:
                async with self._turn:
                    # While it waited for its turn, the partition may have gone, and its store with it.
                    if batch.ours:
                        await self._process(batch)
                return
            except Transient as exc:
                logger.warning("%s[%d] waits: %s", batch.topic, batch.partition, exc)
                await asyncio.sleep(max(wait, exc.retry_after_seconds))
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    async def _process(self, batch: Batch) -> None:
        assert self._processor is not None
        now = datetime.now(UTC)
        store = self._held[batch.partition]
        outcome = self._processor.process(
            [
                CapturedRecord(
                    batch.topic,
                    batch.partition,
                    record.offset,
                    record.timestamp,
                    record.key,
                    record.value,
                    record.headers or (),
                )
                for record in batch.records
            ],
            store,
            now,
        )
        async with self._output().ours(batch) as ours:
            if ours:
                self._write(outcome, batch.partition, now)

    def _write(self, outcome: Outcome, partition: int, now: datetime) -> None:
        self._output().produce_many(outcome.outputs, partition)
        outcome.view.apply()
        metrics.count(outcome, now)

    # -- what happens without a batch ----------------------------------------------------------------------

    async def tend(self) -> None:
        """Release orders whose awaited records have arrived, refuse those past their deadline; runs for ever."""
        await asyncio.gather(self._watch(), self._take_checkpoints())

    async def _watch(self) -> None:
        expired_at = datetime.now(UTC)
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), _EXPIRY_SECONDS)
            self._stirred.clear()
            try:
                has_new_partitions = await self._release()
                now = datetime.now(UTC)
                if has_new_partitions or now - expired_at >= timedelta(seconds=_EXPIRY_SECONDS):
                    expired_at = now
                    await self._expire(now)
                    self._settled = self._assignment is not None and not self._recheck
            except Transient as exc:
                logger.warning("orders that wait are tried again later: %s", exc)
                self._recheck = True

    async def _take_checkpoints(self) -> None:
        while True:
            await asyncio.sleep(self._settings.checkpoint_interval_seconds)
            try:
                if self._state is not None and self._assignment is not None:
                    await self._state.take_checkpoint()
            except Transient as exc:
                logger.info("the state's next checkpoint comes later: %s", exc)

    async def _release(self) -> bool:
        """Whether that was the first time since partitions were assigned."""
        if self._feed is not None:
            self._feed.check()
        if self._assignment is None or self._feed is None:
            return False
        arrived = self._feed.take_arrived()
        rechecked = self._recheck
        if self._recheck:
            # What a former owner of the partitions was told of, nobody may have acted upon.
            self._recheck = False
            arrived.update(key for store in self._held.values() for key in store.waiting.awaited())
        for partition in list(self._held):
            await self._alone(partition, lambda processor, store, now: _released(processor, store, arrived, now))
        return rechecked

    async def _expire(self, now: datetime) -> None:
        for partition in list(self._held):
            await self._alone(partition, lambda processor, store, _: processor.expire(store, now))
        metrics.parked(store.waiting for store in self._held.values())

    async def _alone(self, partition: int, make: Callable[[OrderProcessor, PartitionStore, datetime], Outcome]) -> None:
        """Write what `make` gives for a partition, if it is still held when it is our turn."""
        async with self._turn:
            assignment, store, now = self._assignment, self._held.get(partition), datetime.now(UTC)
            if assignment is None or store is None or self._processor is None:
                return
            outcome = make(self._processor, store, now)
            if not outcome.outputs:
                return
            async with self._output().ours(assignment) as ours:
                if ours:
                    self._write(outcome, partition, now)


def _released(processor: OrderProcessor, store: PartitionStore, arrived: set[AwaitedKey], now: datetime) -> Outcome:
    return processor.release(store.waiting_for(arrived), store, now)


def _stir(loop: asyncio.AbstractEventLoop, stirred: asyncio.Event) -> None:
    # The feed's thread may speak while the loop is being closed.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stirred.set)


async def _patiently(call: Callable[[], Codecs], doing: str) -> Codecs:
    wait = _FIRST_WAIT_SECONDS
    while True:
        try:
            return await asyncio.to_thread(call)
        except Transient as exc:
            logger.warning("%s: %s", doing, exc)
            await asyncio.sleep(max(wait, exc.retry_after_seconds))
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

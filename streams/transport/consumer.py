"""Faust's consumer over librdkafka: generations, books, commits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, cast

from confluent_kafka import Consumer as KafkaConsumer
from faust.app import App
from faust.tables.manager import TableManager
from faust.types import TP, ConsumerMessage, Message
from faust.types.transports import TPorTopicSet
from mode import Service

from schemas.errors import Fatal, PositionConflict
from streams.transport.batch import UNKNOWN_GENERATION, Assignment, Batch, Generation
from streams.transport.books import Books
from streams.transport.errors import DeliveryFailed, FencedByGroup
from streams.transport.options import Delivery, PartitionHooks, TransportOptions
from streams.transport.output import FlushedOutput, Output, TransactionalOutput, uncancelled
from streams.transport.pace import CommitPace
from streams.transport.poller import Poller
from streams.transport.positions import Positions
from streams.transport.topology import check_agents, check_assignment, check_topics
from streams.transport.unused_fetching import UnusedFetching

_REWIND_LIMIT = 5
_REWIND_WINDOW_SECONDS = 60.0


class Consumer(UnusedFetching):
    """Hands whole batches to the agents and commits outputs with offsets.

    Started, subscribed and stopped by the Faust app. Everything here runs in the event loop; only `Poller` and
    the blocking calls of `Output` and `Positions` run in threads.
    """

    output: Output

    def __init__(self, *args: Any, options: TransportOptions, hooks: PartitionHooks, **kwargs: Any) -> None:
        self.options = options
        self.hooks = hooks
        super().__init__(*args, commit_interval=options.commit_interval_seconds, **kwargs)
        self._group: str = self.app.conf.id
        self._generation: Generation | None = None
        self._books = Books({})
        self._entered = False
        self._loaded = False
        self._beginning: asyncio.Task[None] | None = None
        self._ending = asyncio.Lock()
        self._arrivals: asyncio.Queue[Batch] = asyncio.Queue()
        self._last: tuple[int, Mapping[TP, int]] = (UNKNOWN_GENERATION, {})
        self._rewinds: deque[float] = deque(maxlen=_REWIND_LIMIT)
        self._left = False
        self._pace = CommitPace(options.idle_commit_interval_seconds, options.commit_interval_seconds)

    # -- life ---------------------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Connect and check that the app fits the transport."""
        check_agents(self.app)
        loop = asyncio.get_running_loop()
        if self.options.delivery is Delivery.EXACTLY_ONCE:
            self.output = TransactionalOutput(self.options, self._group)
        else:
            self.output = FlushedOutput(self.options, self._group, self._commit_as_member)
        member = KafkaConsumer(self.options.consumer_config(self._group, self.output.transactional_id))
        self._poller = Poller(member, self._group, self.options, self, loop)
        await self.output.start()
        self._observer = KafkaConsumer(self.options.observer_config(self._group, "read_committed"))
        self._positions = Positions(self._observer, self.options, self._group, self.output)
        self._poller.start()
        self.add_future(self._deliver())

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group; called by Faust's conductor when the agents are ready."""
        names = list(topics)
        if names:
            await uncancelled(lambda: check_topics(self._observer, self.app, names, self.options))
            self._poller.subscribe(names)

    async def wait_empty(self) -> None:
        """Commit what is finished and leave the group; called by Faust when the app stops."""
        await self._leave()

    async def on_stop(self) -> None:
        """As `wait_empty`, for an app that never had partitions."""
        await self._leave()

    async def _leave(self) -> None:
        if self._left:
            return
        self._left = True
        if hasattr(self, "_observer"):
            await self.generation_ended(lost=self.app.crashed)
            await uncancelled(self._poller.stop)
            await uncancelled(self._observer.close)
        if hasattr(self, "output"):
            await self.output.stop()

    # -- told by the poller -------------------------------------------------------------------------------

    def generation_began(self, generation: Generation) -> None:
        """See `PollerListener`."""
        if not self._left:
            self._begin(generation)

    async def generation_ended(self, *, lost: bool) -> None:
        """See `PollerListener`."""
        async with self._ending:
            if self._beginning is not None:
                self._beginning.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._beginning
                self._beginning = None
            generation, self._generation = self._generation, None
            if generation is not None:
                if not self._left:
                    self.app.on_rebalance_start()
                try:
                    await self._end(generation, lost=lost or not generation.alive)
                except Exception as exc:  # noqa: BLE001 - whatever it is ends the worker
                    await self.crash(exc)

    def fetched(self, batch: Batch) -> None:
        """See `PollerListener`."""
        if batch.generation is self._generation and batch.ours:
            self._books.hand_out(batch)
            self._arrivals.put_nowait(batch)
        else:
            self._poller.drained(len(batch))

    def poller_failed(self, exc: BaseException) -> None:
        """See `PollerListener`."""
        self.add_future(self.crash(exc))

    # -- generations --------------------------------------------------------------------------------------

    def _begin(self, generation: Generation) -> None:
        self._generation = generation
        self._entered = False
        self.app.consumer_generation_id = generation.number
        self._beginning = asyncio.get_running_loop().create_task(self._prepare(generation))

    async def _prepare(self, generation: Generation) -> None:
        """Find the positions, have the state loaded, then let the records come."""
        try:
            check_assignment(self.app, generation.partitions)
            await self._tell_faust(generation)
            positions = await self._positions.committed(generation.partitions)
            self._books = Books(positions)
            self._entered = True
            if positions:
                await self.hooks.on_assigned(Assignment(generation, positions, self._kept(generation, positions)))
                self._loaded = True
                self._poller.fetch_from(generation, positions)
            self._faust_is_ready()
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is ends the worker
            await self.crash(exc)

    def _kept(self, generation: Generation, positions: Mapping[TP, int]) -> frozenset[int]:
        number, before = self._last
        if UNKNOWN_GENERATION in (number, generation.number) or generation.number != number + 1:
            return frozenset()
        moved = {tp.partition for tp, position in positions.items() if before.get(tp) != position}
        return frozenset(tp.partition for tp in positions) - moved

    async def _end(self, generation: Generation, *, lost: bool) -> None:
        """Commit the finished prefix or abort all, then tell the hooks."""
        self._last = (UNKNOWN_GENERATION, {})
        async with self.output.lock:
            generation.alive = False
            # A generation that was not entered has no books of its own. A producer that a commit left behind, and that
            # is not replaced yet, has nothing to commit with.
            clean = not lost and self._entered and self.output.is_open and await self._commit_if_possible(generation)
            if not clean:
                await self.output.discard()
            elif self._loaded:
                # State whose loading was cut off is nothing that the next generation could keep.
                self._last = (generation.number, dict(self._books.committed))
            self._loaded = False
            # What these say is finished must never be committed by the next generation: its outputs are aborted.
            self._books = Books({})
        if self._entered:
            self._entered = False
            await self.hooks.on_revoked(frozenset(tp.partition for tp in generation.partitions))

    async def _commit_if_possible(self, generation: Generation) -> bool:
        try:
            await self._commit_finished(generation)
        except (FencedByGroup, DeliveryFailed) as exc:
            self.log.warning("%s", exc)
            return False
        return True

    async def _rewind(self, generation: Generation, cause: DeliveryFailed) -> None:
        """Abort, and begin anew from the committed positions without leaving the group."""
        self._count_rewind(cause)
        self._poller.stop_fetching(generation)
        await self._end(generation, lost=True)
        again = Generation(generation.number, generation.partitions, generation.group_metadata)
        self._generation = again
        self._entered = False
        await self._prepare(again)

    def _count_rewind(self, cause: DeliveryFailed) -> None:
        now = time.monotonic()
        if len(self._rewinds) == _REWIND_LIMIT and now - self._rewinds[0] < _REWIND_WINDOW_SECONDS:
            raise PositionConflict(
                f"{_REWIND_LIMIT + 1} commits failed within {_REWIND_WINDOW_SECONDS:g} s. Either another worker runs "
                f"with the same slot ({self.options.slot}), or the brokers are not well. Last cause: {cause}"
            ) from cause
        self._rewinds.append(now)

    # -- commits ------------------------------------------------------------------------------------------

    @Service.task
    async def _commit_handler(self) -> None:
        """In the place of Faust's, which goes by the clock alone."""
        while not self.should_stop:
            await self._pace.until_due()
            await self.commit()

    async def commit(self, topics: TPorTopicSet | None = None, start_new_transaction: bool = True) -> bool:
        """Commit what is finished; called at the pace that the options name."""
        generation = self._generation
        if generation is None or not generation.alive or not self._entered:
            return False
        try:
            async with self.output.lock:
                if not generation.alive:
                    return False
                try:
                    return await self._commit_finished(generation)
                except (FencedByGroup, DeliveryFailed):
                    generation.alive = False
                    raise
        except FencedByGroup as exc:
            self.log.warning("%s", exc)
            self._mend_soon(generation, exc, self._await_rejoining(exc))
            return False
        except DeliveryFailed as exc:
            self.log.warning("%s", exc)
            self._mend_soon(generation, exc, self._rewind(generation, exc))
            return False

    def _mend_soon(self, generation: Generation, cause: Exception, mending: Coroutine[Any, Any, None]) -> None:
        """Mend in a task of its own, which the next rebalance cancels: it mends as well."""
        if self._generation is generation and (self._beginning is None or self._beginning.done()):
            self._beginning = asyncio.get_running_loop().create_task(self._mended(mending))
            return
        mending.close()
        if self._generation is generation:
            # It is still beginning, and nothing would begin it again: a worker that restarts is better than one that
            # holds partitions for ever without handling them.
            self.add_future(self.crash(cause))

    async def _mended(self, mending: Coroutine[Any, Any, None]) -> None:
        try:
            await mending
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is ends the worker
            await self.crash(exc)

    async def _await_rejoining(self, cause: FencedByGroup) -> None:
        patience_seconds = 3 * self.options.session_timeout_seconds
        await asyncio.sleep(patience_seconds)
        raise PositionConflict(
            f"The group refused this worker's commit {patience_seconds:g} s ago, and it was not asked to join again. "
            f"Start it again. Cause: {cause}"
        ) from cause

    async def _commit_finished(self, generation: Generation) -> bool:
        positions = self._books.finished_positions()
        if not positions and self.output.uncommitted == 0:
            return False
        await self.output.commit(positions or self._books.any_position(), generation)
        self._books.settle(positions)
        self.hooks.on_committed()
        return True

    def _commit_as_member(self, positions: Mapping[TP, int]) -> None:
        self._poller.commit(positions)

    # -- delivery -----------------------------------------------------------------------------------------

    async def _deliver(self) -> None:
        while not self.should_stop:
            batch = await self._arrivals.get()
            if batch.ours:
                await self.callback(self._message(batch))
            else:
                self._poller.drained(len(batch))

    def _message(self, batch: Batch) -> Message:
        last = batch.records[-1]
        tp = TP(batch.topic, batch.partition)
        return ConsumerMessage(
            batch.topic,
            batch.partition,
            batch.last_offset,
            last.timestamp / 1000,
            1,
            [],
            None,
            batch,  # type: ignore[arg-type]  # Faust's raw codec hands any value through
            None,
            0,
            0,
            tp,
            generation_id=batch.generation_id,
        )

    def release(self, batch: Batch) -> None:
        """The agent is done with the batch; called by `batches`, never by handlers."""
        self._poller.drained(len(batch))
        if not self._poller.has_handed_out:
            self._pace.all_done()

    def ack(self, message: Message) -> bool:
        """Refused: Faust acknowledges a batch also when its handler failed, which would lose records."""
        raise Fatal(
            f"A batch of {message.topic} was acknowledged by Faust's stream. Iterate with "
            "`async for batch in streams.transport.batches(stream)` and finish with `async with output.ours(batch)`."
        )

    # -- what Faust asks ----------------------------------------------------------------------------------

    async def _tell_faust(self, generation: Generation) -> None:
        app = cast(App, self.app)
        if not app.rebalancing:
            app.on_rebalance_start()
        app.unassigned = not generation.partitions
        held = set(generation.partitions)
        revoked, newly = app._update_assignment(held)
        await app.agents.on_rebalance(revoked, newly)
        await app.topics.on_partitions_assigned(held)
        await app.on_partitions_assigned.send(held)
        app.on_rebalance_return()

    def _faust_is_ready(self) -> None:
        app = self.app
        tables = cast(TableManager, app.tables)
        app.flow_control.resume()
        tables.on_actives_ready()
        tables.on_standbys_ready()
        tables.recovery.completed.set()
        app.on_rebalance_end()

    def assignment(self) -> set[TP]:
        """The partitions held."""
        return set(self._generation.partitions) if self._generation is not None else set()

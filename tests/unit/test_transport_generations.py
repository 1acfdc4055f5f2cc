"""What the consumer may commit when generations fail, are rewound and end, with a producer and brokers made up here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from faust.types import TP

from schemas.settings import KafkaSettings
from streams.transport import Assignment, Batch, Generation, NoHooks, Record, TransportOptions, new_app
from streams.transport.consumer import Consumer
from streams.transport.errors import DeliveryFailed
from streams.transport.output import Output

INPUT = TP("orders.captured", 0)


class Ledger(Output):
    """Writes nothing anywhere, and keeps what was committed; commits fail as often as told."""

    def __init__(self, failures: int) -> None:
        super().__init__(TransportOptions(), "group")
        self.committed: list[dict[TP, int]] = []
        self._failures = failures

    def _connect(self) -> None:
        self._producer = cast(Any, object())

    def _disconnect(self) -> None:
        self._producer = None

    def _begin(self, producer: Any) -> None:
        """Nothing to begin."""

    async def _aborted(self) -> bool:
        return True

    def _commit(self, producer: Any, positions: Mapping[TP, int], generation: Generation) -> None:
        if self._failures:
            self._failures -= 1
            raise DeliveryFailed("the brokers are away")
        self.committed.append(dict(positions))


class Brokers:
    """Answers for the committed positions when told, and takes what a poller is asked."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.asked = asyncio.Event()
        self.fetching: list[Mapping[TP, int]] = []
        self.position = 0

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int]:
        self.asked.set()
        await self.answer.wait()
        return {INPUT: self.position}

    def fetch_from(self, generation: Generation, positions: Mapping[TP, int]) -> None:
        self.fetching.append(positions)

    def stop_fetching(self, generation: Generation) -> None:
        """Nothing is fetched here."""

    def drained(self, records: int) -> None:
        """Nothing is counted here."""


class Kept(NoHooks):
    """Keeps what it was told of partitions kept."""

    def __init__(self) -> None:
        self.told: list[frozenset[int]] = []

    async def on_assigned(self, assignment: Assignment) -> None:
        self.told.append(assignment.kept)


def generation(number: int) -> Generation:
    return Generation(number, frozenset({INPUT}), b"")


def batch_of(held: Generation, last_offset: int) -> Batch:
    records = [Record(*INPUT, offset, 0, None, None, ()) for offset in range(last_offset + 1)]
    return Batch(*INPUT, held, records)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def consumer_of(output: Ledger, brokers: Brokers) -> Consumer:
    """A consumer of an app that is not started."""
    consumer = cast(Consumer, new_app("group", KafkaSettings()).consumer)
    await output.start()
    consumer.output = output
    consumer._positions = cast(Any, brokers)
    consumer._poller = cast(Any, brokers)
    return consumer


async def finished_batch(consumer: Consumer, brokers: Brokers, held: Generation) -> None:
    """The generation begins, hands out one batch, and the batch is finished."""
    consumer.generation_began(held)
    brokers.answer.set()
    await until(lambda: bool(brokers.fetching))
    batch = batch_of(held, 4)
    consumer.fetched(batch)
    async with consumer.output.ours(batch) as ours:
        assert ours
    brokers.answer.clear()
    brokers.asked.clear()


def test_what_is_finished_is_committed_when_the_generation_ends() -> None:
    async def story() -> None:
        output, brokers = Ledger(failures=0), Brokers()
        consumer = await consumer_of(output, brokers)
        await finished_batch(consumer, brokers, generation(1))
        await consumer.generation_ended(lost=False)
        assert output.committed == [{INPUT: 5}]

    asyncio.run(story())


def test_what_a_failed_commit_left_is_not_committed_by_a_rebalance_that_cuts_the_rewinding_short() -> None:
    async def story() -> None:
        output, brokers = Ledger(failures=1), Brokers()
        consumer = await consumer_of(output, brokers)
        await finished_batch(consumer, brokers, generation(1))
        assert not await consumer.commit()
        await brokers.asked.wait()
        await consumer.generation_ended(lost=False)
        assert output.committed == [], "offsets were committed whose outputs are aborted"

    asyncio.run(story())


def test_what_a_lost_generation_left_is_not_committed_by_the_next_that_never_began() -> None:
    async def story() -> None:
        output, brokers = Ledger(failures=0), Brokers()
        consumer = await consumer_of(output, brokers)
        await finished_batch(consumer, brokers, generation(1))
        await consumer.generation_ended(lost=True)
        consumer.generation_began(generation(2))
        await brokers.asked.wait()
        await consumer.generation_ended(lost=False)
        assert output.committed == [], "offsets were committed whose outputs are aborted"

    asyncio.run(story())


def test_state_is_kept_over_a_rebalance_that_ends_a_generation_in_order() -> None:
    async def story() -> None:
        output, brokers, kept = Ledger(failures=0), Brokers(), Kept()
        consumer = await consumer_of(output, brokers)
        consumer.hooks = kept
        await finished_batch(consumer, brokers, generation(1))
        await consumer.generation_ended(lost=False)
        brokers.position = 5
        brokers.answer.set()
        consumer.generation_began(generation(2))
        await until(lambda: len(kept.told) == 2)
        assert kept.told == [frozenset(), frozenset({0})]

    asyncio.run(story())

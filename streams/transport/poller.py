"""The thread that polls Kafka: it alone touches the assignment, and never waits for the handlers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from faust.types import TP

from schemas.errors import Fatal
from streams.transport.batch import Batch, Generation, Record
from streams.transport.errors import DeliveryFailed, client_error, error_of
from streams.transport.group_metadata import generation_number
from streams.transport.options import TransportOptions

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
_STALL_SECONDS = 1.0


class PollerListener(Protocol):
    """What the poller tells the event loop; each method is called in the loop's thread."""

    def generation_began(self, generation: Generation) -> None:
        """Partitions were assigned; nothing is fetched until `Poller.fetch_from`."""

    async def generation_ended(self, *, lost: bool) -> None:
        """Partitions are given back (commit now) or were lost (commit nothing); the group waits for it."""

    def fetched(self, batch: Batch) -> None:
        """A batch of the generation that `fetch_from` named."""

    def poller_failed(self, exc: BaseException) -> None:
        """The poller has ended and no record comes any more."""


class Poller(threading.Thread):
    """Owns the consumer from `start` to `stop`; heartbeats are sent by librdkafka's own thread meanwhile.

    confluent-kafka lets one thread at a time into a consumer, and a poll fills that time, so every other use of
    it goes through a request.
    """

    def __init__(
        self,
        consumer: KafkaConsumer,
        group: str,
        options: TransportOptions,
        listener: PollerListener,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(name="kafka-poller", daemon=True)
        self._consumer = consumer
        self._group = group
        self._options = options
        self._listener = listener
        self._loop = loop
        self._current: Generation | None = None
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._buffered = 0
        self._woken = threading.Condition()
        self._leaving = threading.Event()

    def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for these topics."""
        names = sorted(topics)
        self._request(
            lambda: self._consumer.subscribe(
                names, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        )

    def fetch_from(self, generation: Generation, positions: Mapping[TP, int]) -> None:
        """Hand out records from these positions; without effect if a rebalance has come in between."""
        self._request(lambda: self._fetch_from(generation, positions))

    def stop_fetching(self, generation: Generation) -> None:
        """Hand out nothing until the next `fetch_from`; membership goes on."""
        self._request(lambda: self._stop_fetching(generation))

    def commit(self, positions: Mapping[TP, int]) -> None:
        """Commit offsets as a member of the group; blocks the calling thread, which is never the loop's.

        Raises what `client_error` makes of the client's exception, `DeliveryFailed` if no answer comes in time.
        """
        done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._request(lambda: self._commit(positions, done))
        try:
            done.result(self._options.client_timeout_seconds)
        except TimeoutError as exc:
            raise DeliveryFailed("Offsets were not committed in time: the poller ended or does not answer.") from exc

    def drained(self, records: int) -> None:
        """Told by the loop that so many handed-out records are done with."""
        with self._woken:
            self._buffered -= records
            self._woken.notify()

    @property
    def has_handed_out(self) -> bool:
        """Whether records were handed out that are not done with."""
        return self._buffered > 0

    def stop(self) -> None:
        """Leave the group and close the consumer; blocks until that is done."""
        self._leaving.set()
        with self._woken:
            self._woken.notify()
        self.join()

    def _request(self, request: Callable[[], None]) -> None:
        self._requests.put(request)
        with self._woken:
            self._woken.notify()

    def run(self) -> None:
        """Poll until `stop`."""
        try:
            while not self._leaving.is_set():
                self._serve_requests()
                if self._has_room():
                    self._poll()
        except BaseException as exc:  # noqa: BLE001 - handed to the event loop, which ends the worker with it
            self._tell(self._listener.poller_failed, exc)
        finally:
            self._consumer.close()

    def _serve_requests(self, wait_seconds: float = 0) -> None:
        while True:
            try:
                request = self._requests.get(block=wait_seconds > 0, timeout=wait_seconds or None)
            except queue.Empty:
                return
            wait_seconds = 0
            try:
                request()
            except KafkaException as exc:
                raise client_error(exc, "changing the subscription or the assignment") from exc

    def _has_room(self) -> bool:
        limit = self._options.max_buffered_records
        with self._woken:
            if self._buffered < limit:
                return True
            if self._woken.wait_for(lambda: self._buffered < limit or not self._requests.empty(), _STALL_SECONDS):
                return False
        self._poll_without_fetching()
        return False

    def _poll_without_fetching(self) -> None:
        """Serve rebalances although the handlers stall; pausing also keeps the membership alive."""
        assigned = self._consumer.assignment()
        if assigned:
            self._consumer.pause(assigned)
        generation = self._current
        if self._consumer.poll(0) is not None and generation is not None:
            raise Fatal("A paused partition gave a record; the client library no longer keeps its promise.")
        if self._current is generation and assigned:
            self._consumer.resume(assigned)

    def _poll(self) -> None:
        generation = self._current
        first = self._consumer.poll(_POLL_SECONDS)
        if first is None:
            return
        messages = [first, *self._consumer.consume(self._options.max_batch_records - 1, 0)]
        # A rebalance inside these calls makes all of it records of the former assignment.
        if generation is not None and generation is self._current:
            self._hand_out(generation, messages)

    def _hand_out(self, generation: Generation, messages: list[Any]) -> None:
        by_partition: dict[tuple[str, int], list[Record]] = {}
        # A named tuple's own constructor is a Python function, which costs as much as all else here.
        new_tuple = tuple.__new__
        for message in messages:
            error = message.error()
            if error is not None:
                self._examine(error)
                continue
            place = topic, partition = message.topic(), message.partition()
            timestamp = message.timestamp()[1]
            key, value, headers = message.key(), message.value(), message.headers()
            record = new_tuple(Record, (topic, partition, message.offset(), timestamp, key, value, headers or ()))
            try:
                by_partition[place].append(record)
            except KeyError:
                by_partition[place] = [record]
        for (topic, partition), records in by_partition.items():
            with self._woken:
                self._buffered += len(records)
            self._tell(self._listener.fetched, Batch(topic, partition, generation, records))

    def _examine(self, error: KafkaError) -> None:
        problem = error_of(error, f"consuming as group {self._group}")
        if isinstance(problem, Fatal) or error.fatal():
            raise problem
        logger.warning("%s", problem)

    def _fetch_from(self, generation: Generation, positions: Mapping[TP, int]) -> None:
        if generation.alive:
            self._current = generation
            self._consumer.assign([TopicPartition(*tp, offset) for tp, offset in positions.items()])

    def _stop_fetching(self, generation: Generation) -> None:
        if self._current is generation:
            self._current = None
            self._consumer.assign([])

    def _commit(self, positions: Mapping[TP, int], done: concurrent.futures.Future[None]) -> None:
        offsets = [TopicPartition(*tp, offset) for tp, offset in positions.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as exc:
            done.set_exception(client_error(exc, "committing offsets"))
        else:
            done.set_result(None)

    def _on_assign(self, consumer: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        # Assigned without positions: they are set by `fetch_from`, once the state is loaded.
        consumer.assign([])
        metadata = bytes(consumer.consumer_group_metadata())
        number = generation_number(metadata, self._group, consumer.memberid() or "")
        held = frozenset(TP(part.topic, part.partition) for part in partitions)
        self._tell(self._listener.generation_began, Generation(number, held, metadata))

    def _on_revoke(self, consumer: KafkaConsumer, _partitions: list[TopicPartition]) -> None:
        self._end_generation(consumer, lost=False)

    def _on_lost(self, consumer: KafkaConsumer, _partitions: list[TopicPartition]) -> None:
        self._end_generation(consumer, lost=True)

    def _end_generation(self, consumer: KafkaConsumer, *, lost: bool) -> None:
        self._current = None
        if not self._leaving.is_set():
            self._wait_for(self._listener.generation_ended(lost=lost))
        consumer.unassign()

    def _wait_for(self, call: Coroutine[Any, Any, None]) -> None:
        """Wait for the loop, serving its requests: it may have to commit offsets before it can answer."""
        answer = asyncio.run_coroutine_threadsafe(call, self._loop)
        answer.add_done_callback(lambda _: self._request(lambda: None))
        while not answer.done():
            self._serve_requests(_STALL_SECONDS)
        answer.result()

    def _tell(self, method: Callable[..., object], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(method, *arguments)

"""Outputs of the worker and how they are committed together with the consumed offsets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import TracebackType
from typing import Any, TypeVar, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from faust.types import TP

from schemas.errors import Fatal
from streams.transport.batch import Assignment, Batch, Generation, Headers, TransactionalId
from streams.transport.errors import DeliveryFailed, client_error, error_of
from streams.transport.options import TransportOptions

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FULL_BUFFER_POLL_SECONDS = 0.01
# A commit waits at most for a flush and two answers.
_PATIENCE = 2

# What an abort reports for each record that it drops; not a failure.
_ABORTED = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})


class Output(ABC):
    """The worker's one producer. Handlers write through it inside `ours`, the transport commits.

    `lock` is held by whoever writes outputs and by the commit, so a commit sees whole batches only.
    """

    def __init__(self, options: TransportOptions, group: str) -> None:
        self._options = options
        self._group = group
        self.transactional_id = options.transactional_id(group)
        self._timeout = min(options.commit_timeout_seconds, options.transaction_timeout_seconds)
        self._producer: Producer | None = None
        self._writing = False
        self._failed: KafkaError | None = None
        self.lock = asyncio.Lock()
        self.uncommitted = 0

    def ours(self, holder: Batch | Assignment) -> Ours:
        """`async with output.ours(batch) as ours:` guards the handing-in of a batch.

        Waits for a running commit. If `ours` is True the partition is held and stays so to the end of the
        block: produce all outputs and change the state there; leaving the block finishes the batch. If it is
        False, leave at once: another worker has the partition, and what was computed is dropped. With an
        `Assignment` in place of a batch, outputs are written that belong to no new record. An exception in the
        block aborts everything since the last commit and must end the worker.
        """
        return Ours(self, holder)

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        partition: int = -1,
        headers: Headers | None = None,
        timestamp: int = 0,
    ) -> None:
        """Write one record; only inside `ours`. `timestamp` in ms (0: now), `partition` -1: by key (murmur2).

        Blocks briefly when the client's buffer is full. Raises `Fatal` outside `ours`, and where an operator must help.
        A failure that doing the work again can mend is not raised here: the next commit finds it and rewinds.
        """
        if (producer := self._producer_for(1)) is None:
            return
        # Arguments by name cost as much again as the call, so they are left out where they say nothing.
        named: dict[str, Any] = {}
        if timestamp:
            named["timestamp"] = timestamp
        if headers is not None:
            named["headers"] = headers
        self._produce(lambda: producer.produce(topic, value, key, partition, **named), producer, topic)

    def produce_many(self, records: Collection[tuple[str, bytes | None, bytes | None]], partition: int) -> None:
        """Write records without headers, each as (topic, key, value), to that partition of their topics.

        As `produce` for each of them in turn, with less to pay for each.
        """
        if (producer := self._producer_for(len(records))) is None:
            return
        produce = producer.produce
        for topic, key, value in records:
            try:
                produce(topic, value, key, partition)
            except (BufferError, KafkaException):
                # For bytes of a known partition only these are raised, and nothing was taken.
                self._produce(partial(produce, topic, value, key, partition), producer, topic)
                if self._failed is not None:
                    return

    def _producer_for(self, records: int) -> Producer | None:
        """The producer, in a transaction; None without records, or where writing is of no use until the next commit."""
        if not self._writing:
            raise Fatal("Output.produce was called outside `async with output.ours(batch)`: move the call there.")
        if records == 0 or self._failed is not None:
            return None
        producer = self._open_producer()
        if self.uncommitted == 0:
            self._begin(producer)
        self.uncommitted += records
        return producer

    def _produce(self, produce: Callable[[], None], producer: Producer, topic: str) -> None:
        while True:
            try:
                produce()
            except BufferError:
                self._serve(lambda: producer.poll(_FULL_BUFFER_POLL_SECONDS), f"writing to {topic}")
                if self._failed is not None:
                    return
            except KafkaException as exc:
                self._fail(exc, f"writing to {topic}")
                return
            else:
                return

    @property
    def is_open(self) -> bool:
        """Whether there is a producer; none is where the last one was left behind or could not be replaced."""
        return self._producer is not None

    async def start(self) -> None:
        """Connect; ends what a predecessor with the same transactional id left open."""
        await uncancelled(self._connect)

    async def commit(self, positions: Mapping[TP, int], generation: Generation) -> None:
        """Make outputs durable and the positions committed; the caller holds `lock`.

        Raises `FencedByGroup` if the group has moved on, `DeliveryFailed` if all must be done again from the
        committed positions, `Fatal` if neither can help.
        """
        producer = self._open_producer()
        try:
            await uncancelled(lambda: self._commit(producer, positions, generation), _PATIENCE * self._timeout)
        except TimeoutError as exc:
            # librdkafka may wait for ever for a coordinator that went away; its producer is left behind, and the
            # next one fences it before the committed offsets are read.
            self._producer = None
            raise DeliveryFailed(
                f"A commit did not come back within {_PATIENCE * self._timeout:g} s: did the brokers restart?"
            ) from exc
        self.uncommitted = 0

    async def discard(self) -> None:
        """Abort what is not committed, with a fresh producer if need be; the caller holds `lock`."""
        if self._producer is not None and self._failed is None and (self.uncommitted == 0 or await self._aborted()):
            self.uncommitted = 0
            return
        await uncancelled(self._disconnect)
        await uncancelled(self._connect)
        self.uncommitted = 0
        self._failed = None

    async def stop(self) -> None:
        """Let go of the client; what is not committed is aborted."""
        await uncancelled(self._disconnect)

    def _open_producer(self) -> Producer:
        if self._producer is None:
            raise Fatal("The output was used before the worker started or after it stopped.")
        return self._producer

    def _fail(self, exc: KafkaException, doing: str) -> None:
        """Remember what the commit will fail with; raise what no repetition can mend."""
        error = client_error(exc, doing)
        if isinstance(error, Fatal):
            raise error from exc
        logger.warning("%s", error)
        self._failed = exc.args[0]

    def _flush(self, producer: Producer) -> None:
        left = 0
        if self._failed is None:
            left = self._serve(lambda: producer.flush(self._timeout), "delivering outputs")
        if self._failed is not None:
            raise error_of(self._failed, "delivering outputs")
        if left:
            raise DeliveryFailed(f"{left} outputs were not delivered within {self._timeout:g} s: are brokers down?")

    def _serve(self, call: Callable[[], int], doing: str) -> int:
        """Run a call of the client that reports deliveries; what it raises is remembered as by `_fail`."""
        try:
            return call()
        except KafkaException as exc:
            self._fail(exc, doing)
        except SystemError as exc:
            # A fatal error (another producer has the id) is pending in the client while it goes on reporting
            # deliveries to us: then every call in the callback seems to have failed.
            if not isinstance(exc.__cause__, KafkaException):
                raise
            self._fail(exc.__cause__, doing)
        return 0

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None and error.code() not in _ABORTED:
            self._failed = error

    def _disconnect(self) -> None:
        if self._producer is not None:
            # Not flushed: what matters is committed, and a fenced producer would only raise.
            self._producer.purge()
            self._producer = None

    @abstractmethod
    def _connect(self) -> None: ...

    @abstractmethod
    def _begin(self, producer: Producer) -> None: ...

    @abstractmethod
    def _commit(self, producer: Producer, positions: Mapping[TP, int], generation: Generation) -> None: ...

    @abstractmethod
    async def _aborted(self) -> bool:
        """Whether all that is not committed was withdrawn; else it goes with the client."""


class Ours:
    """The guard that `Output.ours` returns."""

    __slots__ = ("_generation", "_held", "_holder", "_output")

    def __init__(self, output: Output, holder: Batch | Assignment) -> None:
        self._output = output
        self._holder = holder
        self._generation = holder.generation
        self._held = False

    async def __aenter__(self) -> bool:
        await self._output.lock.acquire()
        self._held = self._output._writing = self._generation.alive
        return self._held

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output._writing = False
        if self._held:
            if exc is not None:
                self._generation.alive = False
            elif isinstance(self._holder, Batch):
                self._holder.finished = True
        self._output.lock.release()


class TransactionalOutput(Output):
    """One transaction an interval for all partitions, with the consumed offsets in it (exactly once)."""

    def _connect(self) -> None:
        self._producer = transactional_producer(self._options, self.transactional_id, self._on_delivery)

    def _begin(self, producer: Producer) -> None:
        try:
            producer.begin_transaction()
        except KafkaException as exc:
            self._fail(exc, "beginning a transaction")

    def _commit(self, producer: Producer, positions: Mapping[TP, int], generation: Generation) -> None:
        # The transactional id travels as the offset's metadata: a successor that finds the offset pending
        # knows by it whose transaction to end.
        offsets = [TopicPartition(*tp, offset, self.transactional_id) for tp, offset in positions.items()]
        if self.uncommitted == 0:
            self._begin(producer)
            self.uncommitted = 1
        self._flush(producer)
        try:
            producer.send_offsets_to_transaction(offsets, generation.group_metadata, self._timeout)
            producer.commit_transaction(self._timeout)
        except KafkaException as exc:
            raise client_error(exc, "committing a transaction") from exc

    async def _aborted(self) -> bool:
        producer = self._open_producer()
        try:
            await uncancelled(lambda: producer.abort_transaction(self._timeout), _PATIENCE * self._timeout)
        except KafkaException as exc:
            logger.warning("%s", client_error(exc, "aborting a transaction"))
            return False
        except TimeoutError:
            logger.warning("Aborting a transaction did not come back within %g s", _PATIENCE * self._timeout)
            self._producer = None
            return False
        return True


class FlushedOutput(Output):
    """Outputs acknowledged by the brokers before the offsets are committed (at least once)."""

    def __init__(
        self, options: TransportOptions, group: str, commit_offsets: Callable[[Mapping[TP, int]], None]
    ) -> None:
        super().__init__(options, group)
        self._commit_offsets = commit_offsets

    def _connect(self) -> None:
        config = {**self._options.producer_config(), "on_delivery": self._on_delivery}
        self._producer = Producer(config)

    def _begin(self, producer: Producer) -> None:
        """Nothing to begin."""

    def _commit(self, producer: Producer, positions: Mapping[TP, int], generation: Generation) -> None:
        self._flush(producer)
        self._commit_offsets(positions)

    async def _aborted(self) -> bool:
        """What is written stays written. What is not must not be later: it would stand behind what an heir writes."""
        return False


def transactional_producer(
    options: TransportOptions,
    transactional_id: TransactionalId,
    on_delivery: Callable[[KafkaError | None, Message], None],
) -> Producer:
    """A connected producer; whatever the id had open is aborted, and its former user is fenced."""
    producer = Producer({**options.transactional_config(transactional_id), "on_delivery": on_delivery})
    try:
        producer.init_transactions(options.client_timeout_seconds * 2)
    except KafkaException as exc:
        raise client_error(exc, f"taking over the transactional id {transactional_id}") from exc
    return producer


async def uncancelled(call: Callable[[], T], deadline_seconds: float | None = None) -> T:
    """Run a blocking call in a thread of its own; a cancellation waits for its end, so that calls never overlap.

    Raises what the call raises, and `TimeoutError` when the deadline leaves it behind. The thread is a daemon: a
    call of the client library that never returns must not keep the process alive.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def answer(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(T, result))

    def run() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as exc:  # noqa: BLE001 - raised again in the caller
            error = exc
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(answer, result, error)

    threading.Thread(target=run, name="kafka-call", daemon=True).start()
    try:
        await asyncio.wait([future], timeout=deadline_seconds)
    except asyncio.CancelledError:
        await asyncio.wait([future], timeout=deadline_seconds)
        if future.done():
            future.exception()  # seen, so that the loop does not complain
        raise
    if not future.done():
        future.cancel()
        raise TimeoutError(f"the call did not return within {deadline_seconds} s")
    return future.result()

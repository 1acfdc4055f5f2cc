"""Runs one sink: consumes, decodes ahead, writes with positions, retries, refuses, and stops in order."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from threading import Event
from time import monotonic
from typing import Generic, TypeVar

from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from consumers.completeness import Completeness
from consumers.intake import Intake
from consumers.metrics import SinkMetrics
from consumers.rejections import RejectionWriter
from consumers.settings import SinkSettings
from consumers.sink import Batch, Partition, Reading, Refusal, Sink, place_of
from schemas.codec.topic import SchemaIds
from schemas.errors import InvalidMessage, PositionConflict, Transient

V = TypeVar("V")
T = TypeVar("T")
_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
_COLLECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Run:
    """Records to be written together, and the ends of those partitions of which they are the last."""

    messages: Sequence[Message]
    ends: Mapping[Partition, int]
    refused: Set[tuple[Partition, int]] = frozenset()
    """Those that are in the dead letters already."""

    def halves(self, refused: Iterable[Refusal]) -> tuple[_Run, _Run]:
        """The same in two, the earlier first, after these were refused."""
        middle = len(self.messages) // 2
        known = self.refused | {place_of(one.message) for one in refused}
        return _Run(self.messages[:middle], {}, known), _Run(self.messages[middle:], self.ends, known)


@dataclass(frozen=True, slots=True)
class _Flight(Generic[V]):
    """A batch that the writing thread has in hand."""

    run: _Run
    reading: Reading[V]
    batch: Batch[V]
    epoch: int
    written: Future[None]


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Decoded records hold no cycles; looking for some in each batch takes as long as decoding it.

    The cycles that clients leave behind are few and collected now and then, see `_collect`.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Interrupted(Exception):
    """The worker was told to stop, or lost its partitions, while it waited to try again."""


class SinkRunner(Generic[V]):
    """One worker of one sink; see `consumers.sink` for the commit order.

    Effects exactly once, whenever it is killed. `Transient` pauses and retries, an unreadable record goes to
    `orders.rejected`, any other exception leaves `run` with nothing committed.
    """

    def __init__(self, sink: Sink[V], settings: SinkSettings, schemas: SchemaIds, registry: CollectorRegistry) -> None:
        self._sink = sink
        self._settings = settings
        self._schemas = schemas
        self._metrics = SinkMetrics(sink.name, registry)
        self._stop = Event()
        self._intake: Intake | None = None
        self._rejections: RejectionWriter | None = None
        self._waiting = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{sink.name}-writer") if sink.reads_ahead else None
        self._flight: _Flight[V] | None = None
        self._collected_at = monotonic()

    def ready(self) -> bool:
        """Whether the destination is prepared, the partitions stand at their positions, and nothing is retried."""
        return self._intake is not None and self._intake.placed and not self._waiting

    @property
    def group(self) -> str:
        """Its consumer group."""
        return self._settings.group_id

    @property
    def topics(self) -> Sequence[str]:
        """The topics that it reads."""
        return self._sink.topics

    def positions(self) -> Mapping[tuple[str, int], int]:
        """What the destination holds of the partitions that it has now; may be asked in another thread."""
        intake = self._intake
        held = {} if intake is None or not intake.placed else dict(intake.positions)
        return {(topic, number): position for (topic, number), position in held.items() if position is not None}

    def has_settled(self) -> bool:
        """Whether it has its partitions, and nothing is retried."""
        return self.ready()

    def run(self, stop: Event) -> None:
        """Work until `stop` is set; then finish the batch in hand, leave the group and return.

        Raises:
            Fatal: going on would do harm; nothing of the batch in hand was committed.
        """
        self._stop = stop
        try:
            self._retry(self._sink.prepare, 0)
            self._rejections = self._retry(lambda: RejectionWriter(self._sink.name, self._settings, self._schemas), 0)
            self._intake = Intake(self._settings, self._sink.topics)
            self._intake.before_leaving = self._await_flight
            with _collector_paused():
                self._consume(self._intake)
        except _Interrupted:
            _log.info("%s: stopped while waiting for its environment; nothing was committed", self._sink.name)
        finally:
            self._close()

    def _consume(self, intake: Intake) -> None:
        completeness = Completeness(intake, self._metrics)
        while not self._stop.is_set():
            try:
                if intake.unplaced is not None:
                    self._land(intake, completeness)
                    self._place(intake, intake.unplaced)
                messages = intake.poll(_POLL_SECONDS)
                run = _Run(messages, dict(intake.ends))
                reading = self._read(run) if messages and self._writer is not None else None
                self._land(intake, completeness)
                if reading is not None:
                    self._launch(intake, run, reading)
                elif messages:
                    self._deliver(intake, run)
                    completeness.handled(messages)
            except PositionConflict as exc:
                _log.warning("%s; the positions are read again", exc)
                intake.displace()
            except _Interrupted:
                _log.info(
                    "%s: stopped or without its partitions while a batch waited; the batch is dropped", self._sink.name
                )
            completeness.report()
            self._collect()
        self._finish(intake, completeness)

    def _finish(self, intake: Intake, completeness: Completeness) -> None:
        try:
            self._land(intake, completeness)
        except PositionConflict as exc:
            _log.warning("%s; another worker goes on", exc)

    def _place(self, intake: Intake, partitions: Sequence[Partition]) -> None:
        found = self._retry(lambda: self._sink.positions(partitions), 0)
        intake.place(found)
        _log.info("%s: %d partitions, %d with a position", self._sink.name, len(partitions), len(found))

    def _read(self, run: _Run) -> Reading[V]:
        return self._retry(lambda: self._sink.read(run.messages), len(run.messages))

    def _launch(self, intake: Intake, run: _Run, reading: Reading[V]) -> None:
        """Let the writing thread begin with a batch, while the next one is read."""
        assert self._writer is not None
        batch = self._batch(intake, run, reading)
        self._flight = _Flight(run, reading, batch, intake.epoch, self._writer.submit(self._sink.write, batch))

    def _land(self, intake: Intake, completeness: Completeness) -> None:
        """Wait for the batch that is being written; where it failed, go on with it here."""
        flight, self._flight = self._flight, None
        if flight is None:
            return
        if flight.epoch != intake.epoch:
            self._drop(flight)
            return
        # The thread's attempt is the first; those after it are made here, where the membership is kept meanwhile.
        attempts = chain([flight.written.result], repeat(lambda: self._sink.write(flight.batch)))
        self._settle(intake, flight.run, flight.reading, flight.batch, lambda: next(attempts)())
        completeness.handled(flight.run.messages)

    def _drop(self, flight: _Flight[V]) -> None:
        """The partitions are gone: what was not written is the next owner's, who reads the positions."""
        try:
            flight.written.result()
        except (Transient, PositionConflict, InvalidMessage) as exc:
            _log.info("%s: the partitions went while a batch failed, which the next owner writes: %s", self.group, exc)
        else:
            self._count(flight.run, flight.reading)

    def _await_flight(self) -> None:
        if self._flight is not None:
            wait([self._flight.written])

    def _deliver(self, intake: Intake, run: _Run) -> None:
        reading = self._read(run)
        batch = self._batch(intake, run, reading)
        self._settle(intake, run, reading, batch, lambda: self._sink.write(batch))

    def _batch(self, intake: Intake, run: _Run, reading: Reading[V]) -> Batch[V]:
        """What is to be written, once what is refused is in the dead letters."""
        self._refuse([one for one in reading.refused if place_of(one.message) not in run.refused])
        return Batch(reading.values, intake.advances(run.messages, run.ends), intake.group())

    def _settle(
        self, intake: Intake, run: _Run, reading: Reading[V], batch: Batch[V], write: Callable[[], None]
    ) -> None:
        try:
            self._retry(write, len(run.messages))
        except InvalidMessage as exc:
            self._isolate(intake, run, reading.refused, exc)
            return
        intake.advanced(batch.advances, tell_group=not self._sink.commits_group_offsets)
        self._count(run, reading)

    def _count(self, run: _Run, reading: Reading[V]) -> None:
        self._metrics.wrote(len(run.messages) - len(reading.refused), reading.committed_at)

    def _collect(self) -> None:
        if monotonic() - self._collected_at > _COLLECT_SECONDS:
            gc.collect()
            self._collected_at = monotonic()

    def _isolate(self, intake: Intake, run: _Run, refused: Sequence[Refusal], error: InvalidMessage) -> None:
        """Find the record that the destination refuses by halving; the others are written in their order."""
        if len(run.messages) > 1:
            for half in run.halves(refused):
                self._deliver(intake, half)
            return
        self._refuse([Refusal(run.messages[0], error)])
        past: Batch[V] = Batch([], intake.advances(run.messages, run.ends), intake.group())
        self._retry(lambda: self._sink.write(past), 1)
        intake.advanced(past.advances, tell_group=not self._sink.commits_group_offsets)

    def _refuse(self, refused: Sequence[Refusal]) -> None:
        if refused:
            assert self._rejections is not None
            writer = self._rejections
            self._retry(lambda: writer.write(refused), len(refused))
            self._metrics.refused(refused)

    def _retry(self, attempt: Callable[[], T], records: int) -> T:
        """The result of `attempt`, tried until it meets no `Transient`; the group membership is kept meanwhile."""
        pause_seconds = 0.0
        while True:
            try:
                result = attempt()
            except Transient as exc:
                pause_seconds = min(max(pause_seconds * 2, exc.retry_after_seconds), self._settings.retry_limit_seconds)
                _log.warning("%s: %s; trying again in %.1f s", self._sink.name, exc, pause_seconds)
                self._metrics.retried(records)
                self._waiting = True
                self._wait(pause_seconds)
            else:
                self._waiting = False
                return result

    def _wait(self, seconds: float) -> None:
        if self._intake is None:
            self._stop.wait(seconds)
        else:
            epoch = self._intake.epoch
            self._intake.keep_alive(seconds, self._stop)
            if epoch != self._intake.epoch:
                self._waiting = False
                raise _Interrupted
        if self._stop.is_set():
            raise _Interrupted

    def _close(self) -> None:
        intake, self._intake = self._intake, None
        try:
            if self._writer is not None:
                self._writer.shutdown()
            if intake is not None:
                intake.close()
        finally:
            self._sink.close()

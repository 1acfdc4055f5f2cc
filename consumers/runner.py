"""Runs one sink: consumes, decodes, writes with positions, retries, refuses, and stops in order."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Generic, TypeVar

from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from consumers.intake import Intake
from consumers.lag import LagReporter
from consumers.metrics import SinkMetrics
from consumers.rejections import RejectionWriter
from consumers.settings import SinkSettings
from consumers.sink import Batch, Partition, Refusal, Sink, place_of
from schemas.codec.topic import SchemaIds
from schemas.errors import InvalidMessage, PositionConflict, Transient

V = TypeVar("V")
T = TypeVar("T")
_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2


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


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Decoded records hold no cycles; looking for some in each batch takes as long as decoding it."""
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
        self._metrics = SinkMetrics(sink.name, settings.group_id, registry)
        self._stop = Event()
        self._intake: Intake | None = None
        self._rejections: RejectionWriter | None = None
        self._waiting = False

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
            self._consume(self._intake)
        except _Interrupted:
            _log.info("%s: stopped while waiting for its environment; nothing was committed", self._sink.name)
        finally:
            self._close()

    def _consume(self, intake: Intake) -> None:
        lag = LagReporter(intake, self._metrics)
        while not self._stop.is_set():
            try:
                if intake.unplaced is not None:
                    self._place(intake, intake.unplaced)
                messages = intake.poll(_POLL_SECONDS)
                if messages:
                    with _collector_paused():
                        self._deliver(intake, _Run(messages, dict(intake.ends)))
                    lag.handled(messages)
            except PositionConflict as exc:
                _log.warning("%s; the positions are read again", exc)
                intake.displace()
            except _Interrupted:
                _log.info(
                    "%s: stopped or without its partitions while a batch waited; the batch is dropped", self._sink.name
                )
            lag.report()

    def _place(self, intake: Intake, partitions: Sequence[Partition]) -> None:
        found = self._retry(lambda: self._sink.positions(partitions), 0)
        intake.place(found)
        _log.info("%s: %d partitions, %d with a position", self._sink.name, len(partitions), len(found))

    def _deliver(self, intake: Intake, run: _Run) -> None:
        reading = self._retry(lambda: self._sink.read(run.messages), len(run.messages))
        self._refuse([one for one in reading.refused if place_of(one.message) not in run.refused])
        batch = Batch(reading.values, intake.advances(run.messages, run.ends), intake.group())
        try:
            self._retry(lambda: self._sink.write(batch), len(run.messages))
        except InvalidMessage as exc:
            self._isolate(intake, run, reading.refused, exc)
            return
        intake.advanced(batch.advances, tell_group=not self._sink.commits_group_offsets)
        self._metrics.wrote(len(run.messages) - len(reading.refused), reading.committed_at)

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
            if intake is not None:
                intake.close()
        finally:
            self._sink.close()

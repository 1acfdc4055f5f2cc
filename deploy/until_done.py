"""Lets a worker run only while there is something to do: all that was on its topics when it started."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol, TypeVar, runtime_checkable

from consumers.group_offsets import GroupOffsets
from deploy.record_reading import RecordReader
from schemas.errors import Transient
from schemas.settings import KafkaSettings

_log = logging.getLogger(__name__)

_CHECK_SECONDS = 0.1
_TOLD_SECONDS = 5.0

T = TypeVar("T")

Place = tuple[str, int]
"""Topic and partition."""


@runtime_checkable
class Finishes(Protocol):
    """A worker that reads topics as a consumer group, so that it can be said when all is done."""

    @property
    def group(self) -> str:
        """Its consumer group."""
        ...

    @property
    def topics(self) -> Sequence[str]:
        """The topics that it reads, by their names on the cluster."""
        ...

    def positions(self) -> Mapping[Place, int]:
        """Next offset of each place that it holds, where its destination knows better than the group."""
        ...

    def has_settled(self) -> bool:
        """Whether nothing is under way that belongs to no record, such as orders that waited."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """What was there at the start: for each place the offset behind its last record."""

    ends: Mapping[Place, int]
    starts: Mapping[Place, int]

    @classmethod
    def of(cls, kafka: KafkaSettings, topics: Sequence[str], group: str) -> Work:
        """What the topics hold now, looked up in the name of a group that may read them.

        Raises:
            ConfigurationError: one does not exist.
            Transient: the brokers do not answer.
        """
        ends: dict[Place, int] = {}
        starts: dict[Place, int] = {}
        with RecordReader(kafka, group=group) as reader:
            for topic in topics:
                spans = reader.spans(topic)
                starts |= {(span.topic, span.partition): span.start for span in spans}
                ends |= {place: last + 1 for place, last in reader.last_records(spans).items()}
        return cls(ends, starts)

    def left(self, reached: Mapping[Place, int]) -> int:
        """How many offsets lie between what was reached and the ends."""
        return sum(max(0, end - reached.get(place, self.starts[place])) for place, end in self.ends.items())


@dataclass(slots=True)
class Watch:
    """What the watching thread has found."""

    is_done: bool = False
    left: int | None = None
    failure: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def until_done(worker: Finishes, kafka: KafkaSettings, stop: threading.Event) -> Iterator[None]:
    """Set `stop` when the group has committed all that is there now; the worker runs inside this context.

    Several workers of one group share the work, and each ends when all of it is done.

    Raises:
        Transient: the worker was stopped before; what is left comes with the next run.
        OrdersyncError: it cannot be said what is to be done.
    """
    watch = Watch()
    thread = threading.Thread(target=_watch, args=(worker, kafka, stop, watch), name="until-done", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.ended.set()
        thread.join()
    if watch.failure is not None:
        raise watch.failure
    if not watch.is_done:
        left = "work" if watch.left is None else f"{watch.left:,} offsets"
        raise Transient(f"stopped with {left} left to do; run it again to go on where it stopped")


def _watch(worker: Finishes, kafka: KafkaSettings, stop: threading.Event, watch: Watch) -> None:
    try:
        _wait_done(worker, kafka, stop, watch)
    except BaseException as exc:  # noqa: BLE001 - raised again where the worker was started
        watch.failure = exc
        stop.set()


def _wait_done(worker: Finishes, kafka: KafkaSettings, stop: threading.Event, watch: Watch) -> None:
    work = _patiently(lambda: Work.of(kafka, worker.topics, worker.group), watch)
    if work is None:
        return
    offsets, told = GroupOffsets(kafka), monotonic()
    total: int | None = None
    while not watch.ended.wait(_CHECK_SECONDS):
        reached = _patiently(lambda: _reached(worker, offsets, work), watch)
        if reached is None:
            return
        watch.left = work.left(reached)
        if total is None:
            total = watch.left
            _log.info("%d offsets to do", total)
        if watch.left == 0 and worker.has_settled():
            _log.info("done: %d offsets", total)
            watch.is_done = True
            stop.set()
            return
        if monotonic() - told > _TOLD_SECONDS:
            told = monotonic()
            _log.info("%d of %d offsets are left", watch.left, total)


def _reached(worker: Finishes, offsets: GroupOffsets, work: Work) -> Mapping[Place, int]:
    reached = dict(offsets.committed([worker.group], work.ends)[worker.group])
    for place, position in worker.positions().items():
        reached[place] = max(position, reached.get(place, 0))
    return reached


def _patiently(ask: Callable[[], T], watch: Watch) -> T | None:
    """The brokers' answer, once they give it; None where the worker ends before."""
    while not watch.ended.is_set():
        try:
            return ask()
        except Transient as exc:
            _log.warning("%s; asking again", exc)
            watch.ended.wait(exc.retry_after_seconds)
    return None

"""Reads the whole source in one exported snapshot: chunks of trees side by side, each stated as soon as it is kept.

The slot is created first, and with it the snapshot that its first position continues. Chunks are applied in the order
of their keys, and each becomes durable together with the job that says where to go on, once Kafka has its events. If
the worker dies, the snapshot is gone with it; then the rest is read while changes stream, by watermarks (`rereading`),
from the chunk where it stopped.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from marshal import dumps, loads
from typing import Final

from producers.cdc.aggregates import Assembly
from producers.cdc.assembly_state import AssemblyState, SealedState, Standing
from producers.cdc.changes import Position
from producers.cdc.jobs import Jobs, Stage
from producers.cdc.outlet import Outlet
from producers.cdc.portions import KeyRange, Orphans, Reading
from producers.cdc.postgres.subtrees import SubtreeReader
from producers.cdc.progress import Progress
from producers.cdc.records import Moment
from producers.cdc.replacement import Replacement
from producers.cdc.tables import TablePlan, TablePlans

UNSAID: Final = b"unsaid/"
"""Begins the names of notes with the roots of a chunk whose events Kafka does not have yet."""
_AHEAD: Final = 2
"""Chunks that each reader may be ahead of the one that is applied."""

_log = logging.getLogger(__name__)


class Interrupted(Exception):
    """The worker is told to stop while the snapshot is not complete."""


class _Chunk:
    """What became durable together; `outstanding` of its events have no answer of Kafka yet."""

    __slots__ = ("outstanding", "sealed")

    def __init__(self) -> None:
        self.outstanding = 0
        self.sealed: SealedState | None = None


def say_again(state: AssemblyState, standing: Standing, outlet: Outlet) -> None:
    """State again, with the same ids, what an interrupted snapshot had kept, but perhaps not said.

    Called before anything is streamed into the state, so that it is the same still. Raises as `Publisher.flush` does.
    """
    names = list(state.notes(UNSAID))
    for name in names:
        chunk = _Chunk()
        outcomes = outlet.facts.of_transaction(loads(state.note(name) or dumps([])))
        chunk.outstanding = len(outcomes)
        outlet.publish(outcomes, _moment(standing), int(name.removeprefix(UNSAID)), outlet.answered(chunk))
    outlet.publisher.flush()
    for name in names:
        state.put_note(name, None)


def _moment(standing: Standing) -> Moment:
    """Commits that follow may stand exactly at the slot's first position; the snapshot stands before them."""
    now = datetime.now(UTC)
    return Moment(0, Position(standing.position - 1), now, now, is_snapshot=True)


class Snapshot:
    """One reading of everything, into a state that holds the job for it. Used by the capture, one thread."""

    def __init__(
        self,
        plans: TablePlans,
        state: AssemblyState,
        outlet: Outlet,
        standing: Standing,
        readers: list[SubtreeReader],
        stop: threading.Event,
        *,
        chunk_roots: int,
    ) -> None:
        self._plans = plans
        self._state = state
        self._outlet = outlet
        self._standing = standing
        self._planner, *workers = readers
        self._free: queue.SimpleQueue[SubtreeReader] = queue.SimpleQueue()
        for reader in workers:
            self._free.put(reader)
        self._threads = ThreadPoolExecutor(len(workers), thread_name_prefix="snapshot")
        self._ahead = _AHEAD * len(workers)
        self._stop = stop
        self._chunk_roots = chunk_roots
        self._replacement = Replacement(Assembly(plans, state), state)
        self._jobs = Jobs(state)
        self._waiting: deque[_Chunk] = deque()
        self._moment = _moment(standing)
        self._sequence = 0

    def run(self) -> None:
        """Work off the first job, which is to read everything; gives the readers back to nobody.

        Raises:
            Interrupted: the worker is told to stop; what is durable stays.
            Transient: database or Kafka are away; the rest is read while changes stream.
        """
        job = self._jobs.current
        assert job is not None
        try:
            while job.trees:
                self._tree(self._plans.by_alias[job.tree])
                self._jobs.finish_tree()
            self._outlet.publisher.flush()
            self._seal(_Chunk())
            self._write_delivered()
        finally:
            self._threads.shutdown(wait=True, cancel_futures=True)
        _log.info("snapshot complete: %d events", self._sequence)

    def _tree(self, top: TablePlan) -> None:
        job = self._jobs.current
        assert job is not None
        progress = Progress(f"snapshot of {top.alias}", job.expected_roots or None)
        roots = rows = 0
        for reading in self._readings(top, KeyRange(), self._chunk_roots):
            roots += self._state_all(top, reading)
            rows += reading.row_count
            job.cursor = None if reading.last_key is None else [value.decode() for value in reading.last_key]
            if reading.last_key is None:
                job.stage = Stage.ORPHANS
                job.table = top.subtree[1].alias if top.children else None
            self._keep()
            progress.report(roots, rows)
        for plan in top.subtree[1:]:
            for reading in self._readings(plan, Orphans(), self._chunk_roots):
                self._replacement.apply(plan, reading, ())
                rows += reading.row_count
                self._keep()
        progress.done(roots, rows)

    def _state_all(self, top: TablePlan, reading: Reading) -> int:
        found = self._replacement.fill(top, reading)
        outcomes = self._outlet.facts.of_transaction(found)
        # What will stand on the topics is kept before it does, so that no later reading can overlook it; that it was
        # said is kept with the job, once Kafka has it.
        unsaid = UNSAID + str(self._sequence).encode()
        self._state.put_note(unsaid, dumps(found))
        self._state.write(self._state.seal(self._standing))
        self._state.put_note(unsaid, None)
        chunk = _Chunk()
        self._waiting.append(chunk)
        chunk.outstanding = len(outcomes)
        self._outlet.publish(outcomes, self._moment, self._sequence, self._outlet.answered(chunk))
        self._outlet.metrics.reread(reading.row_count)
        self._sequence += len(outcomes)
        return len(found)

    def _keep(self) -> None:
        self._jobs.save()
        self._seal(self._waiting.pop() if self._waiting and self._waiting[-1].sealed is None else _Chunk())
        self._outlet.publisher.poll()
        self._write_delivered()
        if self._stop.is_set():
            raise Interrupted

    def _seal(self, chunk: _Chunk) -> None:
        chunk.sealed = self._state.seal(self._standing)
        self._waiting.append(chunk)

    def _write_delivered(self) -> None:
        while self._waiting and self._waiting[0].outstanding == 0:
            sealed = self._waiting.popleft().sealed
            assert sealed is not None
            self._state.write(sealed, durable=not self._waiting)

    def _readings(self, top: TablePlan, whole: KeyRange | Orphans, count: int) -> Iterator[Reading]:
        """The portion in chunks, in the order of its keys; several are read at once."""
        running: deque[Future[Reading]] = deque()
        for portion in self._portions(top, whole, count):
            running.append(self._threads.submit(self._read, top, portion))
            if len(running) >= self._ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    def _portions(self, top: TablePlan, whole: KeyRange | Orphans, count: int) -> Iterator[KeyRange | Orphans]:
        after = None
        while True:
            begin = type(whole)(after=after)
            up_to = self._planner.next_key(top, begin, count)
            yield type(whole)(after=after, up_to=up_to)
            if up_to is None:
                return
            after = up_to

    def _read(self, top: TablePlan, portion: KeyRange | Orphans) -> Reading:
        """In one of the threads."""
        reader = self._free.get()
        try:
            return reader.rows(top, portion)._replace(last_key=portion.up_to)
        finally:
            self._free.put(reader)

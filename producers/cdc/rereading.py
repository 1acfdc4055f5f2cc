"""Reads parts of the source again while its changes go on streaming, by watermarks in the source's log.

A portion is read at one moment by another thread, which then writes a watermark into the log. When the watermark comes
by in the stream, every transaction that the reading saw has been applied, and some that it did not see: the trees that
these touched are left as the stream made them and are read once more; all others are set to what was read.

Source: "DBLog: A Watermark Based Change-Data-Capture Framework" (Andreakis, Papapanagiotou), with the snapshot's own
list of transactions in the low watermark's place: it tells exactly what a reading saw, also where a transaction is in
the log before it can be seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, Protocol
from uuid import uuid4

from producers.cdc.aggregates import Assembly, NodeId
from producers.cdc.answers import note_finished
from producers.cdc.assembly_state import AssemblyState
from producers.cdc.changes import Marker, Position
from producers.cdc.claims import Claims
from producers.cdc.facts import Withdrawn
from producers.cdc.history import History
from producers.cdc.jobs import Cause, Job, Jobs, KeyText, Stage
from producers.cdc.marks import MARK, SLICE
from producers.cdc.metrics import CaptureMetrics
from producers.cdc.portions import KeyRange, Keys, Orphans, Portion, Reading
from producers.cdc.progress import Progress
from producers.cdc.replacement import Replaced, Replacement
from producers.cdc.rootless import Rootless
from producers.cdc.tables import KeyValues, TablePlan, TablePlans

WATERMARK: Final = "ordersync.watermark"

_log = logging.getLogger(__name__)


class PortionReader(Protocol):
    """A connection of its own to the source."""

    def read(self, top: TablePlan, portion: Portion, count: int) -> Reading:
        """The next `count` rows of the top table in the portion, and all below, at one moment."""
        ...

    def mark(self, prefix: str, token: str) -> None:
        """Write a message into the source's log."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(slots=True)
class _Window:
    """A portion on its way: read, then waiting for its watermark."""

    token: str
    job: Job
    top: TablePlan
    reading: Future[Reading | None]


class Found(NamedTuple):
    """What is to be said where a watermark stands: roots to state, and claims of the topics that nothing upholds."""

    roots: list[NodeId]
    withdrawn: list[Withdrawn]
    position: Position


class Rereading:
    """Works off the jobs of one state; called by the streaming, in its thread."""

    def __init__(
        self,
        plans: TablePlans,
        state: AssemblyState,
        assembly: Assembly,
        metrics: CaptureMetrics,
        open_reader: Callable[[], PortionReader],
        *,
        chunk_roots: int,
    ) -> None:
        self.jobs = Jobs(state)
        self._plans = plans
        self._state = state
        self._metrics = metrics
        self._open_reader = open_reader
        self._chunk_roots = chunk_roots
        self._replacement = Replacement(assembly, state)
        self._assembly = assembly
        self._reader: PortionReader | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rereading")
        self._window: _Window | None = None
        self._history = History()
        self._rest: dict[NodeId, None] = {}
        self._rootless: Rootless | None = None
        self._owed: set[NodeId] = set()
        self._kept: Iterator[NodeId] | None = None
        self._listed = False
        self._marks: Iterator[bytes] | None = None
        self._progress: Progress | None = None
        self._claimed: Claims | None = None
        self._gated: dict[bytes, TablePlan] = {}
        self.changed()

    def close(self) -> None:
        """Give up what is on its way; the jobs stay."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._reader is not None:
            self._reader.close()

    @property
    def active(self) -> bool:
        """Whether there is a job."""
        return self.jobs.current is not None

    def changed(self) -> None:
        """The jobs were changed from outside: look at their gates anew."""
        trees = self.jobs.gated_trees()
        current = self.jobs.current
        open_tree = current.tree if current is not None and current.stage is Stage.TIDY else None
        gated = [self._plans.by_alias[alias] for alias in trees if alias != open_tree]
        self._gated = {plan.prefix: plan for plan in gated}
        self._assembly.tolerated = frozenset(below.number for plan in gated for below in plan.subtree)
        self._owed = set()
        if current is not None and current.tree in trees:
            top = self._plans.by_alias[current.tree]
            self._owed = {top.prefix + top.key_of([value.encode() for value in key]) for key in current.again}

    def passing(self, transaction_id: int, touched: list[NodeId]) -> list[NodeId]:
        """Those roots that a transaction touched of which something may be said now."""
        if self._claimed is not None:
            self._claimed.touched(touched)
        met, relinked = self._assembly.take_met()
        self._history.note(transaction_id, touched, met, is_reading=self._window is not None)
        if not self._gated:
            return touched
        self._owe(relinked)
        return [root for root in touched if root[:2] not in self._gated or self._passes(root)]

    def _owe(self, roots: list[NodeId]) -> None:
        """What came below these roots as a whole is not known to be as it is in the source: they are read once more."""
        job = self.jobs.current
        if job is None or not job.gated:
            return
        top = self._plans.by_alias[job.tree]
        owed = [root for root in roots if root[:2] == top.prefix and root not in self._owed]
        for root in owed:
            self._state.put_note(MARK + root, None)
            self._owed.add(root)
            job.again.append(_text(top.key_values(root[2:])))
        if owed:
            self.jobs.save()

    def step(self, nudge: Callable[[], None]) -> None:
        """Begin what is next. `nudge` has notes that were changed sealed although nothing streamed.

        Raises Transient if the source is away.
        """
        window = self._window
        if window is not None:
            if window.reading.done() and (error := window.reading.exception()) is not None:
                raise error
            return
        job = self.jobs.current
        if job is not None and (wanted := self._wanted(job, nudge)) is not None:
            top, portion = wanted
            token = uuid4().hex
            self._window = _Window(token, job, top, self._thread.submit(self._read, top, portion, token))

    def marked(self, marker: Marker) -> Found | None:
        """A marker came by. If it is the watermark of a reading: what is to be said in its place."""
        window = self._window
        if window is None or marker.prefix != WATERMARK or marker.content != window.token.encode():
            return None
        self._window = None
        reading = window.reading.result()
        if reading is None:
            return Found([], self._unclaimed(window.job), marker.position)
        unseen = self._history.unseen(reading.view)
        self._history.forget()
        if self.jobs.current is not window.job:
            return None
        replaced = self._replacement.apply(window.top, reading, unseen)
        self._note_reading(window.job, reading, replaced)
        roots = replaced.roots if window.top.parent is None else []
        return Found(roots, [], marker.position)

    def _read(self, top: TablePlan, portion: Portion, token: str) -> Reading:
        """In the other thread; the watermark is written last, so that whoever meets it finds the reading done."""
        if self._reader is None:
            self._reader = self._open_reader()
        reading = self._reader.read(top, portion, self._chunk_roots)
        self._reader.mark(WATERMARK, token)
        return reading

    def _wanted(self, job: Job, nudge: Callable[[], None]) -> tuple[TablePlan, Portion] | None:
        """What to read next; None where only notes were changed."""
        top = self._plans.by_alias[job.tree]
        if job.cause is Cause.CLAIMS:
            self._compare_claims(job, nudge)
            return None
        self._begin_progress(job, top)
        if job.again:
            return top, _keys(job.again[: self._chunk_roots])
        if job.stage is Stage.RANGE:
            if job.whole or job.bounds:
                return top, KeyRange(after=_values(job.cursor), bounds=tuple(job.bounds))
            if job.keys:
                return top, _keys(job.keys[: self._chunk_roots])
            self._next_stage(job)
        elif job.stage is Stage.ORPHANS:
            if job.table is not None:
                return self._plans.by_alias[job.table], Orphans(after=_values(job.cursor))
            self._next_stage(job)
        elif job.stage is Stage.ROOTLESS:
            self._rootless = self._rootless or Rootless(top, self._state, self._replacement)
            if (rootless := self._rootless.some(self._chunk_roots)) is not None:
                plan, node_ids = rootless
                return plan, _keys([_text(plan.key_values(node_id[2:])) for node_id in node_ids])
            if self._rootless.listed:
                self._next_stage(job)
        elif job.stage is Stage.REST:
            if (rest := self._next_rest(top)) is not None:
                return (top, _keys([_text(top.key_values(root[2:])) for root in rest])) if rest else None
            self._next_stage(job)
        elif not self._tidied(top):
            self._finish(job)
        nudge()
        return None

    def _compare_claims(self, job: Job, nudge: Callable[[], None]) -> None:
        """Some roots more; after the last of all trees a watermark, which tells what happened meanwhile."""
        if self._claimed is None:
            self._claimed = Claims(self._plans, self._state)
        if not self._claimed.compared():
            nudge()
            return
        token = uuid4().hex
        top = self._plans.by_alias[job.tree]
        self._window = _Window(token, job, top, self._thread.submit(self._only_mark, token))

    def _only_mark(self, token: str) -> None:
        if self._reader is None:
            self._reader = self._open_reader()
        self._reader.mark(WATERMARK, token)

    def _unclaimed(self, job: Job) -> list[Withdrawn]:
        assert self._claimed is not None
        withdrawn = self._claimed.left()
        self._claimed = None
        self.jobs.leave(list(job.trees))
        if withdrawn:
            _log.warning("%d records stood on the topics that the source no longer has: withdrawn", len(withdrawn))
        return withdrawn

    def _note_reading(self, job: Job, reading: Reading, replaced: Replaced) -> None:
        top = self._plans.by_alias[job.tree]
        portion = reading.portion
        if (
            job.stage is Stage.ROOTLESS
            and isinstance(portion, Keys)
            and not any(root[:2] == top.prefix for root in (*replaced.roots, *replaced.spared))
        ):
            if self._rootless is not None:
                self._rootless.settled(replaced.roots)
            job.rows += reading.row_count
            self._metrics.reread(reading.row_count)
            self.jobs.save()
            return
        for root in replaced.roots:
            self._rest.pop(root, None)
            self._owed.discard(root)
            if job.whole:
                self._state.put_note(MARK + root, b"")
        if isinstance(portion, Keys):
            asked = {tuple(_text(key)) for key in portion.keys}
            job.again = [key for key in job.again if tuple(key) not in asked]
            job.keys = [key for key in job.keys if tuple(key) not in asked]
        job.again += [_text(top.key_values(root[2:])) for root in replaced.spared]
        job.rows += reading.row_count
        job.roots += len(replaced.roots)
        self._metrics.reread(reading.row_count)
        if self._progress is not None:
            self._progress.report(job.roots, job.rows)
        if not isinstance(portion, Keys):
            job.cursor = None if reading.last_key is None else _text(reading.last_key)
            if reading.last_key is None:
                self._next_table(job)
        self.jobs.save()

    def _next_table(self, job: Job) -> None:
        """The current range came to its end."""
        if job.stage is Stage.RANGE:
            job.bounds = []
            self._next_stage(job)
            return
        below = [plan.alias for plan in self._plans.by_alias[job.tree].subtree[1:]]
        place = below.index(job.table or "") + 1
        job.table = below[place] if place < len(below) else None

    def _next_stage(self, job: Job) -> None:
        if not job.whole:
            if not job.again and not job.keys and not job.bounds:
                self._finish(job)
            return
        stages = list(Stage)
        job.stage = stages[stages.index(job.stage) + 1]
        job.cursor = None
        if job.stage is Stage.ORPHANS:
            below = self._plans.by_alias[job.tree].subtree[1:]
            job.table = below[0].alias if below else None
        self.jobs.save()
        self.changed()

    def _finish(self, job: Job) -> None:
        tree = job.tree
        self._kept = self._marks = self._rootless = None
        self._rest.clear()
        if self._progress is not None:
            self._progress.done(job.roots, job.rows)
            self._progress = None
        if self.jobs.finish_tree() is not None:
            _log.info("reading again is complete: %s, job %s", job.cause, job.job_id)
            if job.cause is Cause.REQUEST:
                note_finished(self._state, job, self.jobs)
        self._metrics.rereading(tree, False)
        self.changed()

    def _begin_progress(self, job: Job, top: TablePlan) -> None:
        if self._progress is None:
            self._metrics.rereading(job.tree, True)
            self._progress = Progress(f"{job.tree} is read again ({job.cause})", job.expected_roots or None)

    def _passes(self, root: NodeId) -> bool:
        job = self.jobs.current
        assert job is not None
        if root in self._owed:
            return False
        if job.stage is Stage.REST and self._kept is not None and root[:2] == self._plans.by_alias[job.tree].prefix:
            # A root that came after all were listed is known from its very beginning.
            if root in self._rest:
                return False
            if self._state.note(MARK + root) is not None or self._listed:
                return True
            self._rest[root] = None
            return False
        return self._state.note(MARK + root) is not None

    def _next_rest(self, top: TablePlan) -> list[NodeId] | None:
        """Some of the kept roots that were not met; empty while they are still being listed, None once all are done."""
        if self._kept is None:
            self._kept, self._listed = self._state.nodes(top.prefix), False
        if not self._listed:
            some = list(islice(self._kept, SLICE))
            self._rest.update((root, None) for root in some if self._state.note(MARK + root) is None)
            self._listed = len(some) < SLICE
            return []
        return list(islice(self._rest, self._chunk_roots)) or None

    def _tidied(self, top: TablePlan) -> bool:
        """Remove some marks; whether there were any."""
        if self._marks is None:
            self._marks = self._state.notes(MARK + top.prefix)
        some = list(islice(self._marks, SLICE))
        for name in some:
            self._state.put_note(name, None)
        return bool(some)


def _keys(keys: list[KeyText]) -> Keys:
    return Keys(tuple(tuple(value.encode() for value in key) for key in keys))


def _values(key: KeyText | None) -> KeyValues | None:
    return None if key is None else tuple(value.encode() for value in key)


def _text(key: KeyValues) -> KeyText:
    return [value.decode() for value in key]

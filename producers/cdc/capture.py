"""One attempt of the capture: finds out where it stands and what has changed, reads what is missing, then streams."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from uuid import uuid4

from producers.cdc.aggregates import Assembly
from producers.cdc.answers import Answers, note_refused
from producers.cdc.assembly_state import AssemblyState, Standing, remove_state
from producers.cdc.care import Care
from producers.cdc.claims import Claims, StandingKeys, has_claims, note_claims, standing_keys
from producers.cdc.facts import FactBuilder
from producers.cdc.fitness import Fitness, Held, fitness, planned, unfit
from producers.cdc.jobs import Cause, Job, Jobs
from producers.cdc.marks import mark_kept, unmark
from producers.cdc.metrics import CaptureMetrics
from producers.cdc.outlet import Outlet
from producers.cdc.postgres.catalog import misfit_error
from producers.cdc.postgres.errors import SlotLost, SlotMissing
from producers.cdc.postgres.lsn import lsn_text
from producers.cdc.publisher import Publisher
from producers.cdc.records import RecordWriter
from producers.cdc.replacement import Replacement
from producers.cdc.settings import CaptureSettings
from producers.cdc.signals import Signals
from producers.cdc.slot_watch import Severity, SlotWatch
from producers.cdc.snapshot import Interrupted, Snapshot, say_again
from producers.cdc.source import PostgresSource
from producers.cdc.streaming import Streaming
from producers.cdc.tables import TablePlans
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError, Fatal
from schemas.mapping import SourceMapping

_SHIFT = b"shift"
"""Note: what is added to log positions, so that they go on rising where the log of a restored server begins lower."""

_log = logging.getLogger(__name__)


class Capture:
    """One source's capture; `run` is one attempt, from connecting to the first fault."""

    def __init__(
        self,
        settings: CaptureSettings,
        mapping: SourceMapping,
        records: RecordWriter,
        schemas: SchemaIds,
        metrics: CaptureMetrics,
    ) -> None:
        self._settings = settings
        self._mapping = mapping
        self._records = records
        self._schemas = schemas
        self._metrics = metrics
        self._directory = settings.data_dir / f"assembly-{mapping.system}"
        self._streaming = threading.Event()
        self._held = Held()
        self._watch = SlotWatch(settings, metrics)
        self._stopped: dict[str, str] = {}

    @property
    def streaming(self) -> bool:
        """Whether the snapshot is behind it and changes flow."""
        return self._streaming.is_set()

    def health(self) -> dict[str, object]:
        """How the slot was doing when it was last looked at, and what is stopped; asked in another thread."""
        slot, stopped = self._watch.health, self._stopped
        severity = max(slot.severity, Severity.WARNING if stopped else Severity.FINE, key=list(Severity).index)
        return {
            "severity": severity,
            "slot": slot.message,
            "retained_bytes": slot.retained_bytes,
            "stopped": stopped,
        }

    def run(self, stop: threading.Event) -> None:
        """Capture until `stop` is set; everything handed to Kafka is then acknowledged and confirmed.

        Delivery: at least once; what comes again after a fault has the same event ids and positions.

        Raises:
            Transient: database or broker are away; nothing is lost, call again.
            Fatal: going on would lose something; the message says what to do.
        """
        settings = self._settings
        publisher = Publisher(
            settings.kafka, linger_milliseconds=settings.linger_milliseconds, max_pending=settings.max_pending_events
        )
        try:
            publisher.require_topics(self._records.topics)
            with PostgresSource(settings, self._mapping) as source:
                self._capture(source, publisher, stop)
        except Interrupted:
            _log.info("told to stop before the snapshot was complete; the next start goes on with it")
        finally:
            self._streaming.clear()
            publisher.close()

    def _capture(self, source: PostgresSource, publisher: Publisher, stop: threading.Event) -> None:
        if not self._continuable(source):
            remove_state(self._directory)
        with self._opened() as state:
            if state.standing is None:
                self._begin(source, state, publisher, stop)
            self._records.shift = int(state.note(_SHIFT) or b"0")
            found = self._fitted(source, state, publisher)
            self._require_slot(source, state, found.plans)
            self._stopped = found.stopped
            self._metrics.stopped(found.stopped)
            signals = Signals(
                self._settings.kafka, self._schemas, state, self._mapping.system, self._settings.topic_prefix
            )
            try:
                state.write(state.seal(_standing(state)))
                outlet = self._outlet(source, found.plans, state, publisher)
                answers = Answers(publisher, self._schemas, state, self._mapping.system, self._settings.topic_prefix)
                care = Care(
                    self._settings, source, state, found, self._held, signals, answers, self._watch, self._metrics
                )
                streaming = Streaming(self._settings, source, found.plans, state, outlet, care)
                self._streaming.set()
                streaming.run(stop)
            finally:
                signals.close()

    def _continuable(self, source: PostgresSource) -> bool:
        """Whether the kept rows are of this mapping and server; says in the log why not."""
        if not self._directory.exists():
            if source.state() is not None:
                _log.warning(
                    "slot %s exists, but not the assembled rows in %s: they were lost, or this slot is another's. It "
                    "is dropped and created anew, and everything is read again",
                    source.slot,
                    self._directory,
                )
            return False
        with self._opened() as state:
            standing = state.standing
        problem = None
        if standing is None:
            problem = "they were written by another version, or the first snapshot had not begun"
        elif standing.layout != TablePlans(self._mapping, {}, self._mapping.tables).layout():
            problem = "the mapping has other tables or aggregates now"
        elif standing.system_id != source.system_id:
            problem = f"they come from another server (system identifier {standing.system_id}, now {source.system_id})"
        if problem is not None:
            _log.warning("the rows in %s cannot be continued, everything is read again: %s", self._directory, problem)
        return problem is None

    def _begin(self, source: PostgresSource, state: AssemblyState, publisher: Publisher, stop: threading.Event) -> None:
        """Create the slot with its snapshot, note the job to read everything, and do as much of it as can be."""
        plans, stopped = planned(self._mapping, source.relations, unfit(self._mapping, source.misfits))
        if stopped:
            raise misfit_error(source.misfits) if source.misfits else ConfigurationError("; ".join(stopped.values()))
        settings = self._settings
        stood = self._standing_keys()
        snapshot = source.open_snapshot(1 + settings.snapshot_readers)
        try:
            standing = Standing(snapshot.position, plans.layout(), source.system_id)
            self._records.shift = max(0, stood.position + 1 - (snapshot.position - 1))
            state.put_note(_SHIFT, str(self._records.shift).encode())
            note_claims(state, stood.keys)
            self._note_snapshot(source, state, plans)
            state.write(state.seal(standing))
            outlet = self._outlet(source, plans, state, publisher)
            Snapshot(plans, state, outlet, standing, snapshot.readers, stop, chunk_roots=settings.snapshot_roots).run()
        finally:
            snapshot.close()

    def _standing_keys(self) -> StandingKeys:
        settings = self._settings
        return standing_keys(settings.kafka, self._mapping, settings.topic_prefix, self._schemas)

    def _compare_claims(self, state: AssemblyState, plans: TablePlans) -> None:
        trees = [plan.alias for plan in plans.roots]
        Jobs(state).add(Job(uuid4().hex, Cause.CLAIMS, trees, gated=False, whole=False))

    def _note_snapshot(self, source: PostgresSource, state: AssemblyState, plans: TablePlans) -> None:
        fitness(self._mapping, self._settings.mapping_path, source.relations, source.misfits, state, self._held).note(
            state
        )
        trees = [plan.alias for plan in plans.roots]
        expected = sum(source.estimated_rows(plan.relation.name) for plan in plans.roots if plan.relation)
        Jobs(state).add(Job(uuid4().hex, Cause.SNAPSHOT, trees, gated=True, whole=True, expected_roots=expected))

    def _fitted(self, source: PostgresSource, state: AssemblyState, publisher: Publisher) -> Fitness:
        """What can be captured now; jobs for all that has another form than it had."""
        standing = _standing(state)
        found = fitness(self._mapping, self._settings.mapping_path, source.relations, source.misfits, state, self._held)
        jobs = Jobs(state)
        for job in jobs.leave(list(found.stopped)):
            if job.cause is Cause.REQUEST:
                note_refused(state, job.job_id, f"nothing is captured of it: {'; '.join(found.stopped.values())}")
        if has_claims(state) and not any(job.cause is Cause.CLAIMS for job in jobs):
            # Kept rows were lost, or the worker was killed between saying what it had read again and keeping it.
            self._compare_claims(state, found.plans)
            jobs = Jobs(state)
        if jobs.current is not None and jobs.current.cause is Cause.SNAPSHOT and not jobs.current.resumed:
            self._resume_snapshot(jobs, found.plans, state, self._outlet(source, found.plans, state, publisher))
        for alias in sorted(found.reshaped):
            top = found.plans.by_alias[alias]
            _write_all(state, standing, Replacement(Assembly(found.plans, state), state).clear(top))
            self._read_again(found.plans, state, [alias], Cause.SCHEMA, source)
        for alias in sorted(found.restated):
            Jobs(state).add(Job(uuid4().hex, Cause.MAPPING, [alias], gated=False, whole=True))
        found.note(state)
        state.write(state.seal(standing))
        return found

    def _resume_snapshot(self, jobs: Jobs, plans: TablePlans, state: AssemblyState, outlet: Outlet) -> None:
        """What an interrupted snapshot kept is whole; the rest is read by watermarks, from where it stopped."""
        job = jobs.current
        assert job is not None
        _log.info("the snapshot is gone on with while changes stream, from %s", job.cursor or "its beginning")
        say_again(state, _standing(state), outlet)
        _write_all(state, _standing(state), mark_kept(state, plans.by_alias[job.tree]))
        job.resumed = True
        jobs.save()

    def _require_slot(self, source: PostgresSource, state: AssemblyState, plans: TablePlans) -> None:
        """If the slot leaves a gap: a new one, and a job that reads everything again behind it."""
        standing = _standing(state)
        try:
            source.require_slot(standing.position)
        except (SlotMissing, SlotLost) as exc:
            _log.error("%s. A new slot is created; what was missed is read again while changes stream", exc)
            self._metrics.gap()
            position = source.recreate_slot()
            note_claims(state, self._standing_keys().keys)
            claims = Claims(plans, state)
            while not claims.compared():
                state.write(state.seal(standing), durable=False)
            if has_claims(state):
                # Said just before a crash, and not kept: only the topics know.
                self._compare_claims(state, plans)
            if position <= standing.position:
                # Streams take what has a lower position for a duplicate.
                self._records.shift += standing.position - position + 1
                state.put_note(_SHIFT, str(self._records.shift).encode())
            self._read_again(plans, state, [plan.alias for plan in plans.roots], Cause.SLOT, source)
            state.write(state.seal(standing._replace(position=position)))
            _log.warning("streaming goes on from %s", lsn_text(position))

    def _read_again(
        self, plans: TablePlans, state: AssemblyState, trees: list[str], cause: Cause, source: PostgresSource
    ) -> None:
        for alias in trees:
            _write_all(state, _standing(state), unmark(state, plans.by_alias[alias]))
        relations = [plans.by_alias[alias].relation for alias in trees]
        expected = sum(source.estimated_rows(relation.name) for relation in relations if relation is not None)
        Jobs(state).add(Job(uuid4().hex, cause, trees, gated=True, whole=True, expected_roots=expected))

    def _opened(self) -> AssemblyState:
        return AssemblyState(self._directory, cached_nodes=self._settings.cached_orders)

    def _outlet(self, source: PostgresSource, plans: TablePlans, state: AssemblyState, publisher: Publisher) -> Outlet:
        facts = FactBuilder(plans, source.values, state)
        return Outlet(facts, self._records, publisher, self._metrics, state)


def _standing(state: AssemblyState) -> Standing:
    standing = state.standing
    if standing is None:
        raise Fatal("rows were to be continued from a state that holds none")
    return standing


def _write_all(state: AssemblyState, standing: Standing, steps: Iterable[int]) -> None:
    """Write what a long change does in pieces, so that it never is in memory as a whole."""
    for _ in steps:
        state.write(state.seal(standing), durable=False)

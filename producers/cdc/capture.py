"""One attempt of the capture: finds out where it stands, takes a snapshot if need be, then streams."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from producers.cdc.assembly_state import AssemblyState, Phase, Standing, remove_state
from producers.cdc.facts import FactBuilder
from producers.cdc.metrics import CaptureMetrics
from producers.cdc.outlet import Outlet
from producers.cdc.postgres.errors import SlotLost, SlotMissing
from producers.cdc.publisher import Publisher
from producers.cdc.records import RecordWriter
from producers.cdc.settings import CaptureSettings
from producers.cdc.snapshot import Interrupted, Snapshot
from producers.cdc.source import PostgresSource
from producers.cdc.streaming import Streaming
from producers.cdc.tables import TablePlans
from schemas.mapping import SourceMapping

_log = logging.getLogger(__name__)


class Capture:
    """One source's capture; `run` is one attempt, from connecting to the first fault."""

    def __init__(
        self, settings: CaptureSettings, mapping: SourceMapping, records: RecordWriter, metrics: CaptureMetrics
    ) -> None:
        self._settings = settings
        self._mapping = mapping
        self._records = records
        self._metrics = metrics
        self._directory = settings.data_dir / f"assembly-{mapping.system}"
        self._streaming = threading.Event()

    @property
    def streaming(self) -> bool:
        """Whether the snapshot is behind it and changes flow."""
        return self._streaming.is_set()

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
        plans = TablePlans(self._mapping, source.relations)
        snapshot = Snapshot(source, plans, stop)
        settle(self._directory)
        if not self._usable(self._directory, source, plans):
            self._replace(source, plans, snapshot, publisher)
        with self._opened(self._directory) as state:
            outlet = self._outlet(source, plans, state, publisher)
            standing = state.standing
            if standing is not None and standing.phase is Phase.STATING:
                snapshot.state_all(state, outlet)
            streaming = Streaming(self._settings, source, plans, state, outlet)
            self._streaming.set()
            streaming.run(stop)

    def _replace(self, source: PostgresSource, plans: TablePlans, snapshot: Snapshot, publisher: Publisher) -> None:
        """Read the source into a state beside the present one, which it then replaces."""
        beside = _beside(self._directory)
        if not self._usable(beside, source, plans):
            remove_state(beside)
            if source.state() is not None:
                _log.warning("slot %s is dropped and created anew, with a new snapshot", source.slot)
            with self._opened(beside) as state:
                snapshot.read(state)
        former = self._former(plans)
        try:
            with self._opened(beside) as state:
                snapshot.withdraw(former, state, self._outlet(source, plans, state, publisher))
        finally:
            if former is not None:
                former.close()
        settle(self._directory)

    def _usable(self, directory: Path, source: PostgresSource, plans: TablePlans) -> bool:
        """Whether rows kept there and the slot continue each other; says in the log why not."""
        if not directory.exists():
            if directory == self._directory and source.state() is not None:
                _log.warning(
                    "slot %s exists, but not the assembled rows in %s: they were lost, or a first snapshot was "
                    "interrupted while reading. What the source deleted since then is found by reconciliation only",
                    source.slot,
                    directory,
                )
            return False
        with self._opened(directory) as state:
            standing = state.standing
        problem = _misfit(standing, plans, source)
        if problem is None and standing is not None:
            try:
                source.require_slot(standing.position)
            except (SlotMissing, SlotLost) as exc:
                problem = str(exc)
        if problem is not None:
            _log.warning("the rows assembled in %s cannot be continued: %s", directory, problem)
        return problem is None

    def _former(self, plans: TablePlans) -> AssemblyState | None:
        """The rows before, if they can tell what has been deleted since."""
        if not self._directory.exists():
            return None
        former = self._opened(self._directory)
        standing = former.standing
        if standing is not None and standing.layout == plans.layout():
            return former
        former.close()
        return None

    def _opened(self, directory: Path) -> AssemblyState:
        return AssemblyState(directory, cached_nodes=self._settings.cached_orders)

    def _outlet(self, source: PostgresSource, plans: TablePlans, state: AssemblyState, publisher: Publisher) -> Outlet:
        return Outlet(FactBuilder(plans, source.reader, state), self._records, publisher, self._metrics)


def settle(directory: Path) -> None:
    """Put a state that was read and compared in its place, remove one whose reading was interrupted."""
    beside = _beside(directory)
    if not beside.exists():
        return
    with AssemblyState(beside, cached_nodes=1) as state:
        standing = state.standing
    if standing is None or standing.phase is Phase.READING:
        remove_state(beside)
    elif standing.phase is not Phase.WITHDRAWING:
        remove_state(directory)
        beside.rename(directory)


def _beside(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}-snapshot")


def _misfit(standing: Standing | None, plans: TablePlans, source: PostgresSource) -> str | None:
    if standing is None:
        return "they were written by another version"
    if standing.fingerprint != plans.fingerprint():
        return "tables, columns, types or aggregates of the mapping have changed since"
    if standing.system_id != source.system_id:
        return f"they come from another server (system identifier {standing.system_id}, now {source.system_id})"
    return None

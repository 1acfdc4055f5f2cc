"""What the streaming takes care of beside the changes: requests, tables that change, the slot's health."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from producers.cdc.aggregates import Assembly
from producers.cdc.answers import Answers
from producers.cdc.assembly_state import AssemblyState, Standing
from producers.cdc.changes import Marker
from producers.cdc.fitness import STOPPED, Fitness, Held, forget_shapes, put_stopped, stopped_trees, unfit
from producers.cdc.metrics import CaptureMetrics
from producers.cdc.postgres.types import same_meaning
from producers.cdc.rereading import Rereading
from producers.cdc.settings import CaptureSettings
from producers.cdc.signals import Signals
from producers.cdc.slot_watch import SlotWatch
from producers.cdc.source import MENDED, PostgresSource
from producers.cdc.tables import SourceChanged
from schemas.errors import Transient

_SIGNALS_SECONDS: Final = 0.5
_log = logging.getLogger(__name__)


class Restart(Transient):
    """The attempt ends in good order, and the next one begins at once with what has changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after_seconds=0.0)


class Care:
    """Belongs to one attempt; called by its streaming, in its thread, between source transactions."""

    def __init__(
        self,
        settings: CaptureSettings,
        source: PostgresSource,
        state: AssemblyState,
        fitness: Fitness,
        held: Held,
        signals: Signals,
        answers: Answers,
        watch: SlotWatch,
        metrics: CaptureMetrics,
    ) -> None:
        self._settings = settings
        self._source = source
        self._state = state
        self._fitness = fitness
        self._held = held
        self._signals = signals
        self._answers = answers
        self._watch = watch
        self._metrics = metrics
        self._mended_token = uuid4().hex
        self._mended_marked = False
        self._signals_at = 0.0
        self._schema_at = time.monotonic() + settings.schema_check_seconds

    def rereading(self, assembly: Assembly) -> Rereading:
        """What works off the jobs of this attempt."""
        return Rereading(
            self._fitness.plans,
            self._state,
            assembly,
            self._metrics,
            self._source.reader,
            chunk_roots=self._settings.resync_roots,
        )

    def step(self, rereading: Rereading, nudge: Callable[[], None]) -> None:
        """Take requests, look at the tables, go on with jobs; each when it is due.

        Raises:
            Restart: tables were mended, dropped or changed: the next attempt goes on with what is there now.
            Transient: source or Kafka are away.
        """
        now = time.monotonic()
        if now >= self._signals_at:
            self._signals_at = now + _SIGNALS_SECONDS
            for job in self._signals.taken(self._fitness.plans, self._source):
                rereading.jobs.add(job)
                nudge()
            if self._answers.give(rereading.jobs):
                nudge()
        if now >= self._schema_at:
            self._schema_at = now + self._settings.schema_check_seconds
            self._look_at_tables()
        if self._fitness.mending and not self._mended_marked:
            self._mended_marked = True
            self._source.mark(MENDED, self._mended_token)
        rereading.step(nudge)

    def look(self) -> None:
        """Look at the slot; asked with every heartbeat."""
        self._watch.look(self._source.state())

    def marked(self, marker: Marker, nudge: Callable[[], None]) -> None:
        """A marker came by that is not a watermark: behind ours no row of the mended tables has its former shape.

        Raises Restart.
        """
        if marker.prefix != MENDED or marker.content != self._mended_token.encode():
            return
        mended = self._fitness.mending
        put_stopped(self._state, {r: why for r, why in stopped_trees(self._state).items() if r not in mended})
        forget_shapes(self._state, mended)
        nudge()
        raise Restart(f"{', '.join(sorted(mended))} is captured again; what was missed is read again")

    def stopped(self, exc: SourceChanged, standing: Standing) -> Transient:
        """A table in the log no longer fits: note that, and give the error that begins another attempt without it."""
        stopped = stopped_trees(self._state) | dict.fromkeys(exc.roots, str(exc))
        self._state.write_notes(standing, {STOPPED: json.dumps(stopped).encode()})
        if exc.types is not None and not same_meaning(*exc.types):
            self._held.hold(exc.roots)
        _log.error("nothing is captured of %s until it is mended: %s", ", ".join(sorted(exc.roots)), exc)
        return Transient(f"{', '.join(sorted(exc.roots))} is left out: {exc}", retry_after_seconds=0.0)

    def _look_at_tables(self) -> None:
        unfit_now = unfit(self._fitness.plans.mapping, self._source.misfits_now())
        running = self._fitness.shapes.keys()
        if bad := running & unfit_now.keys():
            raise Restart(f"{', '.join(sorted(bad))} no longer fits the mapping; going on without it")
        waiting = unfit(self._fitness.plans.mapping, self._source.misfits).keys()
        if mended := waiting - unfit_now.keys():
            raise Restart(f"{', '.join(sorted(mended))} fits the mapping again")

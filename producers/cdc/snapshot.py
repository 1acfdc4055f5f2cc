"""Reads the whole source once into a new state and states every aggregate; ends where streaming begins.

1. *Reading*: a slot is created and all rows are read in the snapshot that belongs to it, into a state beside the
   present one. Nothing is written to the topics, so an interrupted reading begins anew with another slot.
2. *Withdrawing*: what stands on the topics by the former state and is no longer in the source is withdrawn.
3. *Stating*: the new state takes the former's place, and every aggregate is stated from it.
4. *Streaming* from the slot's first position.

Interrupted in 2 or 3, the same phase is done again from the same rows, with the same event ids.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from confluent_kafka import Message

from producers.cdc.aggregates import Assembly, NodeId
from producers.cdc.assembly_state import AssemblyState, Phase, Standing
from producers.cdc.changes import Position
from producers.cdc.facts import Outcome
from producers.cdc.outlet import Outlet
from producers.cdc.records import Moment
from producers.cdc.source import PostgresSource
from producers.cdc.tables import TablePlan, TablePlans
from schemas.errors import Fatal

_log = logging.getLogger(__name__)
_NODES_PER_WRITE = 5_000
_LOG_SECONDS = 10.0


class Interrupted(Exception):
    """The worker is told to stop while the snapshot is not complete."""


class Snapshot:
    """The phases of a snapshot; each works on the state that it is given. Used by the capture, one thread."""

    def __init__(self, source: PostgresSource, plans: TablePlans, stop: threading.Event) -> None:
        self._source = source
        self._plans = plans
        self._stop = stop
        self._sequence = 0
        self._log_at = time.monotonic() + _LOG_SECONDS

    def read(self, state: AssemblyState) -> None:
        """Create the slot anew and read every mapped table into an empty state.

        Raises:
            Interrupted: the worker is told to stop.
            Transient: the database is away; begin anew with an empty state.
        """
        began = time.monotonic()
        snapshot = self._source.open_snapshot()
        standing = Standing(
            snapshot.position, Phase.READING, self._plans.layout(), self._plans.fingerprint(), self._source.system_id
        )
        assembly = Assembly(self._plans, state)
        count = 0
        try:
            for name in dict.fromkeys(plan.relation.name for plan in self._plans.in_reading_order if plan.relation):
                _log.info("snapshot: reading %s (about %d rows)", name, self._source.estimated_rows(name))
                for changes in self._source.rows(snapshot, name):
                    assembly.apply(changes)
                    assembly.take_touched()
                    count += len(changes)
                    self._report("read", count)
                    if state.changed_nodes >= _NODES_PER_WRITE:
                        state.write(state.seal(standing), durable=False)
        finally:
            snapshot.reader.close()
        state.write(state.seal(standing._replace(phase=Phase.WITHDRAWING)))
        _log.info("snapshot: %d rows read in %.1f s", count, time.monotonic() - began)

    def withdraw(self, former: AssemblyState | None, state: AssemblyState, outlet: Outlet) -> None:
        """Withdraw what only `former` knows; afterwards `state` may take its place."""
        standing = _standing(state)
        moment = _moment(standing)
        for root in self._roots_of(former) if former is not None else ():
            assert former is not None
            for gone in outlet.facts.withdrawals(root, former.node(root)):
                if gone.key not in self._keys(state, root, outlet):
                    self._publish(outlet, [(root, gone)], moment)
        outlet.publisher.flush()
        state.write(state.seal(standing._replace(phase=Phase.STATING)))

    def state_all(self, state: AssemblyState, outlet: Outlet) -> None:
        """State every aggregate; afterwards the source may be streamed from the state's position.

        What stands on the topics is noted before it is written, so that no later snapshot can overlook it.
        """
        standing = _standing(state)
        moment = _moment(standing)
        roots = self._roots_of(state)
        while batch := list(islice(roots, _NODES_PER_WRITE)):
            outcomes = [(root, outcome) for root in batch for outcome in outlet.facts.outcomes(root)]
            state.write(state.seal(standing), durable=False)
            self._publish(outlet, outcomes, moment)
            self._report("stated", self._sequence)
        outlet.publisher.flush()
        state.write(state.seal(standing._replace(phase=Phase.STREAMING)))
        _log.info("snapshot complete: %d events", self._sequence)

    def _keys(self, state: AssemblyState, root: NodeId, outlet: Outlet) -> set[str | None]:
        return {outcome.key for outcome in outlet.facts.outcomes(root)}

    def _roots_of(self, state: AssemblyState) -> Iterator[NodeId]:
        """Ids of all roots, master data first, so that orders find what they refer to."""
        sections = {aggregate.root: aggregate.section for aggregate in self._plans.mapping.aggregates}
        roots = [plan for plan in self._plans.by_alias.values() if plan.parent is None]

        def is_section(plan: TablePlan) -> bool:
            return sections.get(plan.alias) is not None

        for plan in sorted(roots, key=is_section):
            yield from state.nodes(plan.prefix)

    def _publish(self, outlet: Outlet, outcomes: Sequence[tuple[NodeId, Outcome]], moment: Moment) -> None:
        outlet.publish(outcomes, moment, self._sequence, _delivered)
        self._sequence += len(outcomes)

    def _report(self, done: str, count: int) -> None:
        if self._stop.is_set():
            raise Interrupted
        now = time.monotonic()
        if now >= self._log_at:
            self._log_at = now + _LOG_SECONDS
            _log.info("snapshot: %d %s so far", count, done)


def _standing(state: AssemblyState) -> Standing:
    standing = state.standing
    if standing is None:
        raise Fatal("a snapshot was to be continued from a state that holds none")
    return standing


def _moment(standing: Standing) -> Moment:
    """Commits that follow may stand exactly at the slot's first position; the snapshot stands before them."""
    now = datetime.now(UTC)
    return Moment(0, Position(standing.position - 1), now, now, is_snapshot=True)


def _delivered(_: Message) -> None:
    """Nothing waits for a single event of a snapshot: `flush` waits for all of them."""

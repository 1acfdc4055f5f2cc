"""Reads the whole source once into a new state and states every aggregate; ends where streaming begins."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime

from confluent_kafka import Message

from producers.cdc.aggregates import Assembly, NodeId
from producers.cdc.assembly_state import AssemblyState, Standing
from producers.cdc.changes import Position
from producers.cdc.facts import Outcome
from producers.cdc.outlet import Outlet
from producers.cdc.records import Moment
from producers.cdc.source import OpenSnapshot, PostgresSource
from producers.cdc.tables import TablePlan, TablePlans

_log = logging.getLogger(__name__)
_NODES_PER_WRITE = 10_000


class Interrupted(Exception):
    """The worker is told to stop while the snapshot is not complete; the next start begins it anew."""


class Snapshot:
    """One snapshot into one empty state. Called once by the worker that found no usable state."""

    def __init__(
        self, source: PostgresSource, plans: TablePlans, state: AssemblyState, outlet: Outlet, stop: threading.Event
    ) -> None:
        self._source = source
        self._plans = plans
        self._state = state
        self._outlet = outlet
        self._stop = stop
        self._sequence = 0

    def take(self, former: AssemblyState | None) -> Position:
        """Fill the state, state every aggregate and withdraw what only `former` knows; the position reached.

        Delivery: the completion mark is written after Kafka has everything; without it the next start begins anew.

        Raises:
            Interrupted: the worker is told to stop.
            Transient: database or broker are away; begin anew.
        """
        snapshot = self._source.open_snapshot()
        began = time.monotonic()
        try:
            self._standing = Standing(
                snapshot.position, False, self._plans.layout(), self._plans.fingerprint(), self._source.system_id
            )
            rows = self._read(snapshot)
        finally:
            snapshot.reader.close()
        # Commits that follow may stand exactly at the slot's first position; the snapshot stands before them.
        now = datetime.now(UTC)
        moment = Moment(0, Position(snapshot.position - 1), now, now, is_snapshot=True)
        self._state_all(moment)
        if former is not None:
            self._withdraw(former, moment)
        self._outlet.publisher.flush()
        self._state.write(self._state.seal(self._standing._replace(complete=True)))
        seconds = time.monotonic() - began
        _log.info("snapshot complete: %d rows, %d events in %.1f s", rows, self._sequence, seconds)
        return snapshot.position

    def _read(self, snapshot: OpenSnapshot) -> int:
        assembly = Assembly(self._plans, self._state)
        count = 0
        for name in dict.fromkeys(plan.relation.name for plan in self._plans.in_reading_order if plan.relation):
            _log.info("snapshot: reading %s (about %d rows)", name, self._source.estimated_rows(name))
            for changes in self._source.rows(snapshot, name):
                assembly.apply(changes)
                assembly.take_touched()
                count += len(changes)
                self._write_often()
        return count

    def _state_all(self, moment: Moment) -> None:
        facts = self._outlet.facts
        for plan in self._roots():
            for root in self._state.nodes(plan.prefix):
                for outcome in facts.outcomes(root):
                    self._publish(outcome, moment, root)
                self._write_often()

    def _withdraw(self, former: AssemblyState, moment: Moment) -> None:
        """State the end of all that stood on the topics and is not in the snapshot."""
        facts = self._outlet.facts
        for plan in self._roots():
            for root in former.nodes(plan.prefix):
                now = self._state.node(root).emitted
                for outcome in facts.withdrawals(root, former.node(root)):
                    if outcome.key not in now.values():
                        self._publish(outcome, moment, root)

    def _roots(self) -> list[TablePlan]:
        """Root tables, master data first, so that orders find what they refer to."""
        sections = {aggregate.root: aggregate.section for aggregate in self._plans.mapping.aggregates}
        roots = [plan for plan in self._plans.by_alias.values() if plan.parent is None]
        return sorted(roots, key=lambda plan: sections.get(plan.alias) is not None)

    def _publish(self, outcome: Outcome, moment: Moment, root: NodeId) -> None:
        self._outlet.publish(outcome, moment, self._sequence, root, _delivered)
        self._sequence += 1

    def _write_often(self) -> None:
        if self._state.changed_nodes >= _NODES_PER_WRITE:
            if self._stop.is_set():
                raise Interrupted
            self._state.write(self._state.seal(self._standing), durable=False)


def _delivered(_: Message) -> None:
    """Nothing waits for a single event of a snapshot: `flush` waits for all of them."""

"""Streams the source's transactions to Kafka, and makes the state durable behind them.

The order of what becomes durable, which every restart relies on:

1. A source transaction is applied to the rows in memory, and its events are handed to Kafka.
2. Some transactions later a checkpoint is sealed: the changed rows with the position behind the last transaction.
3. Kafka has acknowledged every event up to that position.
4. The sealed rows and their position are written in one batch.
5. The batch is durable: its log is on disk.
6. The position is confirmed to the source, which may forget its log.

Killed before 4, the transactions come again from the position before, to rows as they were then, and give the same
events with the same ids; killed after it, they are skipped. None of the steps waits for another: later transactions
are read while earlier ones are on their way.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

from producers.cdc.aggregates import Assembly
from producers.cdc.assembly_state import AssemblyState, SealedState, Standing
from producers.cdc.care import Care, Restart
from producers.cdc.changes import Marker, Position, SourceTransaction
from producers.cdc.claims import claim_before_saying
from producers.cdc.facts import Stated
from producers.cdc.log_sync import LogSync
from producers.cdc.outlet import Outlet
from producers.cdc.records import Moment
from producers.cdc.settings import CaptureSettings
from producers.cdc.source import ChangeStream, Heartbeat, PostgresSource
from producers.cdc.tables import SourceChanged, TablePlans
from schemas.errors import Fatal

_IDLE_SECONDS: Final = 0.2
_PENDING_SECONDS: Final = 0.01
_UNANSWERED_SECONDS: Final = 0.001
"""While Kafka owes answers, they are looked for so often: librdkafka cannot wake the thread that waits for changes."""
_IDLE_CONFIRM_SECONDS: Final = 0.5
_NODES_IN_MEMORY: Final = 20_000
"""Changed nodes beyond which a transaction is put on disk while it goes on."""
_ROOTS_AT_ONCE: Final = 5_000
"""Aggregates of one transaction whose events are held in memory together."""


class Checkpoint:
    """Transactions that become durable together; `outstanding` of their events have no answer of Kafka yet."""

    __slots__ = ("changes", "opened_at", "outstanding", "position", "sealed")

    def __init__(self) -> None:
        self.opened_at = time.monotonic()
        self.position: Position | None = None
        self.changes = 0
        self.outstanding = 0
        self.sealed: SealedState | None = None


class Streaming:
    """One attempt to stream, from a state that is exact for its position. One thread."""

    def __init__(
        self,
        settings: CaptureSettings,
        source: PostgresSource,
        plans: TablePlans,
        state: AssemblyState,
        outlet: Outlet,
        care: Care,
    ) -> None:
        standing = state.standing
        if standing is None:
            raise Fatal("streaming was begun without assembled rows: take a snapshot first")
        self._settings = settings
        self._source = source
        self._state = state
        self._outlet = outlet
        self._assembly = Assembly(plans, state)
        self._rereading = care.rereading(self._assembly)
        self._care = care
        self._standing: Standing = standing
        self._reached = standing.position
        self._current = Checkpoint()
        self._sealed: deque[Checkpoint] = deque()
        self._half_applied = False
        self._log_sync = LogSync(state.directory)
        self._heartbeat = Heartbeat(settings.heartbeat_seconds)
        self._idle_confirm_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Stream until `stop` is set; what was applied whole is then durable and confirmed.

        Raises:
            SlotMissing, SlotLost: the slot would leave a gap.
            Transient: database or broker are away.
            Fatal: the source no longer fits the mapping or the kept rows.
        """
        stream = self._source.stream(self._reached)
        try:
            while not stop.is_set():
                self._step(stream)
            self._finish(stream)
        except Restart:
            self._finish(stream)
            raise
        finally:
            self._rereading.close()
            self._log_sync.close()
        stream.stop()

    def _step(self, stream: ChangeStream) -> None:
        busy = self._busy()
        parts = stream.receive(self._patience_seconds() if busy else _IDLE_SECONDS)
        captured_at = datetime.now(UTC)
        for part in parts:
            if isinstance(part, Marker):
                self._marked(part, captured_at)
            else:
                self._transaction(part, captured_at)
        self._outlet.publisher.poll()
        self._seal_when_due()
        self._write_acknowledged(stream)
        if not parts and not busy:
            self._idle(stream)
        if not self._half_applied:
            self._care.step(self._rereading, self._nudge)
        if self._heartbeat.is_due():
            self._care.look()
            if not busy:
                self._source.beat()

    def _busy(self) -> bool:
        """Whether something is on its way that did not come from the source just now."""
        return bool(
            self._current.position is not None
            or self._sealed
            or self._half_applied
            or self._log_sync.pending
            or self._rereading.active
        )

    def _patience_seconds(self) -> float:
        return _UNANSWERED_SECONDS if self._outlet.publisher.pending else _PENDING_SECONDS

    def _transaction(self, part: SourceTransaction, captured_at: datetime) -> None:
        if part.position < self._reached:
            return
        if part.changes:
            self._apply(part)
        self._half_applied = not part.complete
        if part.complete:
            self._state_touched(part, captured_at)
            self._current.position = part.end_position

    def _marked(self, marker: Marker, captured_at: datetime) -> None:
        """State what was read again, where its watermark stands in the log."""
        found = self._rereading.marked(marker)
        if found is None:
            self._care.marked(marker, self._nudge)
            return
        # A message stands in the log at its end, where the next commit may begin: what was read comes before that.
        moment = Moment(0, Position(found.position - 1), captured_at, captured_at, is_snapshot=True)
        checkpoint = self._current
        stood = {root: frozenset(self._state.node(root).emitted.values()) for root in found.roots}
        outcomes = self._outlet.facts.of_transaction(found.roots) + [(b"", gone) for gone in found.withdrawn]
        new = [
            (said.aggregate.topic.name, said.key)
            for root, said in outcomes
            if isinstance(said, Stated) and said.key not in stood[root]
        ]
        claim_before_saying(self._state, self._standing, new)
        checkpoint.outstanding += len(outcomes)
        checkpoint.changes += len(outcomes)
        checkpoint.position = found.position
        self._outlet.publish(outcomes, moment, 0, self._outlet.answered(checkpoint, captured_at))

    def _nudge(self) -> None:
        """Notes were changed beside the rows: have them sealed, although no transaction was applied."""
        if self._current.position is None:
            sealed = self._sealed[-1].sealed if self._sealed else None
            self._current.position = self._standing.position if sealed is None else sealed.standing.position

    def _apply(self, part: SourceTransaction) -> None:
        try:
            self._assembly.apply(part.changes)
        except SourceChanged as exc:
            # What follows in the log has another form than the kept rows: it is gone through again without them.
            raise self._care.stopped(exc, self._standing) from exc
        self._current.changes += len(part.changes)
        self._spill_when_large()

    def _spill_when_large(self) -> None:
        if self._state.changed_nodes >= _NODES_IN_MEMORY:
            self._state.spill()

    def _state_touched(self, part: SourceTransaction, captured_at: datetime) -> None:
        touched = self._assembly.take_touched()
        if touched or self._assembly.has_met:
            touched = self._rereading.passing(part.transaction_id, touched)
        if not touched:
            return
        checkpoint = self._current
        if len(touched) <= _ROOTS_AT_ONCE and self._outlet.express(touched, part, captured_at, checkpoint):
            return
        moment = Moment(part.transaction_id, part.position, part.committed_at, captured_at)
        answered = self._outlet.answered(checkpoint, part.committed_at)
        if len(touched) <= _ROOTS_AT_ONCE:
            outcomes = self._outlet.facts.of_transaction(touched)
            checkpoint.outstanding += len(outcomes)
            self._outlet.publish(outcomes, moment, 0, answered)
            return
        sequence = 0
        for outcomes in self._outlet.facts.of_large_transaction(touched, _ROOTS_AT_ONCE):
            checkpoint.outstanding += len(outcomes)
            self._outlet.publish(outcomes, moment, sequence, answered)
            sequence += len(outcomes)
            self._spill_when_large()

    def _seal_when_due(self) -> None:
        current, settings = self._current, self._settings
        if current.position is None or self._half_applied:
            return
        if (
            current.changes >= settings.checkpoint_changes
            or time.monotonic() - current.opened_at >= settings.checkpoint_seconds
        ):
            self._seal(current.position)

    def _seal(self, position: Position) -> None:
        self._current.sealed = self._state.seal(self._standing._replace(position=position))
        self._sealed.append(self._current)
        self._current = Checkpoint()

    def _write_acknowledged(self, stream: ChangeStream) -> None:
        written = None
        while self._sealed and self._sealed[0].outstanding == 0:
            written = self._sealed.popleft().sealed
            assert written is not None
            self._state.write(written, durable=False)
        if written is not None:
            self._standing = written.standing
            self._log_sync.request(written.standing.position)
        if (durable := self._log_sync.reached()) is not None:
            stream.confirm(durable)

    def _idle(self, stream: ChangeStream) -> None:
        """Confirm what the server has read of others' changes; told seldom, because each is a durable write."""
        now = time.monotonic()
        position = stream.server_position
        if now < self._idle_confirm_at or stream.in_transaction or position <= self._standing.position:
            return
        self._idle_confirm_at = now + _IDLE_CONFIRM_SECONDS
        self._seal(position)
        self._write_acknowledged(stream)

    def _finish(self, stream: ChangeStream) -> None:
        """A transaction of which only a part was received comes again whole."""
        if self._current.position is not None and not self._half_applied:
            self._seal(self._current.position)
        self._outlet.publisher.flush()
        self._write_acknowledged(stream)
        if (durable := self._log_sync.wait()) is not None:
            stream.confirm(durable)

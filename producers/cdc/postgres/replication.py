"""Replication commands and the stream of raw pgoutput messages, on psycopg's libpq layer."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg import pq, sql

from producers.cdc.changes import Position
from producers.cdc.postgres.errors import SlotLost, SlotMissing, mapped, mapped_errors, result_error
from producers.cdc.postgres.libpq import quick_drain
from producers.cdc.postgres.lsn import lsn_text, position_of
from producers.cdc.postgres.session import connect
from schemas.errors import ConfigurationError, OrdersyncError, Transient

STATUS_INTERVAL_SECONDS: Final = 10.0
MAX_MESSAGES: Final = 4_096
_OBJECT_NOT_IN_PREREQUISITE_STATE: Final = "55000"
_UNDEFINED_OBJECT: Final = "42704"
_EPOCH_SECONDS: Final = 946_684_800

_keepalive = Struct(">QqB").unpack_from
_status = Struct(">cQQQqB").pack


@dataclass(frozen=True, slots=True)
class SystemIdentity:
    """Which server this is (`IDENTIFY_SYSTEM`); a changed `system_id` means another server."""

    system_id: str
    timeline: int
    position: Position
    database: str


@dataclass(frozen=True, slots=True)
class CreatedSlot:
    """A new slot: streaming from `consistent_position` continues the exported snapshot without gap.

    `snapshot_name` is valid until the next command on the connection that created the slot; a transaction
    that has taken it before keeps it.
    """

    name: str
    consistent_position: Position
    snapshot_name: str | None


class ReplicationConnection:
    """One connection with `replication=database`; the capture worker owns one."""

    def __init__(self, conninfo: str, *, application_name: str = "ordersync-cdc") -> None:
        """Raises as `session.connect` does."""
        self._connection = connect(conninfo, application_name=application_name, replication=True)
        self._pgconn = self._connection.pgconn

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the slot stays. Harmless if called twice."""
        self._connection.close()

    def identify(self) -> SystemIdentity:
        """Ask the server who it is."""
        ((system_id, timeline, position, database),) = self._rows("IDENTIFY_SYSTEM", "identifying the server")
        return SystemIdentity(system_id, int(timeline), position_of(position), database)

    def create_slot(
        self, name: str, *, temporary: bool = False, failover: bool | None = None, snapshot: bool = True
    ) -> CreatedSlot:
        """Create a slot and, unless told not to, export the snapshot that belongs to its first position.

        The publication must exist before. A permanent slot survives a failover where the server can do so
        (PostgreSQL 17), unless `failover` says otherwise. Waits until all transactions that are running now
        have ended. Raises ConfigurationError (wal_level, name taken, no slot free, permission), Transient.
        """
        doing = f"creating replication slot {name!r}"
        version = self._pgconn.server_version
        if failover is None:
            failover = version >= 170000 and not temporary
        if version >= 150000:
            export = "export" if snapshot else "nothing"
            options = f"(SNAPSHOT '{export}'" + (", FAILOVER true)" if failover else ")")
        else:
            options = "EXPORT_SNAPSHOT" if snapshot else "NOEXPORT_SNAPSHOT"
        kind = "TEMPORARY LOGICAL" if temporary else "LOGICAL"
        try:
            ((slot, position, snapshot_name, _),) = self._rows(
                f"CREATE_REPLICATION_SLOT {self._name(name)} {kind} pgoutput {options}", doing
            )
        except OrdersyncError as exc:
            raise self._explained(exc, doing) from exc
        return CreatedSlot(slot, position_of(position), snapshot_name or None)

    def start(self, slot: str, publication: str, position: Position | None = None) -> ReplicationStream:
        """Stream from the slot, from `position` or from where the slot was confirmed, whichever is later.

        Raises SlotMissing, SlotLost, Transient while another connection uses the slot, ConfigurationError.
        """
        start = Position(0) if position is None else position
        doing = f"starting replication from slot {slot!r}"
        option = sql.Literal(self._name(publication)).as_string(self._connection)
        messages = ", messages 'true'" if self._pgconn.server_version >= 140000 else ""
        command = (
            f"START_REPLICATION SLOT {self._name(slot)} LOGICAL {lsn_text(start)} "
            f"(proto_version '1', publication_names {option}{messages})"
        )
        with mapped_errors(doing):
            result = self._pgconn.exec_(command.encode())
        if result.status != pq.ExecStatus.COPY_BOTH:
            error = result_error(result)
            raise self._explained(mapped(error, doing), doing, slot) from error
        return ReplicationStream(self._connection, slot, start)

    def _rows(self, command: str, doing: str) -> list[list[str]]:
        with mapped_errors(doing):
            result = self._pgconn.exec_(command.encode())
        if result.status != pq.ExecStatus.TUPLES_OK:
            error = result_error(result)
            raise mapped(error, doing) from error
        return [
            [(result.get_value(row, column) or b"").decode() for column in range(result.nfields)]
            for row in range(result.ntuples)
        ]

    def _name(self, name: str) -> str:
        return sql.Identifier(name).as_string(self._connection)

    def _explained(self, error: OrdersyncError, doing: str, slot: str | None = None) -> OrdersyncError:
        """Say what is behind a refusal that the SQLSTATE alone leaves open, by asking the server."""
        cause = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else None
        code = cause.sqlstate if cause is not None else None
        if slot is None:
            ((level,),) = self._rows("SHOW wal_level", doing)
            if level == "logical":
                return error
            return ConfigurationError(
                f"{doing} failed: wal_level is {level!r}; ALTER SYSTEM SET wal_level = 'logical', "
                "then restart PostgreSQL"
            )
        literal = sql.Literal(slot).as_string(self._connection)
        states = self._rows(
            f"SELECT wal_status FROM pg_catalog.pg_replication_slots WHERE slot_name = {literal}", doing
        )
        if not states:
            return SlotMissing(f"{doing} failed: the slot does not exist")
        if states[0][0] == "lost":
            return SlotLost(
                f"{doing} failed: the server removed log that the slot needed (wal_status=lost); "
                "raise max_slot_wal_keep_size if that happens again"
            )
        if code == _OBJECT_NOT_IN_PREREQUISITE_STATE:
            return ConfigurationError(f"{error}; the slot must be a logical one of this database")
        return error


class ReplicationStream:
    """The running stream of one slot, in raw messages.

    Delivery: everything committed after the last confirmed position, in commit order, at least once: after a
    crash the server sends again what was not confirmed. Used by one thread only.
    """

    def __init__(self, connection: psycopg.Connection, slot: str, position: Position) -> None:
        # Kept so that the connection lives as long as its stream.
        self._connection = connection
        self._pgconn = connection.pgconn
        self._slot = slot
        self._drain = quick_drain(self._pgconn)
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._received = position
        self._confirmed = position
        self._status_due_at = time.monotonic() + STATUS_INTERVAL_SECONDS

    @property
    def server_position(self) -> Position:
        """How far the server had read its log when it last said so.

        While no transaction is open or unacknowledged, everything up to here may be confirmed; this is what
        lets the slot advance when other databases or unmapped tables are busy.
        """
        return self._received

    @property
    def confirmed_position(self) -> Position:
        """The last position confirmed."""
        return self._confirmed

    def receive(self, timeout_seconds: float, max_messages: int = MAX_MESSAGES) -> list[bytes]:
        """Raw XLogData messages, as many as are there; waits for the first one at most `timeout_seconds`.

        The pgoutput message begins at `pgoutput.XLOG_HEADER_BYTES` of each. Answers keepalives and reports the
        confirmed position meanwhile. Raises Transient if the connection ends, SlotLost and others as mapped.
        """
        deadline = time.monotonic() + timeout_seconds
        messages: list[bytes] = []
        pgconn = self._pgconn
        with mapped_errors(self._doing):
            pgconn.consume_input()
            refilled = False
            while True:
                if not self._drained(messages, max_messages):
                    break
                if messages:
                    if refilled:
                        break
                    refilled = True
                    pgconn.consume_input()
                elif not self._wait(deadline):
                    break
        if time.monotonic() >= self._status_due_at:
            self.send_status()
        return messages

    def confirm(self, position: Position) -> None:
        """Everything before `position` is safe downstream: the server may forget it.

        The caller does so only after Kafka acknowledged; going back is ignored. Told to the server with the
        next status (at once through `send_status`).
        """
        if position > self._confirmed:
            self._confirmed = position

    def send_status(self) -> None:
        """Tell the server the confirmed position now; `receive` does so every 10 seconds by itself."""
        received = max(self._received, self._confirmed)
        clock = int((time.time() - _EPOCH_SECONDS) * 1_000_000)
        with mapped_errors(self._doing):
            self._pgconn.put_copy_data(_status(b"r", received, self._confirmed, self._confirmed, clock, 0))
            self._pgconn.flush()
        self._status_due_at = time.monotonic() + STATUS_INTERVAL_SECONDS

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Report the confirmed position and end the stream, so that the slot is free at once.

        Messages still on their way are dropped; they come again. Close the connection afterwards: PostgreSQL
        ends a second logical stream on it at once. Raises Transient if the server does not end
        it in time; closing the connection ends it then.
        """
        self.send_status()
        deadline = time.monotonic() + timeout_seconds
        with mapped_errors(self._doing):
            self._pgconn.put_copy_end()
            self._pgconn.flush()
            while (size := self._pgconn.get_copy_data(1)[0]) >= 0:
                if size == 0 and not self._wait(deadline):
                    raise Transient(f"{self._doing}: the server did not end the stream in time")
            while (result := self._pgconn.get_result()) is not None:
                if result.status == pq.ExecStatus.FATAL_ERROR:
                    raise result_error(result)

    def _drained(self, messages: list[bytes], most: int) -> bool:
        """Take what libpq has received; False when there are `most`, True when there is nothing more now."""
        pgconn = self._pgconn
        while True:
            if self._drain is not None:
                size = self._drain(messages, most)
                if isinstance(size, bytes):
                    self._kept_alive(size)
                    continue
                if size > 0:
                    return False
            else:
                size, data = pgconn.get_copy_data(1)
                if size > 0:
                    if data[0] != 119:
                        self._kept_alive(bytes(data))
                        continue
                    messages.append(bytes(data))
                    if len(messages) >= most:
                        return False
                    continue
            if size < 0:
                self._ended()
            return True

    @property
    def _doing(self) -> str:
        return f"streaming from replication slot {self._slot!r}"

    def _wait(self, deadline: float) -> bool:
        """Wait for bytes until the deadline or until a status is due; False once the deadline has passed."""
        now = time.monotonic()
        if now >= self._status_due_at:
            self.send_status()
        wait_seconds = min(deadline, self._status_due_at) - now
        if wait_seconds > 0:
            self._poll.poll(wait_seconds * 1000)
        elif now >= deadline:
            return False
        self._pgconn.consume_input()
        return True

    def _kept_alive(self, data: bytes) -> None:
        try:
            end, _, reply_requested = _keepalive(data, 1)
        except StructError as exc:
            raise Transient(f"{self._doing}: a message of unknown kind {data[:1]!r} came; reconnecting") from exc
        self._received = max(self._received, Position(end))
        if reply_requested:
            self.send_status()

    def _ended(self) -> None:
        result = self._pgconn.get_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            raise result_error(result)
        raise Transient(f"{self._doing}: the server ended the stream (it is shutting down); reconnecting")

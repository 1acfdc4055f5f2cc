"""Continuous archiving of PostgreSQL's write-ahead log: received as a standby would, acknowledged once it is committed.

The server keeps its log for the slot until the backup has it, so nothing is lost over a restart of either. A mark,
a transaction that changes nothing, follows what others wrote: so a restore knows up to which time it is complete.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, Full, Queue
from select import select
from struct import Struct
from threading import Event, Thread
from time import monotonic
from typing import NamedTuple

import psycopg
from psycopg import pq, sql

from consumers.postgres.errors import postgres_error
from schemas.errors import ConfigurationError, OrdersyncError, Transient
from schemas.settings import DatabaseSettings

_log = logging.getLogger(__name__)
_HEADER = Struct(">cqqq")
_KEEPALIVE = Struct(">cqqc")
_STATUS = Struct(">cqqqqc")
_STATUS_SECONDS = 5.0
_WAIT_SECONDS = 0.1
_RETRY_SECONDS = 5.0
_PARTS_AHEAD = 2
_UNITS = {"kB": 1024, "MB": 1024**2, "GB": 1024**3, "B": 1}

_SLOT_GONE = "58P01"
"""The server removed the log that was asked for."""
_SLOT = "SELECT restart_lsn - '0/0' FROM pg_catalog.pg_replication_slots WHERE slot_name = %s"
_MAKE_SLOT = "SELECT pg_catalog.pg_create_physical_replication_slot(%s, true)"
_MARK = (
    "WITH told AS MATERIALIZED (SELECT clock_timestamp() - interval '1 ms' AS at) "
    "SELECT at, pg_catalog.pg_logical_emit_message(true, 'ordersync', at::text) - '0/0' FROM told"
)
_END = "SELECT pg_catalog.pg_current_wal_flush_lsn() - '0/0'"


class LogPlace(NamedTuple):
    """Where the backup's log of a server ends."""

    system_id: str
    timeline: int
    lsn: int


@dataclass(frozen=True, slots=True)
class LogPart:
    """Neighbouring bytes of a log."""

    database: str
    system_id: str
    timeline: int
    segment_bytes: int
    first_lsn: int
    content: bytes
    through_at: datetime | None

    @property
    def end_lsn(self) -> int:
        """Behind its last byte."""
        return self.first_lsn + len(self.content)


@dataclass(frozen=True, slots=True)
class LogPace:
    """When a part is handed on, whichever comes first, and how often a quiet server is marked."""

    part_bytes: int
    max_age_seconds: float
    quiet_seconds: float


class LogReceiver:
    """Follows one server in a thread of its own; the archive takes what it has."""

    def __init__(self, name: str, database: DatabaseSettings, pace: LogPace) -> None:
        self._name = name
        self._database = database
        self._pace = pace
        self._parts: Queue[LogPart] = Queue(_PARTS_AHEAD)
        self._held: LogPlace | None = None
        self._handed: LogPlace | None = None
        """Behind the last part that this process has handed on."""
        self._stop = Event()
        self._thread: Thread | None = None
        self._failure: OrdersyncError | None = None

    def advance(self, held: LogPlace | None) -> LogPart | None:
        """The next part, if there is one; `held` is where the newest commit ends, which the server may forget up to.

        Raises:
            ConfigurationError: the server refuses us.
        """
        self._held = held
        if self._thread is None:
            self._thread = Thread(target=self._run, name=f"log of {self._name}", daemon=True)
            self._thread.start()
        if self._failure is not None:
            raise self._failure
        try:
            return self._parts.get_nowait()
        except Empty:
            return None

    def close(self) -> None:
        """End; the next start goes on where the newest commit ends."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        doing = f"receiving the log of {self._name} at {self._database.host}:{self._database.port}"
        while not self._stop.is_set():
            try:
                with _Stream(self._name, self._database, self._handed or self._held) as stream:
                    self._follow(stream)
            except psycopg.Error as exc:
                problem = postgres_error(exc, doing)
                if not isinstance(problem, Transient):
                    self._failure = problem
                    return
                _log.warning("%s; trying again in %.0f s", problem, _RETRY_SECONDS)
                self._stop.wait(_RETRY_SECONDS)
            except OrdersyncError as exc:
                self._failure = exc
                return

    def _follow(self, stream: _Stream) -> None:
        pace, buffer, first_lsn = self._pace, bytearray(), stream.place.lsn
        mark: tuple[int, datetime] | None = None
        oldest_seconds: float | None = None
        quiet_since = monotonic()
        told_seconds = 0.0
        while not self._stop.is_set():
            for content in stream.poll():
                buffer += content
                oldest_seconds = oldest_seconds or monotonic()
                if len(buffer) >= pace.part_bytes:
                    break
            now = monotonic()
            if now - told_seconds >= _STATUS_SECONDS or stream.is_asked:
                held, told_seconds = self._held, now
                is_same = held is not None and held[:2] == stream.place[:2]
                stream.tell(held.lsn if is_same and held is not None else stream.place.lsn)
            waited = oldest_seconds is not None and now - oldest_seconds >= pace.max_age_seconds
            if mark is None and (waited or now - quiet_since >= pace.quiet_seconds):
                mark = stream.mark()
            end_lsn = first_lsn + len(buffer)
            is_marked = mark is not None and end_lsn >= mark[0]
            if buffer and (is_marked or len(buffer) >= pace.part_bytes):
                through_at = mark[1] if is_marked and mark is not None else None
                place = stream.place
                part = LogPart(
                    self._name,
                    place.system_id,
                    place.timeline,
                    stream.segment_bytes,
                    first_lsn,
                    bytes(buffer),
                    through_at,
                )
                if not self._hand_on(part, stream):
                    return
                first_lsn, buffer, oldest_seconds = end_lsn, bytearray(), None
                if is_marked:
                    mark, quiet_since = None, now

    def _hand_on(self, part: LogPart, stream: _Stream) -> bool:
        while not self._stop.is_set():
            try:
                self._parts.put(part, timeout=1.0)
            except Full:
                # The copies take nothing just now; the server must not believe that we are gone.
                held = self._held
                stream.tell(held.lsn if held is not None and held[:2] == stream.place[:2] else stream.place.lsn)
            else:
                self._handed = LogPlace(part.system_id, part.timeline, part.end_lsn)
                return True
        return False


class _Stream:
    """One connection that receives, and one that marks."""

    def __init__(self, name: str, database: DatabaseSettings, held: LogPlace | None) -> None:
        told = {"application_name": f"ordersync archive {name}", "connect_timeout": "10"}
        self._slot = f"ordersync_archive_{name}"
        self._sql = psycopg.connect(database.conninfo(**told), autocommit=True)
        # A mark is behind what it marks once it is on disk; no standby is waited for.
        self._sql.execute("SET synchronous_commit = 'local'")
        self._receiving = psycopg.connect(database.conninfo(**told, replication="true"), autocommit=True)
        self._pgconn = self._receiving.pgconn
        self.is_asked = False
        try:
            self.place, self.segment_bytes = self._start(held)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give both back."""
        self._receiving.close()
        self._sql.close()

    def poll(self) -> Iterator[bytes]:
        """What has come, in order; waits a moment where nothing has."""
        pgconn, has_waited = self._pgconn, False
        while True:
            count, data = pgconn.get_copy_data(1)
            if count == 0:
                if has_waited or not select([pgconn.socket], [], [], _WAIT_SECONDS)[0]:
                    return
                pgconn.consume_input()
                has_waited = True
                continue
            if count < 0:
                raise psycopg.OperationalError(f"the server ended the stream: {pgconn.get_error_message()}")
            message = bytes(data)
            if message[:1] == b"w":
                yield message[_HEADER.size :]
            elif message[:1] == b"k":
                self.is_asked = self.is_asked or _KEEPALIVE.unpack(message)[3] == b"\x01"

    def tell(self, lsn: int) -> None:
        """The server may forget what lies before `lsn`."""
        self.is_asked = False
        self._pgconn.put_copy_data(_STATUS.pack(b"r", lsn, lsn, lsn, 0, b"\0"))
        self._pgconn.flush()

    def mark(self) -> tuple[int, datetime]:
        """Write a mark; gives where it ends, and a time before it."""
        row = self._sql.execute(_MARK).fetchone()
        end = self._sql.execute(_END).fetchone()
        assert row is not None and end is not None
        return int(end[0]), row[0]

    def _start(self, held: LogPlace | None) -> tuple[LogPlace, int]:
        (system_id, timeline, _, _), (size,) = self._row("IDENTIFY_SYSTEM"), self._row("SHOW wal_segment_size")
        segment_bytes = _bytes(size)
        kept = self._kept_from()
        begin = kept - kept % segment_bytes
        if held is not None and held[:2] == (system_id, int(timeline)):
            begin = held.lsn
        try:
            self._begin(begin, int(timeline))
        except psycopg.Error as exc:
            if exc.sqlstate != _SLOT_GONE or begin == kept - kept % segment_bytes:
                raise
            begin = kept - kept % segment_bytes
            _log.error(
                "the server no longer has its log from where the backup ends: there is a hole, a new base follows"
            )
            self._begin(begin, int(timeline))
        return LogPlace(system_id, int(timeline), begin), segment_bytes

    def _kept_from(self) -> int:
        row = self._sql.execute(_SLOT, [self._slot]).fetchone()
        if row is None:
            self._sql.execute(_MAKE_SLOT, [self._slot])
            row = self._sql.execute(_SLOT, [self._slot]).fetchone()
        if row is None or row[0] is None:
            raise ConfigurationError(
                f"the replication slot {self._slot} has lost its log; drop it (pg_drop_replication_slot): it is made "
                "anew. Raise max_slot_wal_keep_size if that happens again"
            )
        return int(row[0])

    def _begin(self, lsn: int, timeline: int) -> None:
        slot = sql.Identifier(self._slot).as_string(self._sql)
        where = f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
        result = self._pgconn.exec_(f"START_REPLICATION SLOT {slot} PHYSICAL {where} TIMELINE {timeline}".encode())
        if result.status != pq.ExecStatus.COPY_BOTH:
            raise psycopg.errors.error_from_result(result)

    def _row(self, command: str) -> list[str]:
        result = self._pgconn.exec_(command.encode())
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(result)
        return [(result.get_value(0, column) or b"").decode() for column in range(result.nfields)]


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)(kB|MB|GB|B)", text)
    if found is None:
        raise ConfigurationError(f"the server has log files of {text!r}, which this version does not understand")
    return int(found[1]) * _UNITS[found[2]]

"""The PostgreSQL database that a capture reads: prepared, snapshotted, streamed and watched."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from producers.cdc.changes import Marker, Position, Relation, SourceTransaction, TableName
from producers.cdc.postgres.catalog import MappedTables, Table, misfits, read_tables
from producers.cdc.postgres.errors import mapped_errors
from producers.cdc.postgres.mapping_check import mapped_tables
from producers.cdc.postgres.pgoutput import XLOG_HEADER_BYTES, Decoder
from producers.cdc.postgres.publication import ensure_publication
from producers.cdc.postgres.readiness import require_ready
from producers.cdc.postgres.replication import CreatedSlot, ReplicationConnection, ReplicationStream
from producers.cdc.postgres.session import connect
from producers.cdc.postgres.slots import SlotState, drop_slot, require_usable, slot_state
from producers.cdc.postgres.subtrees import SubtreeReader
from producers.cdc.postgres.transactions import TransactionAssembler
from producers.cdc.postgres.types import TypeCatalog
from producers.cdc.postgres.values import PostgresRowReader
from producers.cdc.settings import CaptureSettings
from schemas.errors import Transient
from schemas.mapping import SourceMapping

HEARTBEAT: Final = "ordersync.heartbeat"

_log = logging.getLogger(__name__)


MENDED: Final = "ordersync.mended"


@dataclass(frozen=True, slots=True)
class OpenSnapshot:
    """A new slot with its snapshot; streaming from `position` continues what `readers` see without gap."""

    position: Position
    readers: list[SubtreeReader]

    def close(self) -> None:
        """Let the snapshot go."""
        for reader in self.readers:
            reader.close()


class PostgresSource:
    """One attempt's connections to the source; used by one thread. Made again after each fault."""

    def __init__(self, settings: CaptureSettings, mapping: SourceMapping) -> None:
        """Connect, check server, role, tables and columns, and bring the publication up to date.

        What does not fit is found in `misfits`, by table; the other tables can be captured.

        Raises:
            ConfigurationError: server or role are not ready, with the way to mend it.
            Transient: the server is away.
        """
        self.slot = settings.slot_of(mapping.system)
        self._publication = settings.publication_of(mapping.system)
        self._database = settings.database.dbname
        self._conninfo = settings.database.conninfo()
        self._ignored_origins = settings.ignored_origins
        self._catalog = connect(self._conninfo, application_name="ordersync-cdc-catalog")
        self._replication: ReplicationConnection | None = None
        self._tables: dict[TableName, Table] = {}
        self._mapped = mapped_tables(mapping)
        self.relations: dict[TableName, Relation] = {}
        self.misfits: dict[TableName, list[str]] = {}
        try:
            self._prepare(self._mapped)
            self.values = PostgresRowReader(TypeCatalog(self._catalog), local_timezone=mapping.zone)
            self.system_id = self._open_replication().identify().system_id
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; the slot stays."""
        if self._replication is not None:
            self._replication.close()
            self._replication = None
        self._catalog.close()

    def state(self) -> SlotState | None:
        """The slot as the server sees it now."""
        return slot_state(self._catalog, self.slot)

    def require_slot(self, reached: Position) -> None:
        """Raises SlotMissing, SlotLost if streaming from the slot would leave a gap after `reached`."""
        require_usable(self.state(), self.slot, self._database, reached)

    def open_snapshot(self, readers: int) -> OpenSnapshot:
        """Drop the slot if there is one, create it anew and take the snapshot that belongs to it, in several readers.

        Waits until the transactions that run now have ended. Raises ConfigurationError, Transient.
        """
        drop_slot(self._catalog, self.slot)
        created: CreatedSlot = self._open_replication().create_slot(self.slot)
        opened = OpenSnapshot(created.consistent_position, [])
        try:
            for _ in range(readers):
                opened.readers.append(SubtreeReader(self._conninfo, self._tables, created.snapshot_name))
        except BaseException:
            opened.close()
            raise
        return opened

    def recreate_slot(self) -> Position:
        """Drop the slot if there is one and create it anew; gives the position that it begins at.

        Waits until the transactions that run now have ended. Raises ConfigurationError, Transient.
        """
        drop_slot(self._catalog, self.slot)
        return self._open_replication().create_slot(self.slot, snapshot=False).consistent_position

    def reader(self) -> SubtreeReader:
        """A connection that reads portions as they are then; usable in another thread."""
        return SubtreeReader(self._conninfo, self._tables)

    def estimated_rows(self, name: TableName) -> int:
        """How many rows the server believes the table to have."""
        return self._tables[name].estimated_rows

    def misfits_now(self) -> dict[TableName, list[str]]:
        """What of the live tables does not fit the mapping at this moment."""
        return misfits(read_tables(self._catalog), self._mapped, self._catalog.info.server_version)

    def mark(self, prefix: str, content: str) -> None:
        """Write a message into the log, which comes by in the stream."""
        with mapped_errors("writing a message into the source's log"):
            self._catalog.execute("SELECT pg_catalog.pg_logical_emit_message(false, %s, %s)", (prefix, content))

    def stream(self, reached: Position) -> ChangeStream:
        """Stream everything that was committed after `reached`.

        Raises:
            SlotMissing, SlotLost: it would leave a gap.
            Transient: another connection still uses the slot, or the server is away.
        """
        self.require_slot(reached)
        stream = self._open_replication().start(self.slot, self._publication, reached)
        return ChangeStream(stream, self._ignored_origins)

    def beat(self) -> None:
        """Write a message into the log, so that the slot of an idle database moves on."""
        self.mark(HEARTBEAT, "")

    def _prepare(self, mapped: MappedTables) -> None:
        version = self._catalog.info.server_version
        live = read_tables(self._catalog)
        self.misfits = misfits(live, mapped, version)
        tables = [live[name] for name in mapped if name not in self.misfits]
        require_ready(self._catalog, self.slot, tables)
        if not tables:
            return
        publication = ensure_publication(self._catalog, self._publication, tables, mapped)
        self._tables = {table.name: table for table in tables}
        self.relations = {
            table.name: table.relation(generated_columns=publication.generated_columns) for table in tables
        }

    def _open_replication(self) -> ReplicationConnection:
        if self._replication is None:
            self._replication = ReplicationConnection(self._conninfo)
        return self._replication


class ChangeStream:
    """The source's committed transactions, as they come."""

    def __init__(self, stream: ReplicationStream, ignored_origins: tuple[str, ...]) -> None:
        self._stream = stream
        self._assembler = TransactionAssembler(Decoder(), ignored_origins=ignored_origins)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was received only in part."""
        return self._assembler.in_transaction

    @property
    def server_position(self) -> Position:
        """How far the server has read its log; see `ReplicationStream.server_position`."""
        return self._stream.server_position

    def receive(self, timeout_seconds: float) -> list[SourceTransaction | Marker]:
        """What has come, waiting at most `timeout_seconds` for the first of it."""
        messages = self._stream.receive(timeout_seconds)
        return self._assembler.feed(messages, XLOG_HEADER_BYTES) if messages else []

    def confirm(self, position: Position) -> None:
        """Everything before `position` is safe; tell the server at once."""
        self._stream.confirm(position)
        self._stream.send_status()

    def stop(self) -> None:
        """End the stream in good order, so that the slot is free at once."""
        try:
            self._stream.stop()
        except Transient as exc:
            _log.warning("%s; the connection is closed instead", exc)


class Heartbeat:
    """Says when the next message is due on a database where nothing happens."""

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        self._due_at = time.monotonic() + interval_seconds

    def is_due(self) -> bool:
        """Whether it is time; counts from the last time it was."""
        now = time.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + self._interval_seconds
        return True

"""What the server knows about a replication slot, and what that means for the capture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

import psycopg

from producers.cdc.changes import Position
from producers.cdc.postgres.errors import SlotLost, SlotMissing, mapped_errors
from producers.cdc.postgres.lsn import lsn_text, position_of
from schemas.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SlotState:
    """One row of `pg_replication_slots`; `invalidation` is the server's own reason (PostgreSQL 17), None if valid.

    `retained_bytes` is the log that the slot keeps on the server's disk; `safe_bytes` how much more may be
    written before the slot is in danger (None: without limit). `wal_status` is reserved, extended, unreserved
    or lost.
    """

    name: str
    plugin: str
    database: str
    active: bool
    confirmed_position: Position | None
    restart_position: Position | None
    wal_status: str
    retained_bytes: int
    safe_bytes: int | None
    server_position: Position
    invalidation: str | None
    survives_failover: bool

    @property
    def lost(self) -> bool:
        """Whether the server has discarded log that the slot still needed, or will not serve it any more."""
        return self.wal_status == "lost" or self.invalidation is not None


_STATE: LiteralString = """
    SELECT slot_name, plugin, database, active, confirmed_flush_lsn::text, restart_lsn::text, wal_status,
           coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint, safe_wal_size,
           pg_current_wal_lsn()::text, to_jsonb(s) ->> 'invalidation_reason',
           coalesce((to_jsonb(s) ->> 'failover')::boolean, false)
      FROM pg_catalog.pg_replication_slots s
     WHERE slot_name = %s
"""


def slot_state(connection: psycopg.Connection, slot: str) -> SlotState | None:
    """The slot's state, None if there is none; asked at start and for the metrics.

    `connection` is an ordinary one (not a replication connection). Raises as `mapped_errors` does.
    """
    with mapped_errors(f"reading the state of replication slot {slot!r}"):
        row = connection.execute(_STATE, (slot,)).fetchone()
    return None if row is None else _state(row)


def require_usable(state: SlotState | None, slot: str, database: str, reached: Position | None) -> SlotState:
    """Refuse to stream from a slot that would leave a gap after `reached`, the last position made safe.

    The capture worker calls it before each start. Raises SlotMissing, SlotLost (also for a slot that was
    recreated behind our back: it starts later than what we have), ConfigurationError for another's slot.
    """
    if state is None:
        raise SlotMissing(
            f"replication slot {slot!r} does not exist in {database!r}: somebody dropped it, or this is not the "
            "server that was captured before"
        )
    if state.plugin != "pgoutput" or state.database != database:
        raise ConfigurationError(
            f"replication slot {slot!r} belongs to plugin {state.plugin!r} of database {state.database!r}; "
            f"choose another slot name for the capture of {database!r}"
        )
    if state.lost:
        raise SlotLost(
            f"replication slot {slot!r} was invalidated (wal_status={state.wal_status}, invalidation_reason="
            f"{state.invalidation or 'unknown'}): the server removed log that the capture had not read; raise "
            "max_slot_wal_keep_size if that happens again"
        )
    if reached is not None and state.server_position < reached:
        raise SlotLost(
            f"the server's log ends at {lsn_text(state.server_position)}, before {lsn_text(reached)} which the capture "
            "reached: it was restored from an older copy, or a standby that lagged behind took over"
        )
    confirmed = state.confirmed_position
    if reached is not None and confirmed is not None and confirmed > reached:
        raise SlotLost(
            f"replication slot {slot!r} starts at {lsn_text(confirmed)}, later than {lsn_text(reached)} which the "
            "capture reached: it was recreated or advanced by somebody else"
        )
    return state


def drop_slot(connection: psycopg.Connection, slot: str) -> bool:
    """Drop the slot if it exists; whether it did. Raises Transient while it is still in use."""
    with mapped_errors(f"dropping replication slot {slot!r}"):
        if slot_state(connection, slot) is None:
            return False
        connection.execute("SELECT pg_catalog.pg_drop_replication_slot(%s)", (slot,))
        return True


def _state(row: Sequence[object]) -> SlotState:
    name, plugin, database, active, confirmed, restart, wal_status, retained, safe, server, why, failover = row
    return SlotState(
        name=str(name),
        plugin=str(plugin),
        database=str(database),
        active=bool(active),
        confirmed_position=position_of(confirmed) if isinstance(confirmed, str) else None,
        restart_position=position_of(restart) if isinstance(restart, str) else None,
        wal_status=str(wal_status or "lost"),
        retained_bytes=int(str(retained)),
        safe_bytes=int(str(safe)) if safe is not None else None,
        server_position=position_of(str(server)),
        invalidation=str(why) if why is not None else None,
        survives_failover=bool(failover),
    )

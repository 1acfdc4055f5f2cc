"""Brings the records of a batch into the index: the latest of each key, in one transaction with their offsets."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from deploy.console.index.store import IndexStore, Place
from deploy.console.index.terms import order_terms
from deploy.order_masking import masked_violation
from schemas.models import AuditEvent, Mismatch, OrderState, ParkedOrder, Rejection

_TIE_BITS = 22
_TICK = timedelta(milliseconds=1)
_FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_HAS_ID = "SELECT 1 FROM found_order WHERE id = ?"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Batch:
    """Decoded records; a tombstone is None."""

    states: dict[str, OrderState | None] = field(default_factory=dict)
    letters: dict[str, tuple[Rejection, int, int]] = field(default_factory=dict)
    """With the partition and offset where the letter stands."""
    parked: dict[str, ParkedOrder | None] = field(default_factory=dict)
    mismatches: dict[str, Mismatch | None] = field(default_factory=dict)
    deeds: list[AuditEvent] = field(default_factory=list)


def write(store: IndexStore, batch: Batch, positions: Mapping[Place, int]) -> None:
    """Apply a batch; the same batch again changes nothing.

    Raises:
        Fatal: the index cannot be written.
    """
    with store.writing() as connection:
        _states(connection, batch.states)
        _replace(connection, "dead_letter", "rejection_id", {key: _letter(*one) for key, one in batch.letters.items()})
        parked = {key: None if one is None else _parked(one) for key, one in batch.parked.items()}
        _replace(connection, "parked_order", "order_id", parked)
        mismatches = {key: None if one is None else _mismatch(key, one) for key, one in batch.mismatches.items()}
        _replace(connection, "mismatch", "mismatch_id", mismatches)
        _replace(connection, "deed", "audit_id", {one.audit_id: _deed(one) for one in batch.deeds})
        rows = [(topic, partition, offset) for (topic, partition), offset in positions.items()]
        connection.executemany("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", rows)


def microseconds(instant: datetime) -> int:
    """Since 1970."""
    passed = instant - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def instant_of(moment: int) -> datetime:
    """The time of microseconds since 1970."""
    return datetime.fromtimestamp(moment / 1_000_000, UTC)


def _states(connection: sqlite3.Connection, states: Mapping[str, OrderState | None]) -> None:
    if not states:
        return
    known = _known(connection, states)
    tally: Counter[str] = Counter()
    taken: set[int] = set()
    changes: list[tuple[int, sqlite3.Row | None, tuple[Any, ...] | None]] = []
    for order_id, state in states.items():
        before = known.get(order_id)
        if before is not None:
            tally[before["order_status"]] -= 1
        if state is None:
            if before is not None:
                changes.append((before["id"], before, None))
            continue
        tally[state.order_status] += 1
        row_id = before["id"] if before is not None else _free_id(connection, state, taken)
        taken.add(row_id)
        changes.append((row_id, before, _order(row_id, state)))
    # The full-text index takes rows in the order of their ids; out of order it would flush with each of them.
    changes.sort(key=lambda change: change[0])
    for row_id, before, row in changes:
        is_same = before is not None and row is not None and before["terms"] == row[-1]
        if before is not None and not is_same:
            _words(connection, "INSERT INTO order_words (order_words, rowid, terms) VALUES ('delete', ?, ?)", before)
        if row is None:
            connection.execute("DELETE FROM found_order WHERE id = ?", (row_id,))
            continue
        connection.execute(_PUT_ORDER, row)
        if not is_same:
            connection.execute("INSERT INTO order_words (rowid, terms) VALUES (?, ?)", (row_id, row[-1]))
    added = "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET orders = orders + excluded.orders"
    connection.executemany(added, tally.items())


_PUT_ORDER = f"INSERT OR REPLACE INTO found_order VALUES ({', '.join('?' * 16)})"


def _words(connection: sqlite3.Connection, statement: str, row: sqlite3.Row) -> None:
    connection.execute(statement, (row["id"], row["terms"]))


def _known(connection: sqlite3.Connection, order_ids: Iterable[str]) -> dict[str, sqlite3.Row]:
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    found: dict[str, sqlite3.Row] = {}
    for order_id in order_ids:
        cursor.execute("SELECT id, order_status, terms FROM found_order WHERE order_id = ?", (order_id,))
        row = cursor.fetchone()
        if row is not None:
            found[order_id] = row
    return found


def _free_id(connection: sqlite3.Connection, state: OrderState, taken: set[int]) -> int:
    """An id near the time of placing. A snapshot places a million orders in one moment, so the room grows at need."""
    passed = (state.placed_at - _FIRST_MOMENT) // _TICK << _TIE_BITS
    key, room = state.order_id.encode(), 1 << _TIE_BITS
    while True:
        wanted = passed + int.from_bytes(blake2b(key, digest_size=8, salt=b"%d" % room.bit_length()).digest()) % room
        if wanted not in taken and not connection.execute(_HAS_ID, (wanted,)).fetchone():
            return wanted
        room <<= 1


def _order(row_id: int, state: OrderState) -> tuple[Any, ...]:
    order, enrichment = state.order, state.enrichment
    return (
        row_id,
        state.order_id,
        state.version,
        state.order_status,
        state.fulfilment_status,
        state.billing_status,
        state.payment_status,
        None if order is None else order.buyer_customer_party_id,
        None if enrichment is None else enrichment.customer_name,
        None if order is None else order.customer_reference,
        None if order is None else order.document_currency_code,
        None if order is None else str(order.payable_amount),
        len(state.warnings),
        microseconds(state.placed_at),
        microseconds(state.committed_at),
        order_terms(state),
    )


def _letter(letter: Rejection, partition: int, offset: int) -> tuple[Any, ...]:
    original = letter.original
    return (
        letter.rejection_id,
        letter.order_id,
        letter.stage,
        " ".join(dict.fromkeys(one.rule for one in letter.violations)),
        # The list is for everybody; the letter itself tells more to those who may see it.
        masked_violation(letter.violations[0]).message if letter.violations else "",
        f"{original.topic}/{original.partition}/{original.offset}",
        microseconds(letter.rejected_at),
        partition,
        offset,
    )


def _parked(parked: ParkedOrder) -> tuple[Any, ...]:
    awaits = json.dumps([[one.topic, one.key] for one in parked.awaits])
    held = len(parked.held)
    return parked.order_id, awaits, held, microseconds(parked.parked_at), microseconds(parked.deadline_at)


def _mismatch(key: str, one: Mismatch) -> tuple[Any, ...]:
    return key, one.order_id, one.system, microseconds(one.detected_at), one.model_dump_json()


def _deed(deed: AuditEvent) -> tuple[Any, ...]:
    changes = json.dumps(deed.changes)
    at = microseconds(deed.occurred_at)
    return deed.audit_id, deed.actor, deed.action, deed.subject, deed.reference, changes, deed.reason, at


def _replace(connection: sqlite3.Connection, table: str, key: str, rows: Mapping[str, tuple[Any, ...] | None]) -> None:
    gone = [(name,) for name, row in rows.items() if row is None]
    connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", gone)
    kept = [row for row in rows.values() if row is not None]
    if kept:
        places = ", ".join("?" * len(kept[0]))
        connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", kept)

"""What pages ask the index: orders by words, dead letters, parked orders, differences, deeds and counts."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from deploy.console.index.store import IndexStore
from deploy.console.index.terms import question_words
from deploy.console.index.writing import instant_of
from schemas.errors import Transient
from schemas.models import AwaitedRecord, Mismatch

PAGE: Final = 50
_PREFIXES: Final = (8, 5, 3)
"""Beginnings of words that the full-text index keeps (`prefix` in tables.sql)."""
_PATIENCE_SECONDS: Final = 0.1
_FIRST_SECONDS: Final = 0.03


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """One order in a list."""

    order_id: str
    version: int
    order_status: str
    fulfilment_status: str
    billing_status: str
    payment_status: str
    customer_id: str | None
    customer_name: str | None
    customer_reference: str | None
    currency_code: str | None
    payable_amount: str | None
    warnings: int
    placed_at: datetime
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a question; `too_wide` where only whole words were looked for because too much begins so."""

    orders: list[FoundOrder] = field(default_factory=list)
    next_before: int | None = None
    """What to ask for next, where more was found."""
    too_wide: bool = False

    @property
    def has_more(self) -> bool:
        """Whether older ones were found, too."""
        return self.next_before is not None


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """One dead letter in a list, and where the whole of it stands."""

    rejection_id: str
    order_id: str | None
    stage: str
    rules: list[str]
    message: str
    origin: str
    rejected_at: datetime
    partition: int
    offset: int
    is_done: bool
    """Whether somebody replayed it."""


@dataclass(frozen=True, slots=True)
class ListedParked:
    """An order that waits."""

    order_id: str
    awaits: list[AwaitedRecord]
    held: int
    parked_at: datetime
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class ListedDeed:
    """One line of the audit."""

    audit_id: str
    actor: str
    action: str
    subject: str
    reference: str | None
    changes: list[str]
    reason: str | None
    occurred_at: datetime


_REPLAYED: Final = "action IN ('DeadLetterReplayed', 'DeadLetterMended')"
_LETTERS: Final = (
    f"SELECT *, EXISTS (SELECT 1 FROM deed WHERE reference = rejection_id AND {_REPLAYED}) AS is_done FROM dead_letter"
)


class Questions:
    """Read-only; any thread may ask."""

    def __init__(self, store: IndexStore) -> None:
        self._store = store

    def find(self, text: str, before: int | None = None) -> Found:
        """The newest orders in which every word is found: as a whole, else the beginning of it."""
        words = question_words(text)
        if not words:
            return self._newest(before)
        found = self._matching(" ".join(map(_quoted, words)), [], before, _PATIENCE_SECONDS)
        if found:
            return _page(found)
        # Where much begins so, rows are soon found that do; where little does, there are few words to go through.
        for search in (self._by_kept_beginnings, self._by_all_words_beginning_so):
            try:
                return _page(search(words, before))
            except Transient:
                continue
        return Found(too_wide=True)

    def order(self, order_id: str) -> FoundOrder | None:
        """One order."""
        row = self._store.row("SELECT * FROM found_order WHERE order_id = ?", (order_id,))
        return None if row is None else _order(row)

    def tallies(self) -> dict[str, int]:
        """Orders by status."""
        rows = self._store.rows("SELECT name, orders FROM tally WHERE orders > 0 ORDER BY orders DESC")
        return {row["name"]: row["orders"] for row in rows}

    def letters(
        self, rule: str = "", order_id: str = "", *, open_only: bool = True, limit: int = 200
    ) -> list[ListedLetter]:
        """Dead letters, newest first."""
        conditions, values = ["1"], list[str | int]()
        if rule:
            conditions.append("instr(' ' || rules || ' ', ' ' || ? || ' ') > 0")
            values.append(rule)
        if order_id:
            conditions.append("order_id = ?")
            values.append(order_id)
        if open_only:
            conditions.append("NOT is_done")
        query = f"SELECT * FROM ({_LETTERS}) WHERE {' AND '.join(conditions)} ORDER BY rejected_at DESC LIMIT ?"
        return [_letter(row) for row in self._store.rows(query, [*values, limit])]

    def letter(self, rejection_id: str) -> ListedLetter | None:
        """One dead letter."""
        row = self._store.row(f"SELECT * FROM ({_LETTERS}) WHERE rejection_id = ?", (rejection_id,))
        return None if row is None else _letter(row)

    def open_letters(self) -> int:
        """Dead letters that nobody has replayed."""
        return self._store.number(
            "SELECT count(*) FROM dead_letter WHERE NOT EXISTS "
            f"(SELECT 1 FROM deed WHERE reference = rejection_id AND {_REPLAYED})"
        )

    def refused_by_rule(self) -> list[tuple[str, int]]:
        """Open dead letters by the rules that they violate."""
        counts: dict[str, int] = {}
        query = f"SELECT rules, count(*) AS letters FROM ({_LETTERS}) WHERE NOT is_done GROUP BY rules"
        for row in self._store.rows(query):
            for rule in row["rules"].split():
                counts[rule] = counts.get(rule, 0) + row["letters"]
        return sorted(counts.items(), key=lambda one: (-one[1], one[0]))

    def parked(self, limit: int = 200) -> list[ListedParked]:
        """Orders that wait, those that must come first first."""
        rows = self._store.rows("SELECT * FROM parked_order ORDER BY deadline_at LIMIT ?", (limit,))
        return [_parked(row) for row in rows]

    def parked_count(self) -> int:
        """How many orders wait."""
        return self._store.number("SELECT count(*) FROM parked_order")

    def mismatches(self, limit: int = 500) -> list[Mismatch]:
        """Standing differences, newest first."""
        rows = self._store.rows(
            "SELECT document FROM mismatch ORDER BY detected_at DESC, mismatch_id LIMIT ?", (limit,)
        )
        return [Mismatch.model_validate_json(row["document"]) for row in rows]

    def mismatch(self, mismatch_id: str) -> Mismatch | None:
        """One standing difference."""
        row = self._store.row("SELECT document FROM mismatch WHERE mismatch_id = ?", (mismatch_id,))
        return None if row is None else Mismatch.model_validate_json(row["document"])

    def mismatches_by_system(self) -> list[tuple[str, int]]:
        """Standing differences by the system that differs."""
        rows = self._store.rows("SELECT system, count(*) AS found FROM mismatch GROUP BY system ORDER BY 2 DESC, 1")
        return [(row["system"], row["found"]) for row in rows]

    def deeds(self, *, subject: str = "", reference: str = "", actor: str = "", limit: int = 200) -> list[ListedDeed]:
        """Who did what, newest first; empty words ask for all."""
        asked = {"subject": subject, "reference": reference, "actor": actor}
        given = {name: value for name, value in asked.items() if value}
        condition = " AND ".join(f"{name} = ?" for name in given) or "1"
        query = f"SELECT * FROM deed WHERE {condition} ORDER BY occurred_at DESC LIMIT ?"
        return [_deed(row) for row in self._store.rows(query, [*given.values(), limit])]

    def _newest(self, before: int | None) -> Found:
        query = "SELECT * FROM found_order WHERE id < ? ORDER BY id DESC LIMIT ?"
        return _page(self._store.rows(query, (_end(before), PAGE + 1)))

    def _matching(self, match: str, whole: list[str], before: int | None, seconds: float) -> list[sqlite3.Row]:
        filters = "".join(" AND instr(' ' || o.terms, ' ' || ?) > 0" for _ in whole)
        query = (
            "SELECT o.* FROM order_words w JOIN found_order o ON o.id = w.rowid "
            f"WHERE order_words MATCH ? AND w.rowid < ?{filters} ORDER BY w.rowid DESC LIMIT ?"
        )
        values = [match, _end(before), *whole, PAGE + 1]
        return self._store.rows(query, values, seconds=seconds)

    def _by_kept_beginnings(self, words: list[str], before: int | None) -> list[sqlite3.Row]:
        """Looks up the longest beginning of each word that is kept, and holds the rows against the rest of it."""
        asked, whole = [], []
        for word in words:
            size = next((size for size in _PREFIXES if len(word) >= size), 0)
            asked.append(_quoted(word[:size]) + " *" if size else _quoted(word))
            if size and len(word) > size:
                whole.append(word)
        return self._matching(" ".join(asked), whole, before, _FIRST_SECONDS if whole else _PATIENCE_SECONDS)

    def _by_all_words_beginning_so(self, words: list[str], before: int | None) -> list[sqlite3.Row]:
        """Goes through every word of the index that begins so."""
        asked = (_quoted(word) + (" *" if len(word) >= _PREFIXES[-1] else "") for word in words)
        return self._matching(" ".join(asked), [], before, _PATIENCE_SECONDS)


def _quoted(word: str) -> str:
    """A word of a question as a string of the full-text index, where nothing in it is an operator."""
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


def _end(before: int | None) -> int:
    return (1 << 62) if before is None else before


def _page(rows: list[sqlite3.Row]) -> Found:
    more = rows[PAGE - 1]["id"] if len(rows) > PAGE else None
    return Found([_order(row) for row in rows[:PAGE]], more)


def _order(row: sqlite3.Row) -> FoundOrder:
    values = {name: row[name] for name in FoundOrder.__dataclass_fields__}
    values |= {name: instant_of(row[name]) for name in ("placed_at", "committed_at")}
    return FoundOrder(**values)


def _letter(row: sqlite3.Row) -> ListedLetter:
    values = {name: row[name] for name in ListedLetter.__dataclass_fields__}
    at, rules = instant_of(row["rejected_at"]), row["rules"].split()
    return ListedLetter(**(values | {"rejected_at": at, "rules": rules, "is_done": bool(row["is_done"])}))


def _parked(row: sqlite3.Row) -> ListedParked:
    awaits = [AwaitedRecord(topic=topic, key=key) for topic, key in json.loads(row["awaits"])]
    at, deadline = instant_of(row["parked_at"]), instant_of(row["deadline_at"])
    return ListedParked(row["order_id"], awaits, row["held"], at, deadline)


def _deed(row: sqlite3.Row) -> ListedDeed:
    values = {name: row[name] for name in ListedDeed.__dataclass_fields__}
    values |= {"changes": json.loads(row["changes"]), "occurred_at": instant_of(row["occurred_at"])}
    return ListedDeed(**values)

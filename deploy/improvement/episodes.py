"""The differences that there were, from the records of `orders.mismatches` and their tombstones."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from deploy.improvement.findings import Cause, Finding, Kind, Money
from schemas.models import Mismatch


class MismatchRecord(NamedTuple):
    """One record of the topic; a tombstone has no mismatch."""

    mismatch_id: str
    written_at: datetime
    mismatch: Mismatch | None


def episodes(records: Iterable[MismatchRecord]) -> Iterable[Finding]:
    """Each difference once, from its detection to its tombstone; `records` in order for each id.

    A difference that healed and came again is two. Its cause is the one that was named last, its amount the largest
    that was seen while it stood.
    """
    standing: dict[str, tuple[Mismatch, Money | None]] = {}
    for record in records:
        known = standing.pop(record.mismatch_id, None)
        if record.mismatch is None:
            if known is not None:
                yield _finding(*known, healed_at=record.written_at)
            continue
        largest = _larger(known[1] if known is not None else None, _money(record.mismatch))
        standing[record.mismatch_id] = record.mismatch, largest
    for mismatch, money in standing.values():
        yield _finding(mismatch, money, healed_at=None)


def _finding(mismatch: Mismatch, money: Money | None, *, healed_at: datetime | None) -> Finding:
    source = mismatch.order_id.partition(":")[0]
    cause = Cause(Kind.MISMATCH, mismatch.cause, source, mismatch.system)
    return Finding(cause, mismatch.order_id, mismatch.detected_at, money, healed_at, healed_at is None)


def _money(mismatch: Mismatch) -> Money | None:
    if mismatch.amount is None or mismatch.currency_code is None:
        return None
    return Money(abs(mismatch.amount), mismatch.currency_code)


def _larger(one: Money | None, other: Money | None) -> Money | None:
    if one is None or other is None:
        return one or other
    return one if one.currency_code == other.currency_code and one.amount > other.amount else other

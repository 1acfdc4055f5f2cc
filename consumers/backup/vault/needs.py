"""Which files a restore to a moment reads: what a restorer asks, and what retention must leave; pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.holdings import BaseBackup, Segment, StateSnapshot
from consumers.sink import Partition
from schemas.topics import CATALOGUE, HISTORY_MILLISECONDS, Retention

LONGEST_TRANSACTION = timedelta(minutes=15)
"""No transaction lasts longer: the brokers' `transaction.max.timeout.ms`. So far from a moment may lie what belongs
to it by its transaction alone."""

MARGIN_MS = int(LONGEST_TRANSACTION.total_seconds() * 1000)


def is_compacted(topic: str) -> bool:
    """Whether a topic means the latest record of each key."""
    return CATALOGUE[topic].retention is Retention.COMPACTED


def history_ms(topic: str) -> int | None:
    """How far back a topic reaches at any moment; None where it keeps everything, or the latest of each key."""
    return HISTORY_MILLISECONDS if CATALOGUE[topic].retention is Retention.MONTH else None


def milliseconds(moment: datetime) -> int:
    """Since 1970, as Kafka counts; a part of a millisecond is cut off."""
    return int(moment.timestamp() * 1000)


def base_snapshot(catalogue: Catalogue, partition: Partition, until_ms: int) -> StateSnapshot | None:
    """The newest state that a reader of the records until then may begin with; None where it reads from the start."""
    # A reader may ask for some more than the moment that it is about.
    limit = until_ms - 2 * MARGIN_MS
    known = catalogue.snapshots.get(partition, ())
    return next(
        (one for one in reversed(known) if one.usable_from_ms is not None and one.usable_from_ms <= limit), None
    )


def read_from(catalogue: Catalogue, partition: Partition, until_ms: int) -> tuple[StateSnapshot | None, int, int]:
    """Where a reader of the records until then begins: the state, the first offset, and the time before all others."""
    history = history_ms(partition.topic)
    since_ms = -1 if history is None else until_ms - history
    snapshot = base_snapshot(catalogue, partition, until_ms) if is_compacted(partition.topic) else None
    return snapshot, 0 if snapshot is None else snapshot.end_offset, since_ms


def segments_until(catalogue: Catalogue, partition: Partition, until_ms: int) -> Iterator[Segment]:
    """The segments that a reader of the records until then opens, after the state that it begins with."""
    _, first, since_ms = read_from(catalogue, partition, until_ms)
    for segment in catalogue.segments.get(partition, ()):
        holds = segment.holds
        if holds.end_offset > first and holds.earliest_ms <= until_ms and holds.latest_ms > since_ms:
            yield segment


def base_before(catalogue: Catalogue, database: str, at: datetime) -> BaseBackup | None:
    """The base backup that a restore to a moment begins with.

    Where the server's log is followed, one that had ended by then: a server cannot stop in the middle of one.
    """
    for base in reversed(catalogue.complete_bases(database)):
        run, span = catalogue.log_of(base), base.log
        consistent_at = None if run is None or span is None else run.consistent_at(span)
        if base.taken_at <= at and (run is None or (consistent_at is not None and consistent_at <= at)):
            return base
    return None


def has_expired(catalogue: Catalogue, partition: Partition, until: datetime) -> bool:
    """Whether something that a reader of the partition's records until then needs is no longer there."""
    until_ms = milliseconds(until)
    _, first, since_ms = read_from(catalogue, partition, until_ms)
    return any(
        one.end_offset > first and one.earliest_ms <= until_ms and one.latest_ms > since_ms
        for one in catalogue.expired_segments.get(partition, ())
    )


def is_whole(catalogue: Catalogue, until: datetime) -> bool:
    """Whether every topic can be restored to that moment, as far as files have expired."""
    return not any(has_expired(catalogue, partition, until) for partition in catalogue.expired_segments)

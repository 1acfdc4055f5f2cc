"""Looks at every consumer group of the broker, again and again, and tells how each does."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic, time

from deploy.telemetry.lag.broker import BrokerOffsets, Extent, GroupOffsets
from deploy.telemetry.lag.report import GroupLag, LagReport, PartitionLag, Place
from deploy.telemetry.lag.trend import Observation, TrendSettings, life_of, standing_of
from deploy.telemetry.lag.unread import Position, Unread, UnreadRecords
from deploy.telemetry.lag.waiting import OpenTransactions
from schemas.settings import KafkaSettings


class LagMonitor:
    """Keeps a window of observations for each group and partition; used by one thread.

    The worker `lag` has one, and so may a program that shows lag to people: `look` once an interval.
    """

    def __init__(self, kafka: KafkaSettings, trend: TrendSettings | None = None) -> None:
        self._trend = trend or TrendSettings()
        self._broker = BrokerOffsets(kafka, self._trend.ignored_groups)
        self._unread = UnreadRecords(kafka)
        self._open = OpenTransactions()
        self._windows: dict[tuple[str, Place], deque[Observation]] = {}

    def look(self) -> LagReport:
        """Ask the broker once. A judgement of a trend comes when `trend.looks` of them were made.

        Raises:
            Transient: the brokers do not answer; the window keeps what was seen before.
            ConfigurationError: they refuse.
        """
        groups = self._broker.groups()
        extents = self._broker.extents({place for one in groups for place in one.committed})
        waiting = {
            Position(place, max(offset, extents[place].start)): extents[place].end
            for one in groups
            for place, offset in one.committed.items()
            if place in extents and max(offset, extents[place].start) < extents[place].end
        }
        unread = self._unread.find(waiting, self._trend.unread_seconds)
        now = time()
        before, self._windows = self._windows, {}
        lags = tuple(self._group(one, extents, unread, before, now) for one in groups)
        return LagReport(datetime.fromtimestamp(now, UTC), lags, self._open.seconds(extents, monotonic()))

    def close(self) -> None:
        """Give the connections back."""
        self._unread.close()

    def _group(
        self,
        offsets: GroupOffsets,
        extents: Mapping[Place, Extent],
        unread: Mapping[Position, Unread],
        before: Mapping[tuple[str, Place], deque[Observation]],
        now: float,
    ) -> GroupLag:
        partitions = []
        for place, committed in sorted(offsets.committed.items()):
            extent = extents.get(place)
            if extent is None:
                continue
            observed = _observed(committed, extent, unread.get(Position(place, max(committed, extent.start))), now)
            window = before.get((offsets.group, place)) or deque[Observation](maxlen=self._trend.looks)
            window.append(observed)
            self._windows[offsets.group, place] = window
            standing = standing_of(life_of(list(window)), members=offsets.members, looks=self._trend.looks)
            partitions.append(
                PartitionLag(
                    topic=place.topic,
                    partition=place.partition,
                    committed=committed,
                    end=extent.end,
                    lag_records=observed.lag_records,
                    lag_seconds=observed.lag_seconds,
                    standing=standing,
                    expired_records=max(0, extent.start - committed),
                )
            )
        return GroupLag(offsets.group, offsets.members, tuple(partitions))


def _observed(committed: int, extent: Extent, unread: Unread | None, now: float) -> Observation:
    next_offset = max(committed, extent.start) if unread is None else unread.offset
    records = max(0, extent.end - next_offset)
    written_at = None if unread is None else unread.written_at
    # Clocks of other machines may go ahead of ours.
    seconds = max(0.0, now - written_at) if records and written_at else 0.0
    return Observation(committed, extent.end, records, seconds)

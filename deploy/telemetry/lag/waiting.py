"""Transactions that do not end: readers of whole transactions stand still before them, and show no lag."""

from __future__ import annotations

from collections.abc import Mapping

from deploy.telemetry.lag.broker import Extent
from deploy.telemetry.lag.report import Place


class OpenTransactions:
    """Remembers since when each partition ends at the same open transaction; used by one thread."""

    def __init__(self) -> None:
        self._since: dict[Place, tuple[int, float]] = {}

    def seconds(self, extents: Mapping[Place, Extent], now: float) -> dict[Place, float]:
        """For how long each partition has ended at the transaction that is open there; 0 where none is.

        Counted from the first look that saw it. One transaction after the other is none that does not end: the end
        moves on with each. `now` in seconds of any clock that never goes back.
        """
        before, self._since = self._since, {}
        for place, extent in extents.items():
            if extent.has_open_transaction:
                end, since = before.get(place, (extent.end, now))
                self._since[place] = (extent.end, since if end == extent.end else now)
        return {place: now - self._since[place][1] if place in self._since else 0.0 for place in extents}

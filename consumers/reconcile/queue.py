"""Which orders are to be looked at, and which need not be there yet. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from consumers.reconcile.comparison import ERP, LEDGER
from consumers.reconcile.watermarks import Watermark


@dataclass(frozen=True, slots=True)
class Arrival:
    """A state that may not have come to every sink yet."""

    partition: int
    written_at: float
    is_late: bool = False
    """It was looked at when its time was over, and is looked at again when it has come."""
    awaited: frozenset[str] = frozenset({ERP, LEDGER})
    """The systems that it is waited for."""


class Queue:
    """Orders due at once, orders on their way, and orders that the next look at the sources decides about."""

    def __init__(self) -> None:
        self._due: dict[str, None] = {}
        self._arriving: dict[str, Arrival] = {}
        self._unlocated: set[str] = set()

    def __len__(self) -> int:
        """How many are due."""
        return len(self._due)

    def add(self, order_ids: Iterable[str]) -> None:
        """These are to be looked at in the next round."""
        self._due.update(dict.fromkeys(order_ids))

    def expect(self, order_id: str, arrival: Arrival) -> None:
        """This one is to be looked at when every sink must have it."""
        self._arriving[order_id] = arrival

    def await_sources(self, order_id: str) -> None:
        """This one is to be looked at again after the next look at the sources."""
        self._unlocated.add(order_id)

    def sources_seen(self) -> None:
        """All that waited for it is due."""
        self.add(self._unlocated)
        self._unlocated = set()

    def arrived(self, watermarks: Mapping[str, Watermark], now: float, late_seconds: float) -> dict[str, int]:
        """Make due what must have come, or is late; gives how many are on their way to each system."""
        on_the_way = dict.fromkeys(watermarks, 0)
        for order_id, arrival in list(self._arriving.items()):
            behind = [
                system
                for system, watermark in watermarks.items()
                if system in arrival.awaited and not watermark.covers(arrival.partition, arrival.written_at)
            ]
            for system in behind:
                on_the_way[system] += 1
            if not behind:
                del self._arriving[order_id]
                self._due[order_id] = None
            elif not arrival.is_late and now - arrival.written_at > late_seconds:
                self._arriving[order_id] = replace(arrival, is_late=True)
                self._due[order_id] = None
        return on_the_way

    def take(self, at_once: int) -> Iterator[list[str]]:
        """What is due now, in batches; what becomes due meanwhile stays for the next time."""
        waiting = list(self._due)
        for first in range(0, len(waiting), at_once):
            batch = waiting[first : first + at_once]
            for order_id in batch:
                self._due.pop(order_id, None)
            yield batch

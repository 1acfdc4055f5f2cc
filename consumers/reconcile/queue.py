"""Which orders are to be looked at, and which need not be there yet. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

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


class Due(NamedTuple):
    """Orders that are looked at together."""

    order_ids: list[str]
    of_sources: frozenset[str]
    """Those of which nothing else can have changed than what their sources say."""


class Queue:
    """Orders due at once, orders on their way, and orders that the next look at the sources decides about."""

    def __init__(self) -> None:
        self._due: dict[str, bool] = {}
        """Whether only their sources are to be looked at."""
        self._arriving: dict[str, Arrival] = {}
        self._unlocated: set[str] = set()

    def __len__(self) -> int:
        """How many are due."""
        return len(self._due)

    def add(self, order_ids: Iterable[str]) -> None:
        """These are to be looked at in the next round."""
        self._due.update(dict.fromkeys(order_ids, False))

    def add_of_sources(self, order_ids: Iterable[str]) -> None:
        """These are to be held against their sources, which may have changed, in the next round."""
        for order_id in order_ids:
            self._due.setdefault(order_id, True)

    def expect(self, order_id: str, arrival: Arrival) -> None:
        """This one is to be looked at when every sink must have it."""
        self._arriving[order_id] = arrival

    def await_sources(self, order_id: str) -> None:
        """This one is to be looked at again after the next look at the sources."""
        self._unlocated.add(order_id)

    def sources_seen(self) -> None:
        """All that waited for it is due."""
        self.add_of_sources(self._unlocated)
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
                self._due[order_id] = False
            elif not arrival.is_late and now - arrival.written_at > late_seconds:
                self._arriving[order_id] = replace(arrival, is_late=True)
                self._due[order_id] = False
        return on_the_way

    def take(self, at_once: int) -> Iterator[Due]:
        """What is due now, in batches; what becomes due meanwhile stays for the next time."""
        waiting = list(self._due)
        for first in range(0, len(waiting), at_once):
            batch = waiting[first : first + at_once]
            of_sources = frozenset(order_id for order_id in batch if self._due.pop(order_id, False))
            yield Due(batch, of_sources)

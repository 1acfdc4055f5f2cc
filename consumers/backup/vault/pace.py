"""A limit to the bytes that one copy's connection carries in a second, so that a backup leaves room for others."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic, sleep


class Pace:
    """Whoever has sent or fetched bytes waits until the limit allows the next; shared by the threads of a process."""

    def __init__(
        self,
        bytes_per_second: float,
        clock: Callable[[], float] = monotonic,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._pause = pause
        self._free_at = clock()
        self._lock = Lock()

    def spend(self, count: int) -> None:
        """`count` bytes went over the wire: return when so many may follow."""
        with self._lock:
            now = self._clock()
            # What was not used before is not saved up: a pause gives no right to a flood.
            self._free_at = max(self._free_at, now) + count / self._bytes_per_second
            wait = self._free_at - now
        self._pause(wait)

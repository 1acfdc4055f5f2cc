"""A bounded memory of what was used last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def _one(_value: object) -> int:
    return 1


class Recent(Generic[K, V]):
    """Keeps at most about `limit` of what was put or found last, weighed by `weigh` (by default: entries).

    Two generations instead of a list in order of use: a hit costs one look-up. Readers in one thread; `forget` and
    `remember` may be called from others.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int] = _one) -> None:
        self._half = limit // 2
        self._weigh = weigh
        self._weight = 0
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """What is remembered of `key`."""
        found = self._young.get(key)
        if found is None and key in self._old:
            with self._lock:
                found = self._old.get(key)
                if found is not None:
                    self._put(key, found)
        return found

    def update(self, entries: Mapping[K, V]) -> None:
        """Remember these."""
        with self._lock:
            self._young.update(entries)
            self._grow(sum(map(self._weigh, entries.values())))

    def remember(self, key: K, look_up: Callable[[], V]) -> V:
        """What `look_up` gives; no change comes in between."""
        with self._lock:
            found = look_up()
            self._put(key, found)
        return found

    def forget(self, key: K, change: Callable[[], None]) -> None:
        """Make a change after which what is remembered would be wrong."""
        with self._lock:
            change()
            self._young.pop(key, None)
            self._old.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._young, self._old, self._weight = {}, {}, 0

    def _put(self, key: K, value: V) -> None:
        self._young[key] = value
        self._grow(self._weigh(value))

    def _grow(self, weight: int) -> None:
        self._weight += weight
        if self._weight > self._half:
            self._young, self._old, self._weight = {}, self._young, 0

"""Slows down who guesses passwords. Source: NIST SP 800-63B 3.2.2, OWASP ASVS 6.3.1."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_MOST: Final = 10_000
_LONGEST_SECONDS: Final = 900.0
_FORGOTTEN_SECONDS: Final = 3_600.0
_FREE_OF_PAIR: Final = 5
_FREE_OF_ADDRESS: Final = 25
_FREE_OF_USER: Final = 50
"""So many more, so that a stranger cannot keep a person out by guessing badly from one address."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last_at: float = 0.0


class SignInThrottle:
    """Counts failures by user and address, by address, and by user; each free failure more doubles the pause."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_seconds(self, user: str, address: str) -> float:
        """How long the next attempt has to wait; 0 where it may come now."""
        with self._lock:
            return max(self._wait(key, free) for key, free in _keys(user, address))

    def failed(self, user: str, address: str) -> None:
        """An attempt failed."""
        with self._lock:
            for key, _ in _keys(user, address):
                found = self._failures.setdefault(key, _Failures())
                if self._now() - found.last_at > _FORGOTTEN_SECONDS:
                    found.count = 0
                found.count += 1
                found.last_at = self._now()
                self._failures.move_to_end(key)
            while len(self._failures) > _MOST:
                self._failures.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """The person is who they say."""
        with self._lock:
            key, _ = next(_keys(user, address))
            self._failures.pop(key, None)

    def _wait(self, key: str, free: int) -> float:
        found = self._failures.get(key)
        if found is None or found.count < free:
            return 0.0
        pause = min(_LONGEST_SECONDS, 2.0 ** min(found.count - free, 20))
        return max(0.0, found.last_at + pause - self._now())


def _keys(user: str, address: str) -> Iterator[tuple[str, int]]:
    yield f"pair/{user[:63]}/{address}", _FREE_OF_PAIR
    yield f"address/{address}", _FREE_OF_ADDRESS
    yield f"user/{user[:63]}", _FREE_OF_USER

"""Waiting for an environment that is away: the same attempt again, with growing pauses, until it works or all stops."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from schemas.errors import Transient

T = TypeVar("T")
_log = logging.getLogger(__name__)


class StoppedWaiting(Exception):
    """The process is to stop while an attempt waits for its environment."""


class Patience:
    """Of one worker."""

    def __init__(self, name: str, stop: Event, limit_seconds: float) -> None:
        self.waiting = False
        self._name = name
        self._stop = stop
        self._limit_seconds = limit_seconds

    def until_done(self, attempt: Callable[[], T]) -> T:
        """The result of `attempt`, tried until it meets no `Transient`.

        Raises:
            StoppedWaiting: the process is to stop, and the attempt had not worked.
        """
        pause_seconds = 0.0
        while True:
            try:
                result = attempt()
            except Transient as exc:
                pause_seconds = min(max(pause_seconds * 2, exc.retry_after_seconds), self._limit_seconds)
                _log.warning("%s: %s; trying again in %.1f s", self._name, exc, pause_seconds)
                self.waiting = True
                if self._stop.wait(pause_seconds):
                    raise StoppedWaiting from exc
            else:
                self.waiting = False
                return result

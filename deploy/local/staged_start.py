"""Starts some workers only when others are ready: at a start the cores are few, and some are waited for more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException

from schemas.errors import OrdersyncError

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1
_TIMEOUT_SECONDS = 2.0
_PATIENCE_SECONDS = 45.0
"""A worker that does not become ready by then must not keep those away who would say so."""


class StagedStart:
    """Calls `start_rest` once, in a thread of its own: when each of `ports` answers that its worker is ready, or soon.

    Called by the supervisor; it calls `cease` before it stops anything.
    """

    def __init__(
        self, ports: Sequence[int], start_rest: Callable[[], None], patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._waited_for = list(ports)
        self._start_rest = start_rest
        self._patience_seconds = patience_seconds
        self._ceased = threading.Event()
        self._thread = threading.Thread(target=self._run, name="staged-start", daemon=True)

    def begin(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def cease(self) -> None:
        """Start nothing any more; returns when nothing is being started."""
        self._ceased.set()
        self._thread.join()

    def _run(self) -> None:
        until = time.monotonic() + self._patience_seconds
        while self._waited_for and time.monotonic() < until:
            if self._ceased.wait(_LOOK_SECONDS):
                return
            self._waited_for = [port for port in self._waited_for if not _is_ready(port)]
        if self._ceased.is_set():
            return
        try:
            self._start_rest()
        except (OrdersyncError, OSError) as exc:
            _LOG.error("The workers that wait for others were not started: %s", exc)


def _is_ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()

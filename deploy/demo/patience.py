"""Waits for servers that are being started again, up to a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from schemas.errors import Fatal, Transient

T = TypeVar("T")

AWAY_SECONDS = 120.0
"""How long a server may be away before the demonstration gives it up; a start takes about a tenth of that."""


def patiently(ask: Callable[[], T], away_seconds: float = AWAY_SECONDS) -> T:
    """What `ask` gives, once the server that it asks is back.

    Called by the demonstration where it cannot go on without the answer; `ask` must be harmless to repeat.

    Raises:
        Fatal: the server was away for all that time; also what else `ask` raises.
    """
    deadline = time.monotonic() + away_seconds
    while True:
        try:
            return ask()
        except Transient as exc:
            if time.monotonic() > deadline:
                raise Fatal(f"Away for more than {away_seconds:.0f} s: {exc}") from exc
            time.sleep(exc.retry_after_seconds)

"""Tells how far a long reading is: a line that moves on a terminal, lines in the log elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

_LOG_SECONDS: Final = 10.0
_TERMINAL_SECONDS: Final = 0.2
_BAR: Final = 24

_log = logging.getLogger(__name__)


class Progress:
    """One reading; `expected` is the number of roots that the source believes to have, None if unknown."""

    def __init__(
        self,
        what: str,
        expected: int | None,
        *,
        terminal: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`terminal`: where the line moves, if it is one; standard error unless given."""
        self._what = what
        self._expected = expected
        self._clock = clock
        self._began = clock()
        self._terminal = sys.stderr if terminal is None else terminal
        self._on_terminal = self._terminal.isatty()
        self._due_at = self._began if self._on_terminal else self._began + _LOG_SECONDS

    def report(self, roots: int, rows: int) -> None:
        """So many are done; says it if it is time to."""
        now = self._clock()
        if now < self._due_at:
            return
        if self._on_terminal:
            self._due_at = now + _TERMINAL_SECONDS
            self._terminal.write(f"\r{self._line(roots, rows, now - self._began)}\x1b[K")
            self._terminal.flush()
        else:
            self._due_at = now + _LOG_SECONDS
            _log.info("%s", self._line(roots, rows, now - self._began))

    def done(self, roots: int, rows: int) -> None:
        """All of it is done."""
        if self._on_terminal:
            self._terminal.write("\r\x1b[K")
            self._terminal.flush()
        seconds = self._clock() - self._began
        _log.info("%s: done, %d roots, %d rows in %.1f s", self._what, roots, rows, seconds)

    def _line(self, roots: int, rows: int, seconds: float) -> str:
        rate = rows / seconds if seconds > 0 else 0.0
        line = f"{self._what}: {roots:,} roots, {rows:,} rows, {rate:,.0f} rows/s"
        if not self._expected:
            return line
        share = min(1.0, roots / self._expected)
        left = f", {seconds * (1 - share) / share:.0f} s left" if share > 0 else ""
        bar = f" [{'#' * int(share * _BAR):<{_BAR}}]" if self._on_terminal else ""
        return f"{line}{bar} {share:.0%}{left}"

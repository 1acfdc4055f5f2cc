"""Tells a person on standard error how far a long piece of work is; short ones go by in silence."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TextIO

_SILENT_SECONDS = 1.0
_TERMINAL_SECONDS = 0.2
_LINE_SECONDS = 5.0


class ToldProgress:
    """One line that is written over on a terminal; a line each few seconds in a log. Use it as a context."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._doing = ""
        self._begun = self._told = 0.0
        self._width = 0

    def __call__(self, doing: str, done: int, total: int) -> None:
        """See `deploy.record_reading.Progress`."""
        now = monotonic()
        if doing != self._doing:
            self._doing, self._begun, self._told = doing, now, now
        pause = _TERMINAL_SECONDS if self._is_terminal else _LINE_SECONDS
        if now - self._begun < _SILENT_SECONDS or now - self._told < pause:
            return
        self._told = now
        share = f"{100 * done // total} % of " if total else ""
        text = f"{doing}: {share}{total or done:,}, {done / (now - self._begun):,.0f}/s"
        if self._is_terminal:
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def __enter__(self) -> ToldProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()

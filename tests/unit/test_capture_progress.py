"""What is said of a long reading: a moving line on a terminal, lines now and then in a log."""

from __future__ import annotations

import io
import logging

import pytest

from producers.cdc.progress import Progress


class Clock:
    """Time as the test has it."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_with_the_time_that_is_left() -> None:
    clock, terminal = Clock(), Terminal()
    progress = Progress("snapshot of orders", 1_000, terminal=terminal, clock=clock)
    clock.seconds += 10
    progress.report(250, 4_000)
    line = terminal.getvalue()
    assert line.startswith("\rsnapshot of orders: 250 roots, 4,000 rows, 400 rows/s [######")
    assert "25%, 30 s left" in line
    clock.seconds += 0.1
    progress.report(260, 4_100)
    assert terminal.getvalue() == line, "not more often than a person can read"


def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    progress = Progress("snapshot of orders", None, terminal=io.StringIO(), clock=clock)
    with caplog.at_level(logging.INFO, logger="producers.cdc.progress"):
        clock.seconds += 9
        progress.report(100, 300)
        assert not caplog.messages
        clock.seconds += 1
        progress.report(200, 600)
        progress.report(201, 603)
        clock.seconds += 2
        progress.done(300, 900)
    assert caplog.messages == [
        "snapshot of orders: 200 roots, 600 rows, 60 rows/s",
        "snapshot of orders: done, 300 roots, 900 rows in 12.0 s",
    ]

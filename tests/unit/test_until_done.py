"""When a worker's work is done, and for whom it has no end."""

from __future__ import annotations

import threading

import pytest

from deploy.until_done import Work
from deploy.worker import _bounded
from schemas.errors import ConfigurationError
from schemas.settings import WorkerSettings

WORK = Work(ends={("a", 0): 10, ("a", 1): 5, ("b", 0): 7}, starts={("a", 0): 0, ("a", 1): 3, ("b", 0): 0, ("b", 1): 0})


def test_what_was_not_begun_counts_from_the_first_offset() -> None:
    assert WORK.left({}) == 10 + 2 + 7


def test_what_came_later_is_not_waited_for() -> None:
    assert WORK.left({("a", 0): 12, ("a", 1): 5, ("b", 0): 6}) == 1
    assert WORK.left({("a", 0): 10, ("a", 1): 9, ("b", 0): 7}) == 0


class Endless:
    """A worker whose source goes on for ever."""

    def run(self, stop: threading.Event) -> None:
        """Never called here."""

    def ready(self) -> bool:
        """Always."""
        return True


def test_worker_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="capture has no end"):
        _bounded("capture", Endless(), WorkerSettings(), threading.Event())

"""Demonstrations that several tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.conftest import stack_home
from tests.e2e.demonstrations import Demonstration, processes_in


@dataclass(frozen=True, slots=True)
class Ended:
    """A demonstration that is over."""

    exit_code: int
    out: str
    told: str
    left: list[psutil.Process]
    """Processes that it left behind."""


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """A home in which a demonstration was interrupted, and then another one ran to its end."""

    home: Path
    interrupted: Ended
    complete: Ended


@pytest.fixture(scope="session")
def demonstrated() -> Iterator[Demonstrated]:
    """One interrupted and one complete demonstration; nothing runs in the home any more."""
    with stack_home() as home:
        with Demonstration(home, "--orders", "5000", "--seed", "3") as first:
            assert first.reaches("the business trades", within_seconds=120), first.told
            first.interrupt()
            interrupted = _ended(first)
        with Demonstration(home, "--orders", "80", "--seed", "4", "--json") as second:
            complete = _ended(second)
        yield Demonstrated(home, interrupted, complete)


def _ended(demonstration: Demonstration) -> Ended:
    out = demonstration.end(within_seconds=400)
    return Ended(demonstration.process.returncode, out, demonstration.told, processes_in(demonstration.home))

"""A copy's connection carries no more than its policy allows, by a clock of the test's own."""

from __future__ import annotations

from pathlib import Path

from obstore.store import MemoryStore

from consumers.backup.policy import CopyPolicy
from consumers.backup.vault.copies import Copy, open_copy
from consumers.backup.vault.pace import Pace


class Clock:
    """Time goes by only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def pace(self, bytes_per_second: float) -> Pace:
        return Pace(bytes_per_second, self.read, self.wait)


def test_what_is_sent_and_fetched_takes_its_time() -> None:
    clock = Clock()
    copy = Copy("slow", MemoryStore(), clock.pace(1000))
    assert copy.put_new("a", bytes(2500))
    assert clock.now == 2.5
    assert copy.get("a") == bytes(2500)
    assert clock.now == 5.0
    copy.replace("a", bytes(500))
    assert clock.now == 5.5


def test_what_carries_nothing_costs_nothing() -> None:
    clock = Clock()
    copy = Copy("slow", MemoryStore(), clock.pace(1))
    assert copy.get("a") is None
    assert copy.names("a") == []
    assert clock.now == 0


def test_a_pause_gives_no_right_to_a_flood() -> None:
    clock = Clock()
    pace = clock.pace(1000)
    clock.now = 3600
    pace.spend(1000)
    assert clock.now == 3601


def test_the_policy_sets_the_limit(tmp_path: Path) -> None:
    url = f"file://{tmp_path}"
    assert open_copy(CopyPolicy(name="a", url=url, max_bytes_per_second=1e12)).put_new("x", b"y")
    assert open_copy(CopyPolicy(name="a", url=url)).get("x") == b"y"

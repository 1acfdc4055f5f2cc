"""Random schedules of faults on real stream workers, and an oracle that counts every version of every order."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from schemas.models import CapturedEvent
from schemas.topics import ORDER_EVENTS
from tests.integration.planted_fault import FAULTS
from tests.integration.streams_harness import (
    HOSTED,
    Scene,
    StreamsProcess,
    assert_exactly_once,
    wait_until,
)
from tests.integration.test_streams_crashes import shuffled_lives
from tests.unit.order_lives import customer, product

ORDERS = 150
STEPS = 4
SLOTS = ("0", "1")
_AWAY_SECONDS = 8.0
"""Longer than the group waits for a worker that is silent."""


@dataclass
class Schedule:
    """Two places for workers, and what happens to them while orders arrive; one seed is one schedule."""

    scene: Scene
    seed: int
    slow_disk: Path | None
    command: tuple[str, ...] = HOSTED
    restart_broker: Callable[[], None] | None = None
    workers: dict[str, StreamsProcess] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        # Orders of its own: the topics hold those of the schedules before.
        self.numbers = range(self.seed * ORDERS, (self.seed + 1) * ORDERS)

    def run(self) -> None:
        """Feed all lives, in steps with a fault after each, and what came before once more in between."""
        captured = shuffled_lives(self.numbers)
        for slot in SLOTS:
            self.begin(slot)
        for worker in self.workers.values():
            wait_until(worker.has_partitions, 60, worker.log)
        events = self.scene.subscribe(ORDER_EVENTS)
        size = len(captured) // STEPS
        for step in range(STEPS):
            seen = len(events.poll())
            part = captured[step * size : (step + 1) * size if step < STEPS - 1 else None]
            self.scene.capture(*part, *self.again(captured[: step * size]))
            wait_until(lambda seen=seen: len(events.poll()) > seen, 60, self.story)  # type: ignore[misc]
            self.fault(self.chance.choice(SLOTS))
        events.close()

    def again(self, earlier: list[CapturedEvent]) -> list[CapturedEvent]:
        """Some of what came before, as a capture that was killed sends it again: in its order, from some point on."""
        if not earlier:
            return []
        begin = self.chance.randrange(len(earlier))
        return earlier[begin : begin + 100]

    def begin(self, slot: str, **settings: str) -> None:
        """Start a worker in a place; its disk is what its predecessor left there."""
        home = self.scene.directory / f"slot-{slot}"
        environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
        if self.slow_disk is not None and self.chance.random() < 0.3:
            environment |= {
                "LD_PRELOAD": str(self.slow_disk),
                "SLOW_DISK": str(home),
                "SLOW_DISK_MICROSECONDS": str(self.chance.choice([200, 2_000, 20_000])),
            }
            self.told.append(f"slot {slot} gets a slow disk")
        self.workers[slot] = self.scene.work(self.command, environment, slot=slot, data_dir=str(home), **settings)

    def fault(self, slot: str) -> None:
        """Do something to one of the workers, or to the broker."""
        faults: list[Callable[[str], None]] = [self.kill, self.kill, self.stop, self.stall, self.lose_disk]
        if self.restart_broker is not None:
            faults = [self.kill_broker]
        what = self.chance.choice(faults)
        self.told.append(f"{what.__name__} {slot}")
        what(slot)

    def kill(self, slot: str) -> None:
        """SIGKILL, and a successor."""
        self.workers[slot].kill()
        self.begin(slot)

    def stop(self, slot: str) -> None:
        """SIGTERM, and a successor: the group shares the partitions out anew, twice."""
        worker = self.workers[slot]
        worker.process.send_signal(signal.SIGTERM)
        # A worker that is still starting has no handler for the signal yet.
        assert worker.ended() in (0, -signal.SIGTERM), worker.log()
        self.begin(slot)

    def stall(self, slot: str) -> None:
        """SIGSTOP until the group may have given its partitions to the other, then SIGCONT."""
        worker = self.workers[slot]
        worker.process.send_signal(signal.SIGSTOP)
        away = self.chance.choice([0.5, _AWAY_SECONDS])
        # The other worker's end would be seen here; otherwise this is how long the stall lasts.
        try:
            self.workers[SLOTS[slot == SLOTS[0]]].process.wait(away)
        except subprocess.TimeoutExpired:
            worker.process.send_signal(signal.SIGCONT)
        else:
            raise AssertionError(f"the other worker ended: {self.story()}")

    def lose_disk(self, slot: str) -> None:
        """SIGKILL, and a successor on an empty disk."""
        self.workers[slot].kill()
        shutil.rmtree(self.scene.directory / f"slot-{slot}", ignore_errors=True)
        self.begin(slot)

    def kill_broker(self, slot: str) -> None:
        """SIGKILL the broker and start it again."""
        assert self.restart_broker is not None
        self.restart_broker()

    def revive(self) -> None:
        """Whoever ended with an error is started again, as a supervisor does."""
        for slot, worker in self.workers.items():
            if worker.process.poll() is not None:
                self.told.append(f"slot {slot} ended with {worker.process.returncode}")
                self.begin(slot)

    def story(self) -> str:
        """What was done, and what the workers said at last."""
        return f"{self.told}: {[worker.log()[-1500:] for worker in self.workers.values()]}"


def check(schedule: Schedule) -> None:
    schedule.run()
    schedule.revive()
    try:
        assert_exactly_once(schedule.scene, schedule.numbers)
    except AssertionError as exc:
        raise AssertionError(f"{exc}\nafter {schedule.told}") from exc


@pytest.fixture(scope="session")
def slow_disk(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The library that makes a worker's disk slow; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = tmp_path_factory.mktemp("slow-disk") / "slow_disk.so"
    source = Path(__file__).with_name("slow_disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.fixture
def scene(fresh_topics: Endpoints, tmp_path: Path, topic_prefix: str) -> Iterator[Scene]:
    """A group of its own on empty topics."""
    yield from staged(fresh_topics, tmp_path, topic_prefix)


def staged(stack: Endpoints, directory: Path, prefix: str) -> Iterator[Scene]:
    made = Scene(stack, directory, f"{prefix}streams", stack.registry_url)
    try:
        made.master(customer("C1"), product("P1"), product("P2"))
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("seed", range(9))
def test_every_version_once_whatever_happens_to_the_workers(scene: Scene, slow_disk: Path | None, seed: int) -> None:
    check(Schedule(scene, seed, slow_disk))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(9, 299))
def test_every_version_once_in_many_more_schedules(scene: Scene, slow_disk: Path | None, seed: int) -> None:
    check(Schedule(scene, seed, slow_disk))


def killed_in_the_middle(scene: Scene, seed: int, command: tuple[str, ...]) -> range:
    """One worker, killed between two commits, and its successor; some events come twice, others meanwhile.

    What comes twice is committed before, so that it cannot make good for what was skipped.
    """
    schedule = Schedule(scene, seed, None, command)
    captured = shuffled_lives(schedule.numbers)
    half = len(captured) // 2
    again = captured[: half // 4]
    before = scene.committed()
    # Time to kill it before the next commit.
    schedule.begin("0", commit_interval_seconds="2", idle_commit_interval_seconds="2")
    wait_until(schedule.workers["0"].has_partitions, 60, schedule.story)
    scene.capture(*captured[:half])
    wait_until(lambda: scene.committed() > before + 2 * len(again), 60, schedule.story)
    schedule.workers["0"].kill()
    scene.capture(*captured[half:], *again)
    schedule.begin("0")
    return schedule.numbers


@pytest.mark.parametrize(("seed", "name"), list(enumerate(FAULTS, 400)))
def test_planted_faults_are_found(scene: Scene, seed: int, name: str) -> None:
    command = (sys.executable, "-m", "tests.integration.planted_fault", name)
    numbers = killed_in_the_middle(scene, seed, command)
    with pytest.raises(AssertionError):
        assert_exactly_once(scene, numbers, deadline_seconds=20)


def test_the_same_story_without_a_fault_is_sound(scene: Scene) -> None:
    assert_exactly_once(scene, killed_in_the_middle(scene, 399, HOSTED))

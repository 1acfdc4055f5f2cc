"""A schedule of faults on real stream workers and their broker, drawn from a seed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.models import CapturedEvent
from schemas.topics import ORDER_EVENTS
from tests.integration.streams_harness import HOSTED, Scene, StreamsProcess, assert_exactly_once, wait_until
from tests.integration.test_streams_crashes import shuffled_lives

ORDERS = 150
SLOTS = ("0", "1")
OF_WORKERS = ("kill", "kill", "stop", "stall", "lose_disk")
OF_BROKER = ("kill_broker", "kill_broker_and_worker", "kill_broker_during_stall")
STORM = (("pass_by",),) * 4
_AWAY_SECONDS = 8.0
"""Longer than the group waits for a worker that is silent."""


class MortalBroker:
    """The broker of a stack that no other test uses."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self._stack = stack

    @property
    def endpoints(self) -> Endpoints:
        """Where its stack listens."""
        return self._stack.endpoints

    def kill(self) -> None:
        """SIGKILL."""
        broker = self._stack.kafka
        assert broker is not None and broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on its port with its data, and wait until it answers."""
        wait_until(lambda: "kafka" in self._stack.ensure_running(), 60, "the broker's death is noticed and mended")


@dataclass
class Schedule:
    """Two places for workers, and what happens to them while orders arrive; one seed is one schedule."""

    scene: Scene
    seed: int
    slow_disk: Path | None
    command: tuple[str, ...] = HOSTED
    broker: MortalBroker | None = None
    steps: tuple[tuple[str, ...], ...] = (OF_WORKERS,) * 4
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
        size = len(captured) // len(self.steps)
        for step, faults in enumerate(self.steps):
            seen = len(events.poll())
            part = captured[step * size : (step + 1) * size if step < len(self.steps) - 1 else None]
            self.scene.capture(*part, *self.again(captured[: step * size]))
            wait_until(lambda seen=seen: len(events.poll()) > seen, 60, self.story)  # type: ignore[misc]
            self.fault(faults, self.chance.choice(SLOTS))
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

    def fault(self, faults: tuple[str, ...], slot: str) -> None:
        """Do one of these to one of the workers, to the broker, or to the group."""
        what = self.chance.choice(faults)
        self.told.append(f"{what} {slot}")
        doing: Callable[[str], None] = getattr(self, what)
        doing(slot)

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

    def pass_by(self, slot: str) -> None:
        """Two members join and leave, one after the other: the group shares the partitions out anew, four times."""
        for _ in range(2):
            self.scene.pass_by()

    def kill_broker(self, slot: str) -> None:
        """SIGKILL the broker, and start it again at once."""
        self._broker.kill()
        self._broker.restart()

    def kill_broker_and_worker(self, slot: str) -> None:
        """SIGKILL the broker and a worker, whose successor starts while the broker is away."""
        self._broker.kill()
        self.kill(slot)
        self._broker.restart()

    def kill_broker_during_stall(self, slot: str) -> None:
        """SIGSTOP a worker, SIGKILL the broker and start it again, then SIGCONT."""
        worker = self.workers[slot]
        worker.process.send_signal(signal.SIGSTOP)
        self._broker.kill()
        self._broker.restart()
        worker.process.send_signal(signal.SIGCONT)

    @property
    def _broker(self) -> MortalBroker:
        assert self.broker is not None
        return self.broker

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
    """Run it, and count what is there in the end."""
    schedule.run()
    schedule.revive()
    try:
        assert_exactly_once(schedule.scene, schedule.numbers)
    except AssertionError as exc:
        raise AssertionError(f"{exc}\nafter {schedule.told}") from exc

"""The batch transport against real brokers and real processes that are killed, stopped and moved about."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from streams.transport import Delivery
from tests.conftest import stack_home
from tests.integration.transport_harness import Scene, WorkerProcess, scene, wait_until


@pytest.fixture
def play(stack: Endpoints, topic_prefix: str, tmp_path: Path) -> Iterator[Scene]:
    """A scene on the session's stack."""
    with scene(stack, topic_prefix, tmp_path) as made:
        yield made


def test_partitions_without_committed_offset_are_read_from_their_first_record(play: Scene) -> None:
    play.write(2_000)
    worker = play.working()
    play.assert_exactly_once()
    worker.send(signal.SIGTERM)
    assert worker.ended() == 0


def test_an_orderly_stop_commits_and_leaves_the_group_at_once(play: Scene) -> None:
    play.write(500)
    first = play.working()
    play.copies(1_000)
    first.send(signal.SIGTERM)
    assert first.ended() == 0
    assert play.members() == 0, "the group would wait for the stopped worker's session to run out"
    play.write(500)
    play.working()
    play.assert_exactly_once()


def test_killed_worker_loses_and_doubles_nothing_and_its_transaction_is_ended(play: Scene, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    play.write(4_000)
    victim = play.working(slow_seconds=0.05, stop_after=3_000, stop_once=stopped)
    wait_until(stopped.exists, 30, "the victim stands still in the middle of a transaction")
    victim.send(signal.SIGKILL)
    heir = play.working()
    play.write(500)
    play.assert_exactly_once()
    assert "who left the group" in heir.log()


def test_stalled_worker_is_fenced_when_it_wakes(play: Scene, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    play.write(3_000)
    zombie = play.working(stop_after=1_500, stop_once=stopped)
    wait_until(stopped.exists, 30, "the worker stops itself in the middle of a batch")
    heir = play.work()
    wait_until(lambda: len(heir.held()) == 8, 40, "the heir holds all partitions")
    play.copies(6_000)
    zombie.send(signal.SIGCONT)

    def is_mended() -> bool:
        # It comes back, or ends with an error and is started again by whoever keeps it; it never hangs on.
        has_ended = zombie.process.poll() is not None
        mine = set() if has_ended else zombie.held()
        return len(mine) + len(heir.held()) == 8 and (has_ended or bool(mine))

    wait_until(is_mended, 90, "both share again, or the zombie has ended")
    play.write(1_000)
    play.assert_exactly_once()


def test_failing_handler_ends_the_worker_and_nothing_is_skipped(play: Scene) -> None:
    play.write(2_000)
    worker = play.work(fail_on=1_234)
    assert worker.ended(40) == 1
    assert "unwanted value" in worker.log()
    play.working()
    play.assert_exactly_once()


def test_equal_partition_numbers_meet_in_one_worker_through_rebalances(play: Scene) -> None:
    play.write(3_000)
    workers = [play.working(slow_seconds=0.01)]
    for _ in range(2):
        workers.append(play.work(slow_seconds=0.01))
        wait_until(lambda: shared_out(play, workers), 40, f"{len(workers)} workers share all partitions")
    workers.pop(0).send(signal.SIGTERM)
    wait_until(lambda: shared_out(play, workers), 40, "the others take over")
    play.write(500)
    play.assert_exactly_once()


def test_at_least_once_loses_nothing_when_a_worker_is_killed(play: Scene) -> None:
    play.write(3_000)
    victim = play.working(delivery="at_least_once", slow_seconds=0.02)
    play.copies(200)
    victim.send(signal.SIGKILL)
    play.working(delivery="at_least_once")
    play.assert_at_least_once()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(20))
def test_any_schedule_of_kills_stalls_and_stops_is_exactly_once(play: Scene, seed: int) -> None:
    chance = random.Random(seed)
    workers = [play.working(slow_seconds=0.01) for _ in range(2)]
    for _ in range(8):
        play.write(1_000)
        worker = workers.pop(chance.randrange(len(workers)))
        match chance.choice(["kill", "stall", "stop"]):
            case "kill":
                worker.send(signal.SIGKILL)
            case "stop":
                worker.send(signal.SIGTERM)
                # A worker that is still starting has no handler for the signal yet.
                assert worker.ended() in (0, -signal.SIGTERM)
            case "stall":
                worker.send(signal.SIGSTOP)
                time.sleep(chance.uniform(1, 15))
                worker.send(signal.SIGCONT)
                workers.append(worker)
                continue
        workers.append(play.work(slow_seconds=0.01))
    play.assert_exactly_once()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("delivery", Delivery)
def test_broker_killed_and_started_again_loses_nothing_and_doubles_what_may_be(
    topic_prefix: str, tmp_path: Path, delivery: Delivery
) -> None:
    with stack_home() as home, EmbeddedStack(home) as own:
        broker = next(server for server in own.servers if server.name == "kafka")
        with scene(own.endpoints, topic_prefix, tmp_path) as play:
            play.write(4_000)
            worker = play.working(slow_seconds=0.05, delivery=delivery.value)
            play.copies(400)
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGKILL)
            wait_until(lambda: "kafka" in own.ensure_running(), 60, "the broker's death is noticed and mended")
            play.write(500)
            if delivery is Delivery.EXACTLY_ONCE:
                play.assert_exactly_once()
            else:
                play.assert_at_least_once()
            assert worker.process.poll() is None, "the worker should live through a broker's restart"


def shared_out(play: Scene, workers: list[WorkerProcess]) -> bool:
    """Whether the workers hold all partitions, each once, and equal numbers together."""
    held = [worker.held() for worker in workers]
    if sum(map(len, held)) != 8 or not all(held):
        return False
    for parts in held:
        numbers = [{number for topic, number in parts if topic == name} for name in play.inputs]
        assert numbers[0] == numbers[1], f"partitions of one number are in different workers: {parts}"
    return True

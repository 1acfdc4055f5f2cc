"""Random schedules of faults on real stream workers, and an oracle that counts every version of every order."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from deploy.topics import apply_topics
from schemas.errors import Transient
from schemas.registry import SchemaRegistry
from streams.processing.checkpoints import Changelog, Span
from streams.processing.cluster import Cluster
from streams.processing.store import CHANGELOG_TOPICS
from tests.conftest import stack_home
from tests.integration.conftest import LAYOUT
from tests.integration.planted_fault import FAULTS
from tests.integration.streams_harness import HOSTED, Scene, assert_exactly_once, wait_until
from tests.integration.streams_schedule import OF_BROKER, OF_WORKERS, STORM, MortalBroker, Schedule, check
from tests.integration.test_streams_crashes import shuffled_lives
from tests.unit.order_lives import customer, product


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


@pytest.fixture(scope="module")
def mortal_broker() -> Iterator[MortalBroker]:
    """A broker that may be killed."""
    with stack_home() as home, EmbeddedStack(home) as own:
        registry = SchemaRegistry(own.endpoints.registry())
        apply_topics(own.endpoints.kafka(), registry, LAYOUT)
        registry.close()
        yield MortalBroker(own)


@pytest.fixture
def mortal_scene(mortal_broker: MortalBroker, tmp_path: Path, topic_prefix: str) -> Iterator[Scene]:
    """A group of its own on a broker that may be killed."""
    yield from staged(mortal_broker.endpoints, tmp_path, topic_prefix)


@pytest.mark.parametrize(("seed", "death"), list(enumerate(OF_BROKER, 500)))
def test_every_version_once_though_the_broker_is_killed(
    mortal_scene: Scene, mortal_broker: MortalBroker, slow_disk: Path | None, seed: int, death: str
) -> None:
    check(Schedule(mortal_scene, seed, slow_disk, broker=mortal_broker, steps=((death,), OF_WORKERS)))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(503, 560))
def test_every_version_once_in_many_more_deaths_of_the_broker(
    mortal_scene: Scene, mortal_broker: MortalBroker, slow_disk: Path | None, seed: int
) -> None:
    steps = (OF_BROKER, *((OF_WORKERS + OF_BROKER,) * 3))
    check(Schedule(mortal_scene, seed, slow_disk, broker=mortal_broker, steps=steps))


def test_every_version_once_through_a_storm_of_rebalances(scene: Scene) -> None:
    check(Schedule(scene, 450, None, steps=(*STORM, ("kill",), *STORM)))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(451, 471))
def test_every_version_once_through_many_more_storms(scene: Scene, slow_disk: Path | None, seed: int) -> None:
    check(Schedule(scene, seed, slow_disk, steps=(*STORM, OF_WORKERS, *STORM, OF_WORKERS)))


def test_no_end_of_a_changelog_is_made_up_while_the_broker_is_away(mortal_broker: MortalBroker) -> None:
    """A worker that believed in one would begin with empty state."""
    cluster = Cluster(mortal_broker.endpoints.kafka())
    changelogs = [Changelog(topic, number) for topic in CHANGELOG_TOPICS for number in range(LAYOUT.order_partitions)]
    before = cluster.spans(changelogs)
    mortal_broker.kill()
    used = time.process_time()
    with pytest.raises(Transient):
        cluster.spans(changelogs)
    assert time.process_time() - used < 2
    mortal_broker.restart()
    found: dict[Changelog, Span] = {}

    def answered() -> bool:
        with contextlib.suppress(Transient):
            found.update(cluster.spans(changelogs))
        return bool(found)

    wait_until(answered, 20, "the ends after the broker's return")
    assert found == before


def killed_in_the_middle(scene: Scene, seed: int, command: tuple[str, ...]) -> range:
    """One worker, killed between two commits, and its successor; some events come twice, others meanwhile.

    What comes twice is committed before, so that it cannot make good for what was skipped.
    """
    schedule = Schedule(scene, seed, None, command)
    captured = shuffled_lives(schedule.numbers)
    half = len(captured) // 2
    again = captured[: half // 4]
    before = scene.captured()
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

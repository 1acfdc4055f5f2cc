"""Workers that wait for others: started when these are ready, or after a while, and never after the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Event

import pytest
from prometheus_client import CollectorRegistry

from deploy.local.server import await_condition
from deploy.local.staged_start import StagedStart
from deploy.telemetry.server import TelemetryServer

_SECONDS = 15.0


class AskedWorker:
    """A worker's real telemetry, ready when the test says so."""

    def __init__(self) -> None:
        self.is_ready = False
        self.asked = 0
        self.port = 0

    def ready(self) -> bool:
        """What `/health/ready` asks."""
        self.asked += 1
        return self.is_ready


@pytest.fixture
def workers() -> Iterator[list[AskedWorker]]:
    with ExitStack() as servers:
        served = [AskedWorker(), AskedWorker()]
        for one in served:
            server = TelemetryServer("127.0.0.1", 0, CollectorRegistry(), one.ready)
            one.port = servers.enter_context(server).port
        yield served


@pytest.fixture
def begun() -> Iterator[Callable[[StagedStart], StagedStart]]:
    all_begun: list[StagedStart] = []

    def begin(staged: StagedStart) -> StagedStart:
        all_begun.append(staged)
        staged.begin()
        return staged

    yield begin
    for staged in all_begun:
        staged.cease()


def test_the_rest_starts_when_the_last_is_ready(
    workers: list[AskedWorker], begun: Callable[[StagedStart], StagedStart]
) -> None:
    started = Event()
    begun(StagedStart([one.port for one in workers], started.set))
    workers[0].is_ready = True
    seen = workers[1].asked
    assert await_condition(lambda: workers[1].asked > seen + 3, _SECONDS)
    assert not started.is_set()

    workers[1].is_ready = True
    assert started.wait(_SECONDS)


def test_a_worker_that_never_gets_ready_keeps_nobody_away_for_ever(
    workers: list[AskedWorker], begun: Callable[[StagedStart], StagedStart]
) -> None:
    started = Event()
    begun(StagedStart([workers[0].port], started.set, patience_seconds=0.3))
    assert started.wait(_SECONDS)
    assert workers[0].asked


def test_after_the_end_nothing_is_started(
    workers: list[AskedWorker], begun: Callable[[StagedStart], StagedStart]
) -> None:
    started = Event()
    staged = begun(StagedStart([workers[0].port], started.set))
    assert await_condition(lambda: workers[0].asked > 0, _SECONDS)
    staged.cease()
    workers[0].is_ready = True
    assert not started.is_set()


def test_a_port_that_nobody_listens_on_is_waited_for(
    workers: list[AskedWorker], begun: Callable[[StagedStart], StagedStart]
) -> None:
    started = Event()
    workers[0].is_ready = True
    staged = begun(StagedStart([workers[0].port, 1], started.set))
    assert await_condition(lambda: workers[0].asked > 0, _SECONDS)
    staged.cease()
    assert not started.is_set()

"""Kafka and the registry are away while the source goes on trading: the capture waits, and nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import EmbeddedStack
from tests.conftest import stack_home
from tests.integration import shop
from tests.integration.capture_harness import CaptureWorld, wait_until
from tests.integration.shop import Shop
from tests.integration.test_capture_crashes import require_agreement
from tests.integration.test_capture_resync import resync


@pytest.fixture(scope="module")
def own_stack() -> Iterator[EmbeddedStack]:
    """Servers of this module alone, because it kills them."""
    with stack_home() as home, EmbeddedStack(home) as embedded:
        yield embedded


@pytest.fixture
def world(own_stack: EmbeddedStack, topic_prefix: str, tmp_path: Path) -> Iterator[CaptureWorld]:
    name = f"shop_{topic_prefix.strip('.')}"
    own_stack.create_database(name)
    mapping = shop.write_mapping(tmp_path)
    stack = own_stack.endpoints
    found = CaptureWorld(stack, stack.database(name), topic_prefix, tmp_path / "capture", str(mapping))
    with found.connect() as source:
        source.execute(shop.DDL)
    yield found
    found.close()


def kill(own_stack: EmbeddedStack, name: str) -> None:
    (server,) = [server for server in own_stack.servers if server.name == name]
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not server.healthy(), f"{name} is down")


def test_a_broker_that_is_killed_and_comes_back(own_stack: EmbeddedStack, world: CaptureWorld) -> None:
    capture = world.start()
    world.wait_confirmed(capture)
    trader = Shop(world.database, seed=21)
    stop = threading.Event()
    thread = threading.Thread(target=trader.trade, args=(100_000, stop))
    thread.start()
    try:
        for _ in range(2):
            committed = len(trader.history)
            wait_until(lambda before=committed: len(trader.history) > before + 50, "it trades")
            kill(own_stack, "kafka")
            committed = len(trader.history)
            wait_until(lambda before=committed: len(trader.history) > before + 100, "it trades on without Kafka")
            capture.require_alive()
            own_stack.ensure_running()
    finally:
        stop.set()
        thread.join()
    world.wait_confirmed(capture)
    assert capture.terminate() == 0
    require_agreement(world, [trader])


def test_a_broker_that_is_away_during_a_resync(own_stack: EmbeddedStack, world: CaptureWorld) -> None:
    world.settings |= {"ORDERSYNC_RESYNC_ROOTS": "5", "ORDERSYNC_SNAPSHOT_ROOTS": "5"}
    trader = Shop(world.database, seed=22)
    trader.trade(400)
    capture = world.start()
    world.wait_confirmed(capture)
    resync(world, "--all")
    wait_until(lambda: capture.metric("ordersync_capture_rereading", table="orders") == 1, "the resync has begun")
    kill(own_stack, "kafka")
    trader.trade(100)
    own_stack.ensure_running()
    capture.wait_logged("reading again is complete: request")
    world.wait_confirmed(capture)
    assert capture.terminate() == 0
    require_agreement(world, [trader], resynced=True)


def test_a_registry_that_is_away_delays_the_start_and_nothing_else(
    own_stack: EmbeddedStack, world: CaptureWorld
) -> None:
    trader = Shop(world.database, seed=23)
    capture = world.start()
    world.wait_confirmed(capture)
    kill(own_stack, "registry")
    trader.trade(50)
    world.wait_confirmed(capture)
    assert capture.terminate() == 0
    trader.trade(50)
    again = world.start()
    again.wait_logged("trying again in")
    own_stack.ensure_running()
    world.wait_confirmed(again)
    assert again.terminate() == 0
    require_agreement(world, [trader])

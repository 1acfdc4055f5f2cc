"""Stream workers that are killed, stopped and shared out: every effect once, nothing lost."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from schemas.attributes import OrderId
from schemas.avro import avro_schema
from schemas.codec.wire import frame
from schemas.models import CapturedEvent, OrderCaptured
from schemas.topics import ORDER_EVENTS, ORDERS_CAPTURED
from tests.integration.streams_harness import (
    PLAIN_FAUST,
    RegistryGate,
    Scene,
    assert_exactly_once,
    life,
    wait_until,
)
from tests.unit.order_lives import customer, product

ORDERS = 300


@pytest.fixture
def scene(fresh_topics: Endpoints, tmp_path: Path, topic_prefix: str) -> Iterator[Scene]:
    """A group of its own; what earlier groups have written is there."""
    made = Scene(fresh_topics, tmp_path, f"{topic_prefix}streams", fresh_topics.registry_url)
    try:
        made.master(customer("C1"), product("P1"), product("P2"))
        yield made
    finally:
        made.close()


def shuffled_lives(numbers: range) -> list[CapturedEvent]:
    """All events of these orders, mixed so that each owner's events keep their order."""
    chance = random.Random(len(numbers))
    queues = []
    for number in numbers:
        by_owner: dict[str, list[CapturedEvent]] = {}
        for event in life(number):
            by_owner.setdefault(event.source.system, []).append(event)
        queues += list(by_owner.values())
    mixed = []
    while queues:
        queue = chance.choice(queues)
        mixed.append(queue.pop(0))
        if not queue:
            queues.remove(queue)
    return mixed


def test_everything_happens_once_though_workers_are_killed_and_shared_out(scene: Scene) -> None:
    events = scene.subscribe(ORDER_EVENTS)
    captured = shuffled_lives(range(ORDERS))
    assert len(captured) == 3_000
    third, unfinished = len(captured) // 3, 0
    for turn in range(2):
        seen = len(events.poll())
        scene.capture(*captured[turn * third : (turn + 1) * third])
        victim = scene.work(slot="0")
        wait_until(lambda seen=seen: len(events.poll()) > seen, 60, victim.log)  # type: ignore[misc]
        victim.kill()
        unfinished += len(events.poll()) < (turn + 1) * third
    first = scene.work(slot="0")
    wait_until(first.has_partitions, 60, first.log)
    second = scene.work(slot="1")
    wait_until(second.has_partitions, 60, second.log)
    seen = len(events.poll())
    scene.capture(*captured[2 * third :])
    wait_until(lambda: len(events.poll()) > seen, 60, second.log)
    first.kill()
    unfinished += len(events.poll()) < len(captured)
    assert unfinished, "every worker had finished before it was killed: the test has shown nothing"
    assert_exactly_once(scene, ORDERS)
    events.close()
    started = time.monotonic()
    assert second.terminated() == 0, second.log()
    assert time.monotonic() - started < 10


def test_worker_without_its_schemas_ends_with_an_error_that_says_so(
    fresh_topics: Endpoints, tmp_path: Path, topic_prefix: str
) -> None:
    gate = RegistryGate(fresh_topics.registry_url)
    gate.denies_subjects = True
    made = Scene(fresh_topics, tmp_path, f"{topic_prefix}streams", gate.url)
    try:
        worker = made.work()
        assert worker.ended() == 1
        assert "ordersync topics apply" in worker.log()
    finally:
        made.close()
        gate.close()


def test_worker_that_waits_for_the_registry_stops_at_once_when_told(
    fresh_topics: Endpoints, tmp_path: Path, topic_prefix: str
) -> None:
    gate = RegistryGate(fresh_topics.registry_url)
    gate.is_open = False
    made = Scene(fresh_topics, tmp_path, f"{topic_prefix}streams", gate.url)
    try:
        worker = made.work()
        wait_until(lambda: "asking the registry" in worker.log(), 40, worker.log)
        gate.is_open = True
        wait_until(worker.has_partitions, 40, worker.log)
        gate.is_open = False
        foreign = made.register("tests-waiting-value", dict(avro_schema(OrderCaptured), doc="another version"))
        made.write(ORDERS_CAPTURED, OrderId("crm:waits"), frame(foreign) + b"never looked into")
        made.flush()
        wait_until(lambda: "orders.captured[" in worker.log(), 40, worker.log)
        started = time.monotonic()
        assert worker.terminated() == 0, worker.log()
        assert time.monotonic() - started < 10
    finally:
        made.close()
        gate.close()


def test_worker_with_a_wrong_setting_ends_with_2(scene: Scene) -> None:
    worker = scene.work(delivery="sometimes")
    assert worker.ended() == 2
    assert "ORDERSYNC_DELIVERY" in worker.log()


def test_fausts_own_command_runs_the_worker(scene: Scene) -> None:
    events = scene.subscribe(ORDER_EVENTS)
    worker = scene.work(PLAIN_FAUST)
    scene.capture(life(1_000_000)[0])
    wait_until(lambda: len(events.of("crm:1000000")) == 1, 60, worker.log)
    assert worker.terminated() == 0, worker.log()
    events.close()

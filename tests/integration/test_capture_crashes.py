"""Killed at random points under load, the capture loses nothing, doubles nothing and keeps each order's sequence."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.local.endpoints import Endpoints
from tests.conftest import DatabaseFactory
from tests.integration import shop
from tests.integration.capture_harness import CaptureWorld, wait_until
from tests.integration.planted_capture_fault import FAULTS
from tests.integration.shop import DELETED, Shop


@pytest.fixture
def world(
    stack: Endpoints, database_factory: DatabaseFactory, topic_prefix: str, tmp_path: Path
) -> Iterator[CaptureWorld]:
    mapping = shop.write_mapping(tmp_path)
    found = CaptureWorld(stack, database_factory("shop"), topic_prefix, tmp_path / "capture", str(mapping))
    with found.connect() as source:
        source.execute(shop.DDL)
    yield found
    found.close()


def traders(
    world: CaptureWorld, seed: int, transactions: int, first_order: int = 1
) -> tuple[list[Shop], list[threading.Thread]]:
    shops = [
        Shop(world.database, seed * 10 + number, first_order=first_order + number * 1_000_000) for number in range(2)
    ]
    threads = [threading.Thread(target=trader.trade, args=(transactions,)) for trader in shops]
    for thread in threads:
        thread.start()
    return shops, threads


def test_snapshot_and_stream_meet_without_gap_or_duplicate(world: CaptureWorld) -> None:
    before = Shop(world.database, seed=1, first_order=5_000_000)
    before.trade(300)
    shops, threads = traders(world, seed=2, transactions=1_000)
    capture = world.start()
    for thread in threads:
        thread.join()
    world.wait_confirmed(capture)
    assert capture.terminate() == 0
    records = world.written("orders.captured")
    assert len({record.value.event_id for record in records}) == len(records), "an event came twice without a crash"
    require_agreement(world, [before, *shops])


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_random_points(world: CaptureWorld, seed: int) -> None:
    killed_at_random_points(world, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 210))
def test_killed_at_random_points_long(world: CaptureWorld, seed: int) -> None:
    killed_at_random_points(world, seed)


def killed_at_random_points(world: CaptureWorld, seed: int) -> None:
    chance = random.Random(seed)
    # Where events wait for Kafka longer than checkpoints do, a position that is safe too early loses some.
    world.settings |= {
        "ORDERSYNC_LINGER_MILLISECONDS": chance.choice(["1", "400"]),
        "ORDERSYNC_CHECKPOINT_SECONDS": chance.choice(["0.02", "0.1"]),
        "ORDERSYNC_SNAPSHOT_ROOTS": chance.choice(["20", "5000"]),
        "ORDERSYNC_RESYNC_ROOTS": chance.choice(["10", "1000"]),
    }
    before = Shop(world.database, seed=seed, first_order=5_000_000)
    before.trade(100)
    shops, threads = traders(world, seed, transactions=400)
    for _ in range(3):
        capture = world.start()
        capture.wait_started()
        capture.wait(chance.uniform(0.0, 1.5))
        capture.kill()
    capture = world.start()
    capture.wait_started()
    for thread in threads:
        thread.join()
    world.wait_confirmed(capture)
    capture.wait_settled()
    assert capture.terminate() == 0
    require_agreement(world, [before, *shops], resynced=True, skipping=True)


def killed_once(world: CaptureWorld, command: tuple[str, ...]) -> None:
    """The first capture streams, is killed and has a successor."""
    trader, stop = Shop(world.database, seed=3), threading.Event()
    thread = threading.Thread(target=trader.trade, args=(1_000_000, stop))
    thread.start()
    capture = world.start(command)
    try:
        capture.wait_ready()
        streamed = len(trader.history) + 300
        wait_until(lambda: len(trader.history) > streamed, "it trades while changes stream")
        stop.set()
        thread.join()
        world.wait_confirmed(capture)
        capture.kill()
        trader.trade(300)
        world.settings |= {"ORDERSYNC_LINGER_MILLISECONDS": "1"}
        capture = world.start()
        world.wait_confirmed(capture)
        assert capture.terminate() == 0
    finally:
        stop.set()
        thread.join()
        capture.kill()
    require_agreement(world, [trader], resynced=True, skipping=True)


def test_killed_once(world: CaptureWorld) -> None:
    killed_once(world, ("deploy.cli", "worker"))


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_found(world: CaptureWorld, name: str) -> None:
    # What waits for Kafka when the worker is killed is lost, if its position was safe before.
    world.settings |= {"ORDERSYNC_LINGER_MILLISECONDS": "60000" if name == "safe_before_acknowledged" else "1"}
    with pytest.raises(AssertionError):
        killed_once(world, ("tests.integration.planted_capture_fault", name))


def require_agreement(
    world: CaptureWorld, shops: list[Shop], *, resynced: bool = False, skipping: bool = False
) -> None:
    """Folded by key the topic is the tables; per order the events are its commits, from its snapshot on.

    `resynced`: between them the order may have been stated again as it then was. `skipping`: and commits before such a
    statement may not have been said, because the order waited for being read.
    """
    events = world.events("orders.captured")
    assert world.rejections() == []
    with world.connect() as source:
        rows = source.execute(
            """SELECT 'shop:' || id, revision, note, charge + (SELECT coalesce(sum(quantity * price), 0) FROM lines
                      WHERE order_id = id), (SELECT count(*) FROM lines WHERE order_id = id) FROM orders"""
        ).fetchall()
    tables = {key: (str(revision), note, Decimal(total), lines) for key, revision, note, total, lines in rows}
    folded = {
        key: (last.customer_reference, last.note, last.payable_amount, len(last.order_lines))
        for key, last in ((key, found[-1].order) for key, found in events.items())
        if last is not None
    }
    assert folded == tables
    for trader in shops:
        for key, committed in trader.history.items():
            require_sequence(key, committed, events.get(key, []), resynced=resynced, skipping=skipping)


def require_sequence(
    key: str, committed: list[int], events: list[Any], *, resynced: bool = False, skipping: bool = False
) -> None:
    captured = [DELETED if event.order is None else int(event.order.customer_reference) for event in events]
    positions = [(event.source.position, event.source.sequence) for event in events]
    assert positions == sorted(set(positions)), key
    if not events:
        # Gone before the snapshot.
        assert committed[-1] == DELETED, key
        return
    place = committed.index(captured[0])
    assert place == 0 or events[0].operation == "snapshot", key
    for event, revision in zip(events[1:], captured[1:], strict=True):
        if event.source.transaction_id == 0:
            assert resynced, key
            before, place = place, committed.index(revision, place)
            assert place == before or skipping, key
        else:
            # A commit that said the same before a restart is the same event; another one is the next commit.
            place += 1
            assert committed[place] == revision, key
    assert place == len(committed) - 1, key

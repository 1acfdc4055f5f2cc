"""Workers that run only while there is something to do, as real processes: a nightly job's stream worker and sink."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from deploy.local.endpoints import Endpoints
from deploy.topics import apply_grants
from schemas.attributes import OrderId
from schemas.topics import CAPTURED_TOPICS, ORDER_EVENTS, PARKED, REJECTED
from tests.conftest import DatabaseFactory
from tests.integration.conftest import LAYOUT
from tests.integration.streams_harness import Scene, StreamsProcess, assert_exactly_once, life, wait_until
from tests.unit.order_lives import Item, Life, customer, order, product

UNTIL_DONE = (sys.executable, "-m", "deploy.cli", "worker", "streams", "--until-done")


@pytest.fixture
def scene(fresh_topics: Endpoints, tmp_path: Path, topic_prefix: str) -> Iterator[Scene]:
    made = Scene(fresh_topics, tmp_path, f"{topic_prefix}until-done", fresh_topics.registry_url)
    made.master(customer("C1"), product("P1"), product("P2"))
    yield made
    made.close()


def test_everything_that_was_there_is_done_and_a_second_run_does_nothing(scene: Scene) -> None:
    scene.capture(*(event for number in range(30) for event in life(number)))
    first = scene.work(UNTIL_DONE)
    assert first.ended(60) == 0, first.log()
    assert "300 offsets to do" in first.log() and "done: 300 offsets" in first.log()
    assert_exactly_once(scene, 30)
    second = scene.work(UNTIL_DONE)
    assert second.ended(60) == 0, second.log()
    assert "0 offsets to do" in second.log()
    assert_exactly_once(scene, 30)


def test_killed_in_the_middle_and_run_again_is_exact(scene: Scene) -> None:
    numbers = range(100, 700)
    scene.capture(*(event for number in numbers for event in life(number)))
    first = scene.work(UNTIL_DONE)
    before = scene.committed()
    wait_until(lambda: scene.committed() > before, 60, first.log)
    first.kill()
    again = [scene.work(UNTIL_DONE), scene.work(UNTIL_DONE)]
    assert [worker.ended(90) for worker in again] == [0, 0], [worker.log() for worker in again]
    assert_exactly_once(scene, numbers)


def test_stopped_before_all_is_done_it_says_so(scene: Scene) -> None:
    worker = scene.work(UNTIL_DONE, registry__url="http://127.0.0.1:9/none")
    wait_until(lambda: "offsets to do" in worker.log(), 60, worker.log)
    assert worker.terminated() == 1
    assert "run it again to go on" in worker.log()


def test_orders_that_wait_are_released_or_refused_although_no_event_comes(scene: Scene) -> None:
    released, overdue = (Life(order_id=OrderId(f"crm:{name}")) for name in ("released", "overdue"))
    parked, events, rejected = (scene.subscribe(topic) for topic in (PARKED, ORDER_EVENTS, REJECTED))
    scene.capture(released.ordered(order([Item("1", "P-next", "1", "5")], order_id=released.order_id)))
    scene.capture(overdue.ordered(order([Item("1", "P-never", "1", "5")], order_id=overdue.order_id)))
    assert scene.work(UNTIL_DONE, parked_for_seconds="1").ended(60) == 0
    wait_until(lambda: len(parked.of(released.order_id)) == len(parked.of(overdue.order_id)) == 1, 10, "both wait")
    deadline = parked.of(overdue.order_id)[0].deadline_at
    wait_until(lambda: datetime.now(UTC) > deadline, 10, "the deadline")
    scene.master(product("P-next"))
    last = scene.work(UNTIL_DONE)
    assert last.ended(60) == 0, last.log()
    assert "0 offsets to do" in last.log()
    wait_until(lambda: len(events.of(released.order_id)) == 1, 10, last.log)
    wait_until(lambda: len(rejected.of(overdue.order_id)) == 1, 10, last.log)
    assert parked.of(released.order_id)[-1] is None and deadline < datetime.now(UTC) + timedelta(seconds=1)


def test_end_of_a_transaction_is_nothing_to_do(scene: Scene) -> None:
    """The records of transactional writers are followed by markers, which no group ever commits."""
    from confluent_kafka import Producer

    events = life(7)
    producer = Producer(scene.stack.kafka().producer_config(**{"transactional.id": f"{scene.group}-writer"}))
    producer.init_transactions(30)
    for event in events:
        producer.begin_transaction()
        topic = next(name for name in CAPTURED_TOPICS if name.startswith(event.__class__.__name__[:5].lower()))
        producer.produce(topic, scene.codec(topic).encode(event), event.order_id.encode())
        producer.commit_transaction(30)
    assert scene.work(UNTIL_DONE).ended(60) == 0
    assert_exactly_once(scene, range(7, 8))


def test_sink_ends_when_the_erp_has_everything(scene: Scene, database_factory: DatabaseFactory) -> None:
    erp = database_factory("erp")
    scene.capture(*(event for number in range(20, 30) for event in life(number)))
    assert scene.work(UNTIL_DONE).ended(60) == 0
    # With the rights that the worker has where it is deployed.
    apply_grants(scene.stack.kafka())
    group = f"ordersync-erp-{scene.group}"
    environment = {
        **os.environ,
        **scene.stack.environment("erp"),
        "ORDERSYNC_GROUP_ID": group,
        "ORDERSYNC_DATABASE__HOST": erp.host,
        "ORDERSYNC_DATABASE__PORT": str(erp.port),
        "ORDERSYNC_DATABASE__DBNAME": erp.dbname,
        "ORDERSYNC_DATABASE__USER": erp.user,
    }
    if erp.password is not None:
        environment["ORDERSYNC_DATABASE__PASSWORD"] = erp.password.get_secret_value()
    command = (sys.executable, "-m", "deploy.cli", "worker", "erp", "--until-done")
    for number in range(2):
        sink = StreamsProcess(scene.directory / f"erp-{number}", environment, command)
        scene.workers.append(sink)
        assert sink.ended(60) == 0, sink.log()
        with psycopg.connect(erp.conninfo()) as connection:
            [held] = connection.execute(
                "SELECT count(*) FROM sales_order WHERE order_id = ANY(%s) AND version = 10",
                ([f"crm:{number}" for number in range(20, 30)],),
            )
        assert held == (10,)
        # The group may have been forgotten since; the position is in the database.
        observer = Consumer(scene.stack.kafka().client_config(**{"group.id": group}))
        places = [TopicPartition(ORDER_EVENTS, number, 0) for number in range(LAYOUT.order_partitions)]
        observer.commit(offsets=places, asynchronous=False)
        observer.close()

"""The stream worker as a process on real servers: what crosses, what comes late, what is broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from schemas.attributes import CustomerId, OrderId
from schemas.avro import avro_schema
from schemas.codec.wire import frame
from schemas.models import OrderCaptured
from schemas.topics import ORDER_EVENTS, ORDERS_CAPTURED, PARKED, PAYMENTS_CAPTURED, REJECTED
from tests.integration.streams_harness import RegistryGate, Scene, rejections, wait_until
from tests.unit.order_lives import Item, Life, customer, order, payment, product, shipment


@pytest.fixture(scope="module")
def gate(fresh_topics: Endpoints) -> Iterator[RegistryGate]:
    """The worker's way to the registry."""
    made = RegistryGate(fresh_topics.registry_url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def scene(fresh_topics: Endpoints, gate: RegistryGate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One worker for all tests of the module."""
    directory: Path = tmp_path_factory.mktemp("streams")
    made = Scene(fresh_topics, directory, "tests-streams-worker", gate.url)
    try:
        made.master(customer("C1"), product("P1"), product("P2"))
        made.working()
        yield made
    finally:
        made.close()


def test_payment_and_shipment_that_arrive_before_their_order_follow_it(scene: Scene) -> None:
    life = Life(order_id=OrderId("crm:early"))
    parked, events = scene.subscribe(PARKED), scene.subscribe(ORDER_EVENTS)
    scene.capture(life.settled(payment(1, "273.66")), life.handled(shipment(1, {"1": "3"})))
    wait_until(lambda: any(len(one.held) == 2 for one in parked.of("crm:early") if one), 20, "both wait")
    scene.capture(life.ordered(order(order_id=life.order_id)))
    wait_until(lambda: len(events.of("crm:early")) == 3, 20, scene.workers[0].log)
    first, *others = [event.event_type for event in events.of("crm:early")]
    assert (first, set(others)) == ("OrderPlaced", {"OrderShipped", "OrderPaid"})
    wait_until(lambda: parked.of("crm:early")[-1] is None, 10, "a tombstone")


def test_master_data_that_arrives_late_releases_its_orders_soon(scene: Scene) -> None:
    parked, events = scene.subscribe(PARKED), scene.subscribe(ORDER_EVENTS)
    lives = [Life(order_id=OrderId(f"crm:late-{number}")) for number in range(20)]
    names = {life.order_id for life in lives}
    items = [Item("1", "P-LATE", "1", "5")]
    scene.capture(*(life.ordered(order(items, customer="C-LATE", order_id=life.order_id)) for life in lives))

    def awaited() -> set[str]:
        rooms = {key: room for key, room in parked.poll() if key in names}
        return {",".join(record.key for record in room.awaits) for room in rooms.values() if room} | (names - {*rooms})

    wait_until(lambda: awaited() == {"C-LATE,P-LATE"}, 20, "all wait")
    scene.master(customer("C-LATE"))
    wait_until(lambda: awaited() == {"P-LATE"}, 5, "all wait for the product alone")
    scene.master(product("P-LATE"))
    took = wait_until(lambda: names <= {key for key, _ in events.poll()}, 5, scene.workers[0].log)
    print(f"released after {took:.2f} s")
    assert awaited() == set()


def test_broken_records_are_dead_letters_and_the_rest_goes_on(scene: Scene) -> None:
    life, rejected, events = (
        Life(order_id=OrderId("crm:sound")),
        scene.subscribe(REJECTED),
        scene.subscribe(ORDER_EVENTS),
    )
    key = life.order_id
    sound = scene.codec(ORDERS_CAPTURED).encode(life.ordered(order(order_id=key)))
    broken = [b"junk", b"", frame(2_000_000_000) + sound[5:], sound[:-1], None]
    for value in broken:
        scene.write(ORDERS_CAPTURED, key, value)
    scene.write(ORDERS_CAPTURED, CustomerId("another key"), sound)
    scene.write(PAYMENTS_CAPTURED, key, sound)
    scene.capture(life.ordered(order(order_id=key).model_copy(update={"order_lines": []})))
    scene.write(ORDERS_CAPTURED, key, sound)
    scene.flush()
    wait_until(lambda: len(events.of(key)) == 1, 20, scene.workers[0].log)
    wait_until(lambda: len(rejections(rejected)) == 8, 10, lambda: f"{len(rejected.seen)} of 8 dead letters")
    originals = {rejection.original.value for rejection in rejections(rejected)}
    assert originals >= {*broken, sound}
    assert all(rejection.violations for rejection in rejections(rejected))


def test_orders_of_almost_a_megabyte_go_through_and_wait(scene: Scene) -> None:
    life, events = Life(order_id=OrderId("crm:big")), scene.subscribe(ORDER_EVENTS)
    parked = scene.subscribe(PARKED)
    facts = order([Item(str(number), "P1", "1", "1") for number in range(25_000)], order_id=life.order_id)
    event = life.ordered(facts)
    assert 700_000 < len(scene.codec(ORDERS_CAPTURED).encode(event)) < 1_000_000
    scene.capture(life.settled(payment(1, "1")), event)
    wait_until(lambda: len(events.of(life.order_id)) == 2, 30, scene.workers[0].log)
    waiting = Life(order_id=OrderId("crm:big-waiting"))
    facts = facts.model_copy(update={"order_id": waiting.order_id, "buyer_customer_party_id": CustomerId("C-NOT-YET")})
    scene.capture(waiting.ordered(facts), waiting.ordered(facts.model_copy(update={"note": "again"})))
    wait_until(lambda: bool(parked.of(waiting.order_id)), 20, scene.workers[0].log)
    scene.master(customer("C-NOT-YET"))
    wait_until(lambda: bool(events.of(waiting.order_id)), 30, scene.workers[0].log)
    # Two of this size are too much for one record of `orders.parked`: the newer image takes the older one's place.
    [placed] = events.of(waiting.order_id)
    assert placed.state.order is not None and placed.state.order.note == "again"


def test_registry_that_is_away_is_waited_for(scene: Scene, gate: RegistryGate) -> None:
    life, events = Life(order_id=OrderId("crm:foreign")), scene.subscribe(ORDER_EVENTS)
    schema = dict(avro_schema(OrderCaptured), doc="written by another version")
    foreign = scene.register("tests-foreign-value", schema)
    body = scene.codec(ORDERS_CAPTURED).encode(life.ordered(order(order_id=life.order_id)))[5:]
    gate.is_open = False
    scene.write(ORDERS_CAPTURED, life.order_id, frame(foreign) + body)
    scene.capture(life.ordered(order(order_id=life.order_id, note="after it")))
    wait_until(lambda: "orders.captured[" in scene.workers[0].log(), 20, "the worker says that it waits")
    assert events.of(life.order_id) == []
    gate.is_open = True
    wait_until(lambda: len(events.of(life.order_id)) == 2, 20, scene.workers[0].log)
    assert [event.state.version for event in events.of(life.order_id)] == [1, 2]
    scene.workers[0].assert_alive()


def test_a_worker_that_is_told_to_stop_while_it_starts_stops(scene: Scene) -> None:
    worker = scene.work(slot="1", data_dir=str(scene.directory / "stopped"))
    # From here on the signal is the worker's, and Faust has not taken it over yet.
    wait_until(lambda: "streams: started" in worker.log(), 60, worker.log)
    assert worker.terminated(deadline_seconds=60) == 0

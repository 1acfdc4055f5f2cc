"""The single comparison knows time: what has not arrived yet is on its way; only what does not come at all is lost."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex

import psycopg
import pytest

from consumers.reconcile.reconciliation import reconcile
from deploy.local.endpoints import Endpoints
from schemas.codec import TopicCodec
from schemas.models import OrderEvent, OrderState
from schemas.topics import ORDER_EVENTS, ORDERS_CAPTURED
from tests.conftest import DatabaseFactory
from tests.integration.groups import commit
from tests.integration.reconcile_watch import traded_world
from tests.integration.reconcile_world import NOW, World, clear_topics


@pytest.fixture(scope="module")
def traded(stack: Endpoints, module_database_factory: DatabaseFactory) -> Iterator[World]:
    with traded_world(stack, module_database_factory, 20) as world:
        yield world
        clear_topics(world.settings.kafka, world.registry)


@pytest.fixture
def world(traded: World) -> Iterator[World]:
    yield traded
    traded.restore()


def newer_than(state: OrderState) -> OrderState:
    return state.model_copy(update={"version": state.version + 1})


def test_a_version_that_the_erp_has_not_read_is_on_its_way_until_the_erp_is_past_it(world: World) -> None:
    order_id, state = sorted(world.states.items())[0]
    codec = TopicCodec(ORDER_EVENTS, OrderEvent, world.registry)
    event = OrderEvent(event_type="OrderChanged", topic="x", captured_at=NOW, state=newer_than(state))
    assert reconcile(world.settings, world.registry).agrees
    world.produce(ORDER_EVENTS, {order_id: codec.encode(event)})
    world.produce_states([newer_than(state)])

    report = reconcile(world.settings, world.registry)
    assert (report.mismatches, report.on_the_way, report.agrees) == ([], [order_id], False)
    [told] = report.explained
    assert (told.system, told.field, told.cause, told.remedy) == ("erp", "version", "lag", "wait")

    with psycopg.connect(world.settings.erp.conninfo()) as connection:
        connection.execute(
            "INSERT INTO sink_position (sink, topic, partition, next_offset) "
            "SELECT 'erp', 'orders.events', number, 1000 FROM generate_series(0, 2) AS number"
        )
    report = reconcile(world.settings, world.registry)
    assert [(one.order_id, one.system, one.cause) for one in report.mismatches] == [(order_id, "erp", "lost_event")]
    assert report.on_the_way == []


def test_a_change_that_the_streams_have_not_read_is_on_its_way_until_they_are_past_it(world: World) -> None:
    group = f"streams-{token_hex(4)}"
    settings = world.settings.model_copy(update={"streams_group": group})
    places = [(ORDERS_CAPTURED, number) for number in range(3)]
    world.produce(ORDERS_CAPTURED, {f"crm:{number}": b"captured" for number in range(20)})
    commit(settings.kafka, group, dict.fromkeys(places, 0))
    order_id = next(one.order_id for one in world.states.values() if one.order is not None)
    number = order_id.removeprefix("crm:")
    crm = settings.sources[0].database
    world.execute(crm, f"UPDATE sales_order SET note = 'ring twice' WHERE order_number = {number}")

    report = reconcile(settings, world.registry)
    assert (report.mismatches, report.on_the_way) == ([], [order_id])
    assert {(one.system, one.cause, one.remedy) for one in report.explained} == {("state", "lag", "wait")}

    commit(settings.kafka, group, dict.fromkeys(places, 20))
    report = reconcile(settings, world.registry)
    assert [(one.order_id, one.system, one.cause) for one in report.mismatches] == [(order_id, "state", "lost_event")]
    assert report.on_the_way == []

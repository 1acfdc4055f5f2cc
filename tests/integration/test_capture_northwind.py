"""Northwind through the capture: every order arrives, to the cent, with its shipment and its master data."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from tests import northwind
from tests.conftest import DatabaseFactory
from tests.integration.capture_harness import CaptureWorld


@pytest.fixture
def world(
    stack: Endpoints, database_factory: DatabaseFactory, topic_prefix: str, tmp_path: Path
) -> Iterator[CaptureWorld]:
    database = database_factory("northwind")
    northwind.load_northwind(database)
    found = CaptureWorld(stack, database, topic_prefix, tmp_path / "capture", "northwind")
    yield found
    found.close()


def test_northwind_arrives_to_the_cent(world: CaptureWorld) -> None:
    capture = world.start()
    world.wait_confirmed(capture)
    with world.connect() as source:
        source.execute("UPDATE orders SET freight = freight + 1.1 WHERE order_id = 10248")
        source.execute("DELETE FROM order_details WHERE order_id = 10249")
        source.execute("DELETE FROM orders WHERE order_id = 10249")
        world.wait_confirmed(capture)
        amounts = dict(
            source.execute(
                """SELECT 'northwind:' || o.order_id, (SELECT sum(round(d.unit_price::numeric * d.quantity
                          * (1 - d.discount::numeric), 2)) FROM order_details d WHERE d.order_id = o.order_id)
                          + round(o.freight::numeric, 2)
                     FROM orders o"""
            ).fetchall()
        )
        ((shipped,),) = source.execute("SELECT count(*) FROM orders WHERE shipped_date IS NOT NULL").fetchall()
    assert capture.terminate() == 0

    orders = world.events("orders.captured")
    assert len(orders) == northwind.ORDERS
    assert [event.operation for event in orders["northwind:10248"]] == ["snapshot", "upserted"]
    assert [event.operation for event in orders["northwind:10249"]] == ["snapshot", "upserted", "deleted"]
    assert {
        key: events[-1].order.payable_amount for key, events in orders.items() if events[-1].order is not None
    } == amounts
    assert sum(len(events[0].order.order_lines) for events in orders.values()) == northwind.LINES
    assert isinstance(orders["northwind:10248"][-1].order.payable_amount, Decimal)

    fulfilments = world.events("fulfilment.captured")
    assert len([key for key, events in fulfilments.items() if events[-1].fulfilment is not None]) == shipped
    assert fulfilments["northwind:10249"][-1].operation == "deleted"
    for topic, count in (
        ("master.customers", northwind.CUSTOMERS),
        ("master.products", northwind.PRODUCTS),
        ("master.vendors", northwind.SUPPLIERS),
    ):
        assert len({record.key for record in world.written(topic)}) == count
    assert world.rejections() == []

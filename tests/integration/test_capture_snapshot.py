"""The first reading: side by side, resumed where it stopped, and what becomes of it if the kept rows are lost."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.endpoints import Endpoints
from tests.conftest import DatabaseFactory
from tests.integration import shop
from tests.integration.capture_harness import CaptureWorld, wait_until
from tests.integration.shop import Shop
from tests.integration.test_capture_crashes import require_agreement, traders
from tests.integration.test_capture_faults import orders, place, said

CUSTOMERS = """
[tables.customers]
name = "public.customers"
key = ["id"]
"""
CUSTOMER_RECORDS = """
[[aggregates]]
topic = "master.customers"
root = "customers"
key = "id"

[aggregates.fields]
customer_id = "id"
name = "name"
"""


@pytest.fixture
def world(
    stack: Endpoints, database_factory: DatabaseFactory, topic_prefix: str, tmp_path: Path
) -> Iterator[CaptureWorld]:
    mapping = shop.write_mapping(tmp_path)
    mapping.write_text(mapping.read_text().replace("[tables.lines]", f"{CUSTOMERS}\n[tables.lines]") + CUSTOMER_RECORDS)
    found = CaptureWorld(stack, database_factory("shop"), topic_prefix, tmp_path / "capture", str(mapping))
    with found.connect() as source:
        source.execute(shop.DDL)
        source.execute("CREATE TABLE customers (id text PRIMARY KEY, name text NOT NULL)")
        source.execute("INSERT INTO customers SELECT 'C' || n, 'Customer ' || n FROM generate_series(1, 20) n")
    yield found
    found.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_snapshot_is_gone_on_with_at_its_chunk(world: CaptureWorld, seed: int) -> None:
    chance = random.Random(seed)
    world.settings |= {"ORDERSYNC_SNAPSHOT_ROOTS": "20", "ORDERSYNC_RESYNC_ROOTS": "50"}
    before = Shop(world.database, seed=seed, first_order=5_000_000)
    before.trade(100)
    with world.connect() as source:
        many = "generate_series(7000001, 7010000) n"
        source.execute(f"INSERT INTO orders SELECT n, 1, 'C', '2026-11-21', NULL, 0 FROM {many}".encode())
        source.execute(f"INSERT INTO lines SELECT n, 1, 'P', 1, 1 FROM {many}".encode())
    shops, threads = traders(world, seed, transactions=600)
    capture = world.start()
    wanted = chance.randint(5_000, 12_000)
    wait_until(lambda: (capture.metric("ordersync_capture_reread_rows_total") or 0) > wanted, "some of it is read")
    capture.kill()
    with world.connect() as source:
        ((total,),) = source.execute("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM lines)").fetchall()
        again = world.start()
        again.wait_logged("the snapshot is gone on with")
        again.wait_logged("reading again is complete: snapshot")
        rows = again.metric("ordersync_capture_reread_rows_total") or 0
    for thread in threads:
        thread.join()
    world.wait_confirmed(again)
    assert again.terminate() == 0
    assert rows < total - 1_000, "what was read is not read again"
    require_agreement(world, [before, *shops], resynced=True, skipping=True)
    assert len({record.key for record in world.written("master.customers")}) == 20


def test_readers_side_by_side_read_every_row_once(world: CaptureWorld) -> None:
    world.settings |= {"ORDERSYNC_SNAPSHOT_ROOTS": "7", "ORDERSYNC_SNAPSHOT_READERS": "4"}
    before = Shop(world.database, seed=1, first_order=1)
    before.trade(400)
    with world.connect() as source:
        # A line that came before its order, and one that never had any.
        source.execute("INSERT INTO lines VALUES (9000001, 1, 'P', 1, 1), (9000002, 1, 'P', 1, 1)")
        capture = world.start()
        world.wait_confirmed(capture)
        source.execute("INSERT INTO orders VALUES (9000001, 1, 'C1', '2026-11-21', NULL, 0)")
        world.wait_confirmed(capture)
    assert capture.terminate() == 0
    records = world.written("orders.captured")
    assert len({record.value.event_id for record in records}) == len(records)
    assert len(orders(world)["shop:9000001"][-1].order.order_lines) == 1
    require_agreement(world, [before])


def test_lost_rows_are_read_again_and_what_is_gone_is_withdrawn(world: CaptureWorld) -> None:
    with world.connect() as source:
        for number in range(1, 6):
            place(source, number)
        capture = world.start()
        world.wait_confirmed(capture)
        source.execute("DELETE FROM orders WHERE id = 4")
        world.wait_confirmed(capture)
        assert capture.terminate() == 0
        shutil.rmtree(world.data_dir / "assembly-shop")
        source.execute("DELETE FROM orders WHERE id IN (2, 3)")
        source.execute("DELETE FROM customers WHERE id = 'C7'")
        again = world.start()
        again.wait_logged("3 records stood on the topics that the source no longer has")
        # What comes back is captured as ever.
        source.execute("INSERT INTO orders VALUES (3, 9, 'C1', '2026-11-21', NULL, 0)")
        world.wait_confirmed(again)
    assert again.terminate() == 0
    assert said(world, 1) == ["snapshot", "snapshot"]
    assert said(world, 2) == ["snapshot", "deleted"]
    assert said(world, 3) == ["snapshot", "deleted", "upserted"]
    assert said(world, 4) == ["snapshot", "deleted"]
    last = {record.key: record.value for record in world.written("master.customers")}
    assert last["C7"] is None
    assert len([value for value in last.values() if value is not None]) == 19
    for events in orders(world).values():
        places = [(event.source.position, event.source.sequence) for event in events]
        assert places == sorted(set(places))


def test_a_mapping_with_another_table_is_read_anew(world: CaptureWorld) -> None:
    """The numbers that kept rows refer to change; the topics tell what is to be withdrawn."""
    with world.connect() as source:
        for number in range(1, 4):
            place(source, number)
        path = Path(world.mapping)
        both = path.read_text()
        path.write_text(shop.MAPPING)
        capture = world.start()
        world.wait_confirmed(capture)
        assert capture.terminate() == 0
        source.execute("DELETE FROM orders WHERE id = 2")
        path.write_text(both)
        again = world.start()
        again.wait_logged("the mapping has other tables or aggregates now")
        again.wait_logged("1 records stood on the topics")
    world.wait_confirmed(again)
    assert again.terminate() == 0
    assert said(world, 2) == ["snapshot", "deleted"]
    assert len({record.key for record in world.written("master.customers")}) == 20


def test_another_expression_states_again_what_it_affects(world: CaptureWorld) -> None:
    with world.connect() as source:
        place(source, 1)
    capture = world.start()
    world.wait_confirmed(capture)
    assert capture.terminate() == 0
    path = Path(world.mapping)
    path.write_text(path.read_text().replace("order_status = \"'placed'\"", "order_status = \"'accepted'\""))
    again = world.start()
    again.wait_logged("reading again is complete: mapping")
    world.wait_confirmed(again)
    assert again.terminate() == 0
    assert [event.order.order_status for event in orders(world)["shop:1"]] == ["placed", "accepted"]
    assert len(world.written("master.customers")) == 20, "what says the same is not said again"


def test_other_aggregates_go_on_while_one_is_stopped(world: CaptureWorld) -> None:
    world.settings["ORDERSYNC_SCHEMA_CHECK_SECONDS"] = "0.2"
    with world.connect() as source:
        place(source, 1)
        capture = world.start()
        world.wait_confirmed(capture)
        source.execute("ALTER TABLE orders DROP COLUMN customer")
        source.execute("UPDATE orders SET revision = 2 WHERE id = 1")
        # Its look at the live table may come before the changed row in the log does.
        wait_until(
            lambda: "customer" in capture.get("/health").json()["stopped"].get("orders", ""), "orders are stopped"
        )
        source.execute("UPDATE customers SET name = 'Another' WHERE id = 'C1'")
        world.wait_confirmed(capture)
        assert [r.value.name for r in world.written("master.customers") if r.key == "C1"] == ["Customer 1", "Another"]
        assert said(world, 1) == ["snapshot"]
        health = capture.get("/health").json()
        assert health["severity"] == "warning" and "customer" in health["stopped"]["orders"]
        assert capture.metric("ordersync_capture_stopped", table="orders") == 1
        assert capture.terminate() == 0
        # Mended in the mapping instead of in the table.
        path = Path(world.mapping)
        path.write_text(
            path.read_text().replace('buyer_customer_party_id = "customer"', "buyer_customer_party_id = \"'C1'\"")
        )
        again = world.start()
        wait_until(lambda: said(world, 1) == ["snapshot", "snapshot"], "what was missed is read again")
        source.execute("UPDATE orders SET revision = 3 WHERE id = 1")
    world.wait_confirmed(again)
    assert again.terminate() == 0
    assert [event.order.customer_reference for event in orders(world)["shop:1"]] == ["1", "2", "3"]
    assert len([r for r in world.written("master.customers") if r.key == "C1"]) == 2

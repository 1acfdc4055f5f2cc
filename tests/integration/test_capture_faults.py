"""What a capture does when rows, tables, slots, connections or its own files are not as they should be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from tests.conftest import DatabaseFactory
from tests.integration import shop
from tests.integration.capture_harness import CaptureProcess, CaptureWorld, wait_until

ORDER = "INSERT INTO orders VALUES (%s, 1, 'C1', '2026-11-21', 'first', 0)"
LINES = "INSERT INTO lines SELECT %s, n, 'P' || n, 2, 10.50 FROM generate_series(1, 3) n"


@pytest.fixture
def world(
    stack: Endpoints, database_factory: DatabaseFactory, topic_prefix: str, tmp_path: Path
) -> Iterator[CaptureWorld]:
    mapping = shop.write_mapping(tmp_path)
    found = CaptureWorld(stack, database_factory("shop"), topic_prefix, tmp_path / "capture", str(mapping))
    with found.connect() as source:
        source.execute(shop.DDL)
        place(source, 1)
    yield found
    found.close()


@pytest.fixture
def capture(world: CaptureWorld) -> Iterator[CaptureProcess]:
    process = world.start()
    world.wait_confirmed(process)
    yield process
    process.kill()


def place(source: psycopg.Connection[tuple[Any, ...]], order: int) -> None:
    with source.transaction():
        source.execute(ORDER, (order,))
        source.execute(LINES, (order,))


def orders(world: CaptureWorld) -> dict[str, list[Any]]:
    return world.events("orders.captured")


def said(world: CaptureWorld, order: int) -> list[str]:
    return [event.operation for event in orders(world).get(f"shop:{order}", [])]


def ends(capture: CaptureProcess) -> tuple[int, str]:
    return capture.process.wait(30), capture.log.read_text()


def test_a_transaction_gives_one_event_an_order(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        with source.transaction():
            place(source, 2)
            place(source, 3)
            source.execute("UPDATE lines SET quantity = 5 WHERE order_id = 1")
            source.execute("UPDATE lines SET order_id = 3, number = 9 WHERE order_id = 2 AND number = 1")
        world.wait_confirmed(capture)
    found = orders(world)
    assert {key: len(events) for key, events in found.items()} == {"shop:1": 2, "shop:2": 1, "shop:3": 1}
    sources = [found[f"shop:{number}"][-1].source for number in (2, 3, 1)]
    assert len({(source.position, source.transaction_id) for source in sources}) == 1
    assert [source.sequence for source in sources] == [0, 1, 2]
    assert [len(found[f"shop:{number}"][-1].order.order_lines) for number in (1, 2, 3)] == [3, 2, 4]
    assert [line.quantity for line in found["shop:1"][-1].order.order_lines] == [5, 5, 5]


def test_truncate_withdraws_every_order(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        place(source, 2)
        source.execute("TRUNCATE lines")
        source.execute("TRUNCATE orders")
        place(source, 4)
    world.wait_confirmed(capture)
    assert said(world, 1) == ["snapshot", "upserted", "deleted"]
    assert said(world, 2) == ["upserted", "upserted", "deleted"]
    assert [len(event.order.order_lines) for event in orders(world)["shop:1"][:2]] == [3, 0]
    assert said(world, 4) == ["upserted"]


def test_an_order_too_large_for_its_topic_is_refused_and_blocks_nothing(
    world: CaptureWorld, capture: CaptureProcess
) -> None:
    with world.connect() as source:
        source.execute("UPDATE orders SET revision = 2, note = repeat('x', 1200000) WHERE id = 1")
        place(source, 2)
        world.wait_confirmed(capture)
        (rejection,) = world.rejections()
        source.execute("UPDATE orders SET revision = 3, note = 'short' WHERE id = 1")
        world.wait_confirmed(capture)
    assert (rejection.order_id, rejection.violations[0].rule) == ("shop:1", "record_too_large")
    assert "divide it at the source" in rejection.violations[0].message
    assert [event.order.customer_reference for event in orders(world)["shop:1"]] == ["1", "3"]
    assert said(world, 2) == ["upserted"]
    assert len(world.rejections()) == 1


def test_refused_rows_become_rejections_and_block_nothing(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        with source.transaction():
            source.execute("INSERT INTO orders VALUES (2, 1, 'C1', 'infinity', 'no date', 'NaN')")
            source.execute(LINES, (2,))
        place(source, 3)
        world.wait_confirmed(capture)
        source.execute("UPDATE orders SET ordered_on = '2026-11-22', charge = 1 WHERE id = 2")
        world.wait_confirmed(capture)
    (rejection,) = world.rejections()
    assert (rejection.stage, rejection.order_id, rejection.original.partition) == ("capture", "shop:2", -1)
    assert rejection.original.topic == "shop:public.orders"
    assert rejection.original.key == b"shop:2"
    assert "public.orders.ordered_on" in rejection.violations[0].message
    document = json.loads(rejection.original.value or b"")
    assert document["ordered_on"] == "infinity"
    assert [line["number"] for line in document["lines"]] == ["1", "2", "3"]
    found = orders(world)
    assert len(found["shop:2"]) == len(found["shop:3"]) == 1
    assert len(found["shop:2"][0].order.order_lines) == 3
    assert rejection.original.offset < found["shop:2"][0].source.position


def test_lost_connections_are_made_again(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        for number in range(2, 12):
            place(source, number)
            if number % 4 == 0:
                source.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND application_name LIKE 'ordersync-cdc%'"
                )
    world.wait_confirmed(capture)
    assert {key: len(events) for key, events in orders(world).items()} == {f"shop:{n}": 1 for n in range(1, 12)}
    assert "trying again" in capture.log.read_text()


def test_lost_files_are_answered_by_a_new_snapshot(world: CaptureWorld, capture: CaptureProcess) -> None:
    assert capture.terminate() == 0
    shutil.rmtree(world.data_dir / "assembly-shop")
    with world.connect() as source:
        source.execute("UPDATE lines SET quantity = 7 WHERE order_id = 1 AND number = 2")
    again = world.start()
    world.wait_confirmed(again)
    assert again.terminate() == 0
    first, second = orders(world)["shop:1"]
    assert (first.operation, second.operation) == ("snapshot", "snapshot")
    assert second.source.is_after(first.source)
    assert second.order.order_lines[1].quantity == 7
    assert "dropped and created anew" in again.log.read_text()


def test_a_lost_slot_is_answered_by_a_snapshot_that_withdraws_what_is_gone(
    world: CaptureWorld, capture: CaptureProcess
) -> None:
    with world.connect() as source:
        place(source, 2)
        world.wait_confirmed(capture)
        assert capture.terminate() == 0
        source.execute("SELECT pg_drop_replication_slot(%s)", (f"slot_{world.database.dbname}",))
        source.execute("DELETE FROM orders WHERE id = 2")
        place(source, 3)
    again = world.start()
    world.wait_confirmed(again)
    # The new slot's first position is confirmed before anything is read again.
    wait_until(lambda: "reading again is complete" in again.log.read_text(), "everything is read again")
    assert again.terminate() == 0
    assert said(world, 2) == ["upserted", "deleted"]
    assert said(world, 3) == ["snapshot"]
    assert "does not exist" in again.log.read_text()


def test_a_renamed_column_stops_its_aggregates_by_name_until_it_is_back(
    world: CaptureWorld, capture: CaptureProcess
) -> None:
    with world.connect() as source:
        source.execute("ALTER TABLE orders RENAME COLUMN customer TO client")
        source.execute("UPDATE orders SET revision = 2 WHERE id = 1")
        capture.wait_logged("table public.orders no longer has the column customer")
        source.execute("DELETE FROM lines WHERE order_id = 1 AND number = 3")
        place(source, 2)
        # The slot does not wait for a person: it moves on.
        world.wait_confirmed(capture)
        assert said(world, 1) == ["snapshot"]
        assert capture.metric("ordersync_capture_stopped", table="orders") == 1
        source.execute("ALTER TABLE orders RENAME COLUMN client TO customer")
        capture.wait_logged("captured again")
        wait_until(lambda: said(world, 2) == ["snapshot"], "what was missed is read again")
        place(source, 3)
    world.wait_confirmed(capture)
    first, second = orders(world)["shop:1"]
    assert (first.order.customer_reference, second.order.customer_reference) == ("1", "2")
    assert [len(event.order.order_lines) for event in (first, second)] == [3, 2]
    assert said(world, 3) == ["upserted"]
    assert capture.metric("ordersync_capture_stopped", table="orders") == 0


def test_a_retyped_column_stops_its_aggregates_and_a_restart_reads_them_anew(
    world: CaptureWorld, capture: CaptureProcess
) -> None:
    with world.connect() as source:
        source.execute("ALTER TABLE lines ALTER COLUMN quantity TYPE numeric(9, 1)")
        source.execute("UPDATE lines SET quantity = 2.5 WHERE order_id = 1")
    capture.wait_logged("column public.lines.quantity has changed its type")
    world.wait_confirmed(capture)
    assert said(world, 1) == ["snapshot"]
    assert capture.terminate() == 0
    again = world.start()
    wait_until(lambda: said(world, 1) == ["snapshot", "snapshot"], "the order with the new type")
    assert again.terminate() == 0
    assert [line.quantity for line in orders(world)["shop:1"][-1].order.order_lines] == [Decimal("2.5")] * 3


def test_a_column_that_only_became_wider_is_read_again_by_itself(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        source.execute("ALTER TABLE lines ALTER COLUMN quantity TYPE bigint")
        source.execute("UPDATE lines SET quantity = 5000000000 WHERE order_id = 1 AND number = 1")
        wait_until(lambda: said(world, 1) == ["snapshot", "snapshot"], "the order with the new type")
    assert orders(world)["shop:1"][-1].order.order_lines[0].quantity == 5_000_000_000


def test_an_added_column_passes_by(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        source.execute("ALTER TABLE orders ADD COLUMN colour text DEFAULT 'red'")
        source.execute("UPDATE orders SET revision = 2 WHERE id = 1")
    world.wait_confirmed(capture)
    assert said(world, 1) == ["snapshot", "upserted"]


def test_a_dropped_table_stops_its_aggregates(world: CaptureWorld) -> None:
    world.settings["ORDERSYNC_SCHEMA_CHECK_SECONDS"] = "0.2"
    capture = world.start()
    world.wait_confirmed(capture)
    with world.connect() as source:
        source.execute("DROP TABLE lines")
        capture.wait_logged("table public.lines does not exist")
        world.wait_confirmed(capture)
        assert capture.metric("ordersync_capture_stopped", table="orders") == 1
        source.execute(shop.LINES_DDL)
        source.execute(LINES, (1,))
        wait_until(lambda: said(world, 1) == ["snapshot", "snapshot"], "the order with its new lines")
    assert capture.terminate() == 0


def test_own_writes_are_not_captured(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        # Origins belong to the whole server: a sink that ran on it before may have made the same one.
        source.execute(
            "SELECT pg_replication_origin_create('ordersync_8') "
            "WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = 'ordersync_8')"
        )
        try:
            source.execute("SELECT pg_replication_origin_session_setup('ordersync_8')")
            place(source, 2)
        finally:
            source.execute("SELECT pg_replication_origin_session_reset()")
            source.execute("SELECT pg_replication_origin_drop('ordersync_8')")
        place(source, 3)
    world.wait_confirmed(capture)
    assert sorted(orders(world)) == ["shop:1", "shop:3"]


def test_an_idle_source_lets_the_server_forget_its_log(world: CaptureWorld, stack: Endpoints) -> None:
    world.settings["ORDERSYNC_HEARTBEAT_SECONDS"] = "0.2"
    capture = world.start()
    world.wait_confirmed(capture)
    with psycopg.connect(stack.database("postgres").conninfo(), autocommit=True) as elsewhere:
        elsewhere.execute("CREATE TEMPORARY TABLE noise AS SELECT 1")
        elsewhere.execute("SELECT pg_logical_emit_message(false, 'noise', repeat('x', 100000))")
    world.wait_confirmed(capture)
    state = world.data_dir / "assembly-shop"
    assert state.is_dir()
    assert capture.terminate() == 0


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ALTER TABLE lines DROP CONSTRAINT lines_pkey", "public.lines has no replica identity"),
        ("ALTER TABLE orders DROP COLUMN customer", "table public.orders has no column customer"),
        ("DROP TABLE lines", "table public.lines does not exist"),
        (
            "ALTER TABLE lines DROP CONSTRAINT lines_pkey, ALTER price SET NOT NULL, ADD UNIQUE (price);"
            "ALTER TABLE lines REPLICA IDENTITY USING INDEX lines_price_key",
            "the mapping's key column order_id, number is not part of the replica identity",
        ),
    ],
)
def test_a_source_that_does_not_fit_is_refused(world: CaptureWorld, statement: str, message: str) -> None:
    with world.connect() as source:
        source.execute("TRUNCATE lines")
        source.execute(statement.encode())
    code, log = ends(world.start())
    assert code == 2
    assert message in log


def test_a_malformed_mapping_is_refused(world: CaptureWorld) -> None:
    path = Path(world.mapping)
    path.write_text(path.read_text().replace('root = "orders"', 'root = "order"'))
    code, log = ends(world.start())
    assert code == 2
    assert "root 'order' is not one of [tables]" in log


def test_the_state_of_another_worker_is_not_touched(world: CaptureWorld, capture: CaptureProcess) -> None:
    other = world.start()
    code, log = ends(other)
    assert code == 1
    assert "give this one its own ORDERSYNC_DATA_DIR" in log
    capture.require_alive()
    wait_until(lambda: said(world, 1) == ["snapshot"], "the first worker's event")

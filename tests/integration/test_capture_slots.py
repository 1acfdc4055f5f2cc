"""Slots that are lost, dropped, recreated, invalidated or too large: nothing is lost silently, and health tells."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from producers.cdc.assembly_state import AssemblyState
from producers.cdc.changes import Position
from tests.conftest import DatabaseFactory
from tests.integration import shop
from tests.integration.capture_harness import CaptureProcess, CaptureWorld, wait_until
from tests.integration.shop import Shop
from tests.integration.test_capture_crashes import require_agreement, traders
from tests.integration.test_capture_faults import orders, place, said


@pytest.fixture
def world(
    stack: Endpoints, database_factory: DatabaseFactory, topic_prefix: str, tmp_path: Path
) -> Iterator[CaptureWorld]:
    mapping = shop.write_mapping(tmp_path)
    found = CaptureWorld(stack, database_factory("shop"), topic_prefix, tmp_path / "capture", str(mapping))
    found.settings["ORDERSYNC_HEARTBEAT_SECONDS"] = "0.2"
    with found.connect() as source:
        source.execute(shop.DDL)
    yield found
    found.close()


@pytest.fixture
def capture(world: CaptureWorld) -> Iterator[CaptureProcess]:
    with world.connect() as source:
        for number in range(1, 5):
            place(source, number)
    process = world.start()
    world.wait_confirmed(process)
    yield process
    process.kill()


def slot_of(world: CaptureWorld) -> str:
    return f"slot_{world.database.dbname}"


def drop_slot(source: psycopg.Connection[tuple[Any, ...]], slot: str) -> None:
    source.execute("SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE active_pid > 0")
    source.execute("SELECT pg_drop_replication_slot(%s)", (slot,))


def trade_in_the_gap(source: psycopg.Connection[tuple[Any, ...]]) -> None:
    """What no slot tells: an order changed, one lost a line, one went, one came."""
    source.execute("UPDATE orders SET revision = 5 WHERE id = 1")
    source.execute("DELETE FROM lines WHERE order_id = 2 AND number = 3")
    source.execute("DELETE FROM lines WHERE order_id = 3")
    source.execute("DELETE FROM orders WHERE id = 3")
    place(source, 5)


def require_nothing_lost(world: CaptureWorld) -> None:
    found = orders(world)
    assert found["shop:1"][-1].order.customer_reference == "5"
    assert [line.line_id for line in found["shop:2"][-1].order.order_lines] == ["1", "2"]
    assert said(world, 3) == ["snapshot", "deleted"]
    assert said(world, 5) == ["snapshot"]
    for events in found.values():
        places = [(event.source.position, event.source.sequence) for event in events]
        assert places == sorted(set(places))


def test_a_slot_that_was_recreated_behind_our_back_is_told_by_its_position(
    world: CaptureWorld, capture: CaptureProcess
) -> None:
    assert capture.terminate() == 0
    with world.connect() as source:
        drop_slot(source, slot_of(world))
        trade_in_the_gap(source)
        source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot_of(world),))
        place(source, 6)
    again = world.start()
    again.wait_logged("recreated or advanced by somebody else")
    again.wait_logged("reading again is complete: slot")
    world.wait_confirmed(again)
    assert again.metric("ordersync_capture_gaps_total") == 1
    assert again.terminate() == 0
    require_nothing_lost(world)


def test_a_slot_that_somebody_advanced_is_told_by_its_position(world: CaptureWorld, capture: CaptureProcess) -> None:
    assert capture.terminate() == 0
    with world.connect() as source:
        trade_in_the_gap(source)
        source.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", (slot_of(world),))
    again = world.start()
    again.wait_logged("reading again is complete: slot")
    assert again.terminate() == 0
    require_nothing_lost(world)


def test_a_slot_that_is_dropped_while_it_is_read_is_made_anew(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        with source.transaction():
            # One statement: the capture must not get the slot back in between.
            source.execute(
                "DO $$ BEGIN PERFORM pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots "
                f"WHERE slot_name = '{slot_of(world)}'; PERFORM pg_drop_replication_slot('{slot_of(world)}'); END $$"
            )
        trade_in_the_gap(source)
    capture.wait_logged("reading again is complete: slot")
    world.wait_confirmed(capture)
    found = orders(world)
    assert found["shop:1"][-1].order.customer_reference == "5"
    assert said(world, 3)[-1] == "deleted"
    assert found["shop:5"]


@contextmanager
def little_log_kept(source: psycopg.Connection[tuple[Any, ...]]) -> Iterator[None]:
    source.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    source.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        source.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
        source.execute("SELECT pg_reload_conf()")


def test_an_invalidated_slot_is_answered_by_reading_again(world: CaptureWorld, capture: CaptureProcess) -> None:
    assert capture.terminate() == 0
    with world.connect() as source:
        trade_in_the_gap(source)
        with little_log_kept(source):

            def lost() -> bool:
                source.execute("SELECT pg_logical_emit_message(false, 'noise', repeat('x', 1000000))")
                source.execute("SELECT pg_switch_wal()")
                source.execute("CHECKPOINT")
                query = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s"
                return source.execute(query, (slot_of(world),)).fetchone() == ("lost",)

            wait_until(lost, "the server invalidates the slot")
    again = world.start()
    again.wait_logged("invalidation_reason=wal_removed")
    again.wait_logged("reading again is complete: slot")
    world.wait_confirmed(again)
    assert again.terminate() == 0
    require_nothing_lost(world)


def test_an_order_is_not_stated_half_while_the_gap_is_read(world: CaptureWorld, capture: CaptureProcess) -> None:
    """What the stream brings for an order waits until all of the order has been read again."""
    assert capture.terminate() == 0
    with world.connect() as source:
        drop_slot(source, slot_of(world))
        source.execute("DELETE FROM lines WHERE order_id = 2 AND number = 3")
    world.settings["ORDERSYNC_RESYNC_ROOTS"] = "1"
    trader = Shop(world.database, seed=3, first_order=100)
    trader.trade(300)
    shops, threads = traders(world, seed=8, transactions=500, first_order=1_000)
    again = world.start()
    for thread in threads:
        thread.join()
    again.wait_logged("reading again is complete: slot")
    with world.connect() as source:
        source.execute("UPDATE orders SET revision = 2 WHERE id = 2")
    world.wait_confirmed(again)
    assert again.terminate() == 0
    assert [len(event.order.order_lines) for event in orders(world)["shop:2"]] == [3, 2, 2]
    require_agreement(world, [trader, *shops], resynced=True, skipping=True)


def test_positions_go_on_rising_on_a_server_whose_log_begins_lower(
    world: CaptureWorld, capture: CaptureProcess
) -> None:
    """As after a restore from an older copy: what is kept stands further than the server's log."""
    assert capture.terminate() == 0
    ahead = 1 << 40
    with AssemblyState(world.data_dir / "assembly-shop", cached_nodes=10) as state:
        standing = state.standing
        assert standing is not None
        state.write(state.seal(standing._replace(position=Position(standing.position + ahead))))
    with world.connect() as source:
        trade_in_the_gap(source)
        again = world.start()
        again.wait_logged("the server's log ends at")
        again.wait_logged("reading again is complete: slot")
        place(source, 6)
    world.wait_confirmed(again)
    assert again.terminate() == 0
    require_nothing_lost(world)
    assert orders(world)["shop:6"][0].source.position > ahead
    # Known without the kept rows, too: the topics tell.
    for path in sorted((world.data_dir / "assembly-shop").iterdir()):
        path.unlink()
    with world.connect() as source:
        last = world.start()
        world.wait_confirmed(last)
        place(source, 7)
    world.wait_confirmed(last)
    assert last.terminate() == 0
    assert orders(world)["shop:7"][0].source.position > ahead
    require_nothing_lost_after(world)


def require_nothing_lost_after(world: CaptureWorld) -> None:
    for events in orders(world).values():
        places = [(event.source.position, event.source.sequence) for event in events]
        assert places == sorted(set(places))


def test_rows_that_share_a_log_position_all_arrive_with_restarts_between(world: CaptureWorld) -> None:
    """COPY writes many rows into one record of the log; the worker is killed again and again meanwhile."""
    world.settings |= {"ORDERSYNC_CHECKPOINT_SECONDS": "0.01", "ORDERSYNC_CHECKPOINT_CHANGES": "50"}
    chance = random.Random(11)
    capture = world.start()
    world.wait_confirmed(capture)
    with world.connect() as source:
        for batch in range(6):
            numbers = range(batch * 400 + 1, batch * 400 + 401)
            with source.transaction(), source.cursor() as cursor:
                with cursor.copy("COPY orders FROM STDIN") as copy:
                    for number in numbers:
                        copy.write_row((number, batch, "C", "2026-11-21", None, 0))
                with cursor.copy("COPY lines FROM STDIN") as copy:
                    for number in numbers:
                        copy.write_row((number, 1, "P", 1, 2))
            capture.wait(chance.uniform(0.0, 0.15))
            capture.kill()
            capture = world.start()
            capture.wait_started()
    world.wait_confirmed(capture)
    assert capture.terminate() == 0
    found = orders(world)
    assert sorted(found, key=lambda key: int(key.split(":")[1])) == [f"shop:{n}" for n in range(1, 2_401)]
    assert {len(events) for events in found.values()} == {1}
    assert {len(events[0].order.order_lines) for events in found.values()} == {1}
    by_transaction = {event.source.position for events in found.values() for event in events}
    assert len(by_transaction) == 6, "the orders of one transaction share its position"


def test_retained_log_is_told_by_metric_log_and_health(world: CaptureWorld, capture: CaptureProcess) -> None:
    assert capture.get("/health").json() | {"slot": ""} == {
        "severity": "fine", "slot": "", "retained_bytes": pytest.approx(0, abs=1 << 28), "stopped": {}, "ready": True,
    }  # fmt: skip
    assert capture.terminate() == 0
    world.settings |= {"ORDERSYNC_RETAINED_WARNING_BYTES": "1", "ORDERSYNC_RETAINED_ERROR_BYTES": str(1 << 40)}
    warned = world.start()
    warned.wait_logged("of log on the source's disk")
    assert "WARNING" in warned.log.read_text()
    assert (warned.get("/health").status_code, warned.get("/health").json()["severity"]) == (200, "warning")
    assert (warned.metric("ordersync_replication_slot_retained_bytes") or 0) > 0
    assert warned.terminate() == 0
    world.settings["ORDERSYNC_RETAINED_ERROR_BYTES"] = "2"
    failing = world.start()
    wait_until(lambda: failing.get("/health").status_code == 503, "health tells")
    assert failing.get("/health").json()["severity"] == "error"
    assert failing.get("/health/ready").status_code == 200
    assert failing.terminate() == 0


def test_the_slot_survives_a_failover(world: CaptureWorld, capture: CaptureProcess) -> None:
    query = "SELECT failover FROM pg_replication_slots WHERE slot_name = %s"
    with world.connect() as source:
        if source.info.server_version < 170000:
            pytest.skip("failover slots came with PostgreSQL 17")
        assert source.execute(query, (slot_of(world),)).fetchone() == (True,)
        assert capture.terminate() == 0
        drop_slot(source, slot_of(world))
        again = world.start()
        again.wait_logged("reading again is complete: slot")
        assert source.execute(query, (slot_of(world),)).fetchone() == (True,)
    assert again.terminate() == 0

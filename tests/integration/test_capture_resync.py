"""Reading again on request while changes stream: what is stated, what wins, what is withdrawn, what is resumed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from deploy.cli import ordersync
from deploy.local.endpoints import Endpoints
from tests.conftest import DatabaseFactory
from tests.integration import shop
from tests.integration.capture_harness import DEADLINE_SECONDS, CaptureProcess, CaptureWorld, wait_until
from tests.integration.shop import Shop
from tests.integration.test_capture_crashes import require_agreement, traders
from tests.integration.test_capture_faults import orders, place, said


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


@pytest.fixture
def capture(world: CaptureWorld) -> Iterator[CaptureProcess]:
    with world.connect() as source:
        for number in range(1, 11):
            place(source, number)
    process = world.start()
    world.wait_confirmed(process)
    yield process
    process.kill()


def resync(world: CaptureWorld, *arguments: str) -> None:
    """The verb of the command line, against the test's cluster."""
    result = CliRunner().invoke(
        ordersync,
        ["capture", "resync", "--source", "shop", "--topic-prefix", world.prefix, *arguments],
        env=world.environment() | {"ORDERSYNC_DEBUG": "1"},
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output


def restated(world: CaptureWorld) -> set[int]:
    """Orders that were stated by more than their first snapshot."""
    return {n for n in range(1, 11) if said(world, n).count("snapshot") > 1}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--orders", "shop:3,shop:7"], {3, 7}),
        (["--table", "public.orders", "--where-range", "id=4..6"], {4, 5, 6}),
        (["--table", "lines", "--where-range", "id=9.."], {9, 10}),
        (
            ["--table", "orders", "--on", "ordered_on", "--since", "2026-11-21", "--until", "2026-11-22"],
            {*range(1, 11)},
        ),
        (["--table", "orders", "--on", "ordered_on", "--until", "2026-11-21"], set[int]()),
        (["--all"], {*range(1, 11)}),
    ],
    ids=["ids", "range", "open range by a table below", "dates", "no dates", "everything"],
)
def test_what_was_asked_for_is_stated_again(
    world: CaptureWorld, capture: CaptureProcess, arguments: list[str], expected: set[int]
) -> None:
    resync(world, *arguments)
    capture.wait_logged("reading again is complete: request")
    world.wait_confirmed(capture)
    assert restated(world) == expected
    for number in expected:
        first, second = orders(world)[f"shop:{number}"]
        assert second.source.is_after(first.source)
        assert second.order == first.order


def test_an_order_that_is_not_known_is_said(world: CaptureWorld, capture: CaptureProcess) -> None:
    resync(world, "--orders", "other:3,shop:x")
    capture.wait_logged("none of the orders other:3, shop:x is known")
    resync(world, "--table", "nothing")
    capture.wait_logged("no table 'nothing'")
    resync(world, "--table", "orders", "--where-range", "colour=1..2")
    capture.wait_logged("has a mapped column 'colour'")
    assert restated(world) == set()


def waited(world: CaptureWorld, *arguments: str) -> tuple[int, str]:
    """The same with `--wait`, as a process sees it: exit code, standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "capture", "resync", "--source", "shop", "--wait", *arguments],
        env=world.environment() | {"ORDERSYNC_TOPIC_PREFIX": world.prefix},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_to_wait_is_to_return_when_all_of_it_is_on_kafka(world: CaptureWorld, capture: CaptureProcess) -> None:
    code, output = waited(world, "--all", "--json")
    assert code == 0, output
    assert (orjson.loads(output.splitlines()[0])["roots"], restated(world)) == (10, {*range(1, 11)})
    code, output = waited(world, "--orders", "shop:3")
    assert (code, said(world, 3).count("snapshot")) == (0, 3), output
    assert "1 roots, 4 rows of shop were read again" in output
    code, output = waited(world, "--orders", "other:3")
    assert code == 2
    assert "none of the orders other:3 is known" in output
    assert capture.terminate() == 0
    code, output = waited(world, "--all", "--timeout", "1")
    assert code == 1
    assert "not done within 1 s" in output


def test_who_waits_for_a_killed_worker_hears_of_the_end_from_the_next(
    world: CaptureWorld, capture: CaptureProcess
) -> None:
    assert capture.terminate() == 0
    world.settings |= {"ORDERSYNC_RESYNC_ROOTS": "1"}
    Shop(world.database, seed=19, first_order=100).trade(150)
    again = world.start()
    world.wait_confirmed(again)
    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(waited, world, "--all")
        wait_until(lambda: (again.metric("ordersync_capture_reread_rows_total") or 0) > 50, "some of it is read")
        again.kill()
        last = world.start()
        code, output = waiting.result(DEADLINE_SECONDS)
    assert code == 0, output
    assert restated(world) == {*range(1, 11)}
    assert last.terminate() == 0


def test_kept_rows_that_differ_from_the_source_are_mended(world: CaptureWorld, capture: CaptureProcess) -> None:
    """What was changed past the log (here: as a replica) is what a resync is for."""
    with world.connect() as source:
        source.execute("ALTER PUBLICATION ordersync_shop DROP TABLE orders, lines")
        source.execute("DELETE FROM orders WHERE id IN (1, 2)")
        source.execute("DELETE FROM lines WHERE order_id IN (1, 2) OR number = 2")
        source.execute("UPDATE orders SET revision = 7 WHERE id = 3")
        place(source, 11)
        source.execute("INSERT INTO lines VALUES (12, 1, 'P', 1, 1)")
        source.execute("ALTER PUBLICATION ordersync_shop ADD TABLE orders, lines")
        world.wait_confirmed(capture)
        assert said(world, 1) == ["snapshot"]
        resync(world, "--all")
        capture.wait_logged("reading again is complete: request")
        assert said(world, 1) == said(world, 2) == ["snapshot", "deleted"]
        assert said(world, 11) == ["snapshot"]
        third = orders(world)["shop:3"][-1].order
        assert (third.customer_reference, [line.line_id for line in third.order_lines]) == ("7", ["1", "3"])
        # The line without an order was read, too: it is there when its order comes.
        source.execute("INSERT INTO orders VALUES (12, 1, 'C1', '2026-11-21', NULL, 0)")
    world.wait_confirmed(capture)
    assert len(orders(world)["shop:12"][-1].order.order_lines) == 1


def test_changes_win_over_what_is_read_at_the_same_time(world: CaptureWorld) -> None:
    """Everything is read again, several times, under load; each order's events stay the sequence of its commits."""
    world.settings |= {"ORDERSYNC_RESYNC_ROOTS": "20"}
    before = Shop(world.database, seed=5, first_order=5_000_000)
    before.trade(100)
    capture = world.start()
    world.wait_confirmed(capture)
    shops, threads = traders(world, seed=6, transactions=1_500)
    for number in range(1, 5):
        resync(world, "--all")
        wait_until(lambda n=number: capture.logged("complete: request") >= n, "the resync is complete")
    for thread in threads:
        thread.join()
    world.wait_confirmed(capture)
    assert capture.terminate() == 0
    require_agreement(world, [before, *shops], resynced=True)


def test_a_killed_worker_goes_on_with_an_unfinished_resync(world: CaptureWorld, capture: CaptureProcess) -> None:
    assert capture.terminate() == 0
    world.settings |= {"ORDERSYNC_RESYNC_ROOTS": "1"}
    trader = Shop(world.database, seed=9, first_order=100)
    trader.trade(200)
    again = world.start()
    world.wait_confirmed(again)
    resync(world, "--all")
    wait_until(lambda: (again.metric("ordersync_capture_reread_rows_total") or 0) > 200, "some of it is read")
    again.kill()
    last = world.start()
    last.wait_logged("reading again is complete: request")
    rows = last.metric("ordersync_capture_reread_rows_total") or 0
    with world.connect() as source:
        ((total,),) = source.execute("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM lines)").fetchall()
    world.wait_confirmed(last)
    assert last.terminate() == 0
    assert 0 < rows < total, "it went on where it had stopped"
    assert restated(world) == {*range(1, 11)}
    require_agreement(world, [trader], resynced=True)


def test_the_stream_goes_on_while_a_resync_is_in_work(world: CaptureWorld, capture: CaptureProcess) -> None:
    assert capture.terminate() == 0
    world.settings |= {"ORDERSYNC_RESYNC_ROOTS": "20"}
    again = world.start()
    world.wait_confirmed(again)
    stop = threading.Event()
    trader = Shop(world.database, seed=4, first_order=1_000)
    thread = threading.Thread(target=trader.trade, args=(100_000, stop))
    thread.start()
    try:
        resync(world, "--all")
        again.wait_logged("reading again is complete: request")
        assert any(key not in {f"shop:{n}" for n in range(1, 11)} for key in orders(world))
    finally:
        stop.set()
        thread.join()
    world.wait_confirmed(again)
    assert again.terminate() == 0
    require_agreement(world, [trader], resynced=True)

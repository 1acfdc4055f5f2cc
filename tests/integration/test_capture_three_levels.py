"""Trees of three tables: gaps, resyncs and crashes are right for rows below rows, with a root table and without one."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from schemas.settings import DatabaseSettings
from tests.conftest import DatabaseFactory
from tests.integration.capture_harness import CaptureWorld, wait_until
from tests.integration.test_capture_resync import waited
from tests.integration.test_capture_slots import drop_slot, slot_of

DDL = """
CREATE TABLE dispatch (id int PRIMARY KEY, carrier text);
CREATE TABLE parcel (number int PRIMARY KEY, dispatch_id int, shipped_at timestamptz NOT NULL, tracking text);
CREATE TABLE item (parcel int, line int, quantity int NOT NULL, PRIMARY KEY (parcel, line));
"""
MAPPING = """
system = "shop"
description = "What a depot sends: dispatches of parcels of items"

[tables.dispatch]
{name}key = ["id"]

[tables.parcel]
name = "public.parcel"
key = ["number"]
parent = {{ table = "dispatch", columns = ["dispatch_id"] }}

[tables.item]
name = "public.item"
key = ["parcel", "line"]
parent = {{ table = "parcel", columns = ["parcel"] }}

[[aggregates]]
topic = "fulfilment.captured"
root = "dispatch"
key = "concat('shop:', id)"

[aggregates.fields]
order_id = "concat('shop:', id)"

[aggregates.lists.shipments]
table = "parcel"

[aggregates.lists.shipments.fields]
shipment_id = "text(number)"
shipped_at = "shipped_at"
tracking_id = "tracking"

[aggregates.lists.shipments.lists.lines]
table = "item"

[aggregates.lists.shipments.lists.lines.fields]
line_id = "text(line)"
quantity = "quantity"
"""
DISPATCHES, PARCELS, LINES = 40, 80, 3
Tree = dict[str, dict[str, tuple[str | None, dict[str, int]]]]


@pytest.fixture(params=["public.dispatch", None], ids=["root table", "key only"])
def world(
    stack: Endpoints,
    database_factory: DatabaseFactory,
    topic_prefix: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[CaptureWorld]:
    mapping = tmp_path / "depot.toml"
    name = "" if request.param is None else f'name = "{request.param}"\n'
    mapping.write_text(MAPPING.format(name=name))
    found = CaptureWorld(stack, database_factory("depot"), topic_prefix, tmp_path / "capture", str(mapping))
    found.settings |= {"ORDERSYNC_RESYNC_ROOTS": "7", "ORDERSYNC_SNAPSHOT_ROOTS": "9"}
    with found.connect() as source:
        source.execute(DDL)
    yield found
    found.close()


def change(source: psycopg.Connection[Any], chance: random.Random) -> None:
    """One transaction: rows of all levels come, change, move to another parent, lose theirs, and go."""
    with source.transaction():
        for _ in range(chance.randint(1, 4)):
            dispatch, parcel, line = (chance.randint(1, most) for most in (DISPATCHES, PARCELS, LINES))
            statement, values = chance.choice(
                [
                    ("INSERT INTO dispatch VALUES (%s, 'C') ON CONFLICT DO NOTHING", (dispatch,)),
                    ("DELETE FROM dispatch WHERE id = %s", (dispatch,)),
                    (
                        "INSERT INTO parcel VALUES (%s, %s, '2026-11-21 10:00+00', NULL) "
                        "ON CONFLICT (number) DO UPDATE SET dispatch_id = excluded.dispatch_id",
                        (parcel, dispatch),
                    ),
                    ("UPDATE parcel SET dispatch_id = NULL WHERE number = %s", (parcel,)),
                    ("UPDATE parcel SET tracking = %s WHERE number = %s", (str(chance.random()), parcel)),
                    ("DELETE FROM parcel WHERE number = %s", (parcel,)),
                    (
                        "INSERT INTO item VALUES (%s, %s, %s) "
                        "ON CONFLICT (parcel, line) DO UPDATE SET quantity = excluded.quantity",
                        (parcel, line, chance.randint(1, 99)),
                    ),
                    (
                        "UPDATE item SET parcel = %s WHERE (parcel, line) = (%s, %s) "
                        "AND NOT EXISTS (SELECT FROM item WHERE (parcel, line) = (%s, %s))",
                        (PARCELS + 1 - parcel, parcel, line, PARCELS + 1 - parcel, line),
                    ),
                    ("DELETE FROM item WHERE (parcel, line) = (%s, %s)", (parcel, line)),
                ]
            )
            source.execute(statement, values)


def trade(database: DatabaseSettings, seed: int, transactions: int) -> None:
    chance = random.Random(seed)
    with psycopg.connect(database.conninfo(), autocommit=True) as source:
        for _ in range(transactions):
            change(source, chance)


def of_tables(world: CaptureWorld) -> Tree:
    """What the topic has to say when it is folded by key."""
    is_virtual = "public.dispatch" not in Path(world.mapping).read_text()
    ids = "SELECT DISTINCT dispatch_id AS id FROM parcel WHERE dispatch_id IS NOT NULL" if is_virtual else "dispatch"
    with world.connect() as source:
        rows = source.execute(
            f"""SELECT d.id, p.number::text, p.tracking, i.line::text, i.quantity
                  FROM ({ids if is_virtual else "SELECT id FROM dispatch"}) AS d
                  LEFT JOIN parcel p ON p.dispatch_id = d.id LEFT JOIN item i ON i.parcel = p.number""".encode()
        ).fetchall()
    found: Tree = {}
    for number, parcel, tracking, line, quantity in rows:
        parcels = found.setdefault(f"shop:{number}", {})
        if parcel is not None:
            lines = parcels.setdefault(parcel, (tracking, {}))[1]
            if line is not None:
                lines[line] = quantity
    return found


def of_topic(world: CaptureWorld) -> Tree:
    found: Tree = {}
    for key, events in world.events("fulfilment.captured").items():
        positions = [(event.source.position, event.source.sequence) for event in events]
        assert positions == sorted(set(positions)), key
        if events[-1].fulfilment is not None:
            found[key] = {
                parcel.shipment_id: (parcel.tracking_id, {line.line_id: int(line.quantity) for line in parcel.lines})
                for parcel in events[-1].fulfilment.shipments
            }
    return found


def require_agreement(world: CaptureWorld) -> None:
    assert world.rejections() == []
    assert of_topic(world) == of_tables(world)


def test_a_gap_is_read_again_at_every_level(world: CaptureWorld) -> None:
    trade(world.database, 1, 250)
    capture = world.start()
    world.wait_confirmed(capture)
    trade(world.database, 2, 150)
    world.wait_confirmed(capture)
    require_agreement(world)
    assert capture.terminate() == 0
    with world.connect() as source:
        drop_slot(source, slot_of(world))
    trade(world.database, 3, 150)
    trader = threading.Thread(target=trade, args=(world.database, 4, 400))
    again = world.start()
    trader.start()
    again.wait_logged("reading again is complete: slot")
    trader.join()
    world.wait_confirmed(again)
    assert again.terminate() == 0
    require_agreement(world)


def test_a_resync_under_load_and_crashes_is_right_at_every_level(world: CaptureWorld) -> None:
    trade(world.database, 5, 250)
    capture = world.start()
    world.wait_confirmed(capture)
    with world.connect() as source:
        # Past the log, as a resync is for: all levels differ from what is kept.
        source.execute("ALTER PUBLICATION ordersync_shop DROP TABLE parcel, item")
    trade(world.database, 6, 60)
    with world.connect() as source:
        source.execute("ALTER PUBLICATION ordersync_shop ADD TABLE parcel, item")
    world.wait_confirmed(capture)
    trader = threading.Thread(target=trade, args=(world.database, 7, 400))
    trader.start()
    capture.kill()
    again = world.start()
    code, output = waited(world, "--all")
    assert code == 0, output
    rows = again.metric("ordersync_capture_reread_rows_total") or 0
    with world.connect() as source:
        source.execute("UPDATE item SET quantity = 100")
    trader.join()
    world.wait_confirmed(again)
    require_agreement(world)
    again.kill()
    last = world.start()
    code, output = waited(world, "--orders", "shop:1,shop:2,shop:3")
    assert code == 0, output
    wait_until(lambda: rows > 0, "rows were read")
    world.wait_confirmed(last)
    assert last.terminate() == 0
    require_agreement(world)

"""A database of another shape, connected by its mapping file alone; and through it all that PostgreSQL can send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from deploy.cli import ordersync
from deploy.local.endpoints import Endpoints
from tests.conftest import DatabaseFactory
from tests.integration.capture_harness import CaptureProcess, CaptureWorld

MAPPING = Path(__file__).parents[2] / "deploy" / "guide" / "bazaar.toml"
DDL = """
CREATE SCHEMA bazaar;
CREATE TYPE bazaar.sale_state AS ENUM ('open', 'paid', 'void');
CREATE DOMAIN bazaar.price AS numeric(14, 4) CHECK (VALUE >= 0);
CREATE TABLE bazaar.sale (
    company char(3), year smallint, number integer, state bazaar.sale_state NOT NULL, sold_at timestamptz NOT NULL,
    client text, currency char(3) NOT NULL DEFAULT 'EUR', remarks text[], memo text,
    PRIMARY KEY (company, year, number)
) PARTITION BY LIST (year);
CREATE TABLE bazaar.sale_2025 PARTITION OF bazaar.sale FOR VALUES IN (2025);
CREATE TABLE bazaar.sale_2026 PARTITION OF bazaar.sale FOR VALUES IN (2026);
ALTER TABLE bazaar.sale ALTER COLUMN memo SET STORAGE EXTERNAL;
ALTER TABLE bazaar.sale_2026 ALTER COLUMN memo SET STORAGE EXTERNAL;
CREATE TABLE bazaar.sale_item (
    company char(3), year smallint, number integer, position smallint, sku text NOT NULL, pieces integer NOT NULL,
    price bazaar.price NOT NULL, amount numeric GENERATED ALWAYS AS (pieces * price) STORED,
    PRIMARY KEY (company, year, number, position)
);
ALTER TABLE bazaar.sale_item REPLICA IDENTITY FULL;
CREATE TABLE bazaar.web_order (
    id uuid DEFAULT gen_random_uuid(), token text NOT NULL UNIQUE, placed timestamptz NOT NULL, buyer text NOT NULL,
    items jsonb NOT NULL
);
ALTER TABLE bazaar.web_order REPLICA IDENTITY USING INDEX web_order_token_key;
"""
Session = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def world(
    stack: Endpoints, database_factory: DatabaseFactory, topic_prefix: str, tmp_path: Path
) -> Iterator[CaptureWorld]:
    found = CaptureWorld(stack, database_factory("bazaar"), topic_prefix, tmp_path / "capture", str(MAPPING))
    with found.connect() as source:
        source.execute(DDL)
        sell(source, 1)
        order(source, "a", [{"sku": "P1", "qty": 2, "price": 1.10}])
    yield found
    found.close()


@pytest.fixture
def capture(world: CaptureWorld) -> Iterator[CaptureProcess]:
    process = world.start()
    world.wait_confirmed(process)
    yield process
    process.kill()


def sell(source: Session, number: int, year: int = 2026, memo: str | None = None) -> None:
    with source.transaction():
        source.execute(
            "INSERT INTO bazaar.sale VALUES ('ABC', %s, %s, 'open', '2026-11-20 23:30Z', NULL, 'EUR', '{x,NULL}', %s)",
            (year, number, memo),
        )
        source.execute(
            "INSERT INTO bazaar.sale_item SELECT 'ABC', %s, %s, n, 'P' || n, n, 1.5 FROM generate_series(1, 2) n",
            (year, number),
        )


def order(source: Session, token: str, items: list[dict[str, object]]) -> None:
    source.execute(
        "INSERT INTO bazaar.web_order (token, placed, buyer, items) VALUES (%s, '2026-11-21 10:00+00', 'C1', %s)",
        (token, json.dumps(items)),
    )


def said(world: CaptureWorld, key: str) -> list[str]:
    return [event.operation for event in world.events("orders.captured").get(f"bazaar:{key}", [])]


def last(world: CaptureWorld, key: str) -> Any:
    return world.events("orders.captured")[f"bazaar:{key}"][-1].order


def test_snapshot_and_changes_of_both_kinds_of_orders(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        sell(source, 2)
        order(source, "b", [{"sku": "P7", "qty": 1, "price": 0.1, "unit": "KGM"}, {"sku": "P8", "qty": 3, "price": 2}])
        source.execute("UPDATE bazaar.sale_item SET pieces = 10 WHERE number = 1 AND position = 2")
        source.execute("UPDATE bazaar.web_order SET items = '[]' WHERE token = 'a'")
        source.execute("DELETE FROM bazaar.sale_item WHERE number = 2 AND position = 1")
    world.wait_confirmed(capture)
    assert said(world, "ABC-2026-1") == ["snapshot", "upserted"]
    first = last(world, "ABC-2026-1")
    assert (first.order_status, str(first.issue_date), first.payable_amount) == (
        "placed",
        "2026-11-21",
        Decimal("16.5"),
    )
    assert [line.quantity for line in first.order_lines] == [1, 10]
    assert [line.line_id for line in last(world, "ABC-2026-2").order_lines] == ["2"]
    web = last(world, "web-b")
    assert [(line.line_id, line.unit_code, line.line_extension_amount) for line in web.order_lines] == [
        ("1", "KGM", Decimal("0.10")),
        ("2", "C62", Decimal("6.00")),
    ]
    assert said(world, "web-a") == ["snapshot", "upserted"]
    assert last(world, "web-a").order_lines == []
    assert world.rejections() == []


def test_keys_that_change_and_rows_that_change_partition(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        with source.transaction():
            source.execute("UPDATE bazaar.sale SET number = 9 WHERE number = 1")
            source.execute("UPDATE bazaar.sale_item SET number = 9 WHERE number = 1")
        sell(source, 3, year=2025)
        with source.transaction():
            source.execute("UPDATE bazaar.sale SET year = 2026 WHERE number = 3")
            source.execute("UPDATE bazaar.sale_item SET year = 2026 WHERE number = 3")
        source.execute("UPDATE bazaar.web_order SET token = 'z' WHERE token = 'a'")
    world.wait_confirmed(capture)
    assert said(world, "ABC-2026-1") == ["snapshot", "deleted"]
    assert said(world, "ABC-2026-9") == ["upserted"]
    assert said(world, "ABC-2025-3") == ["upserted", "deleted"]
    assert [len(last(world, f"ABC-2026-{n}").order_lines) for n in (3, 9)] == [2, 2]
    assert (said(world, "web-a"), said(world, "web-z")) == (["snapshot", "deleted"], ["upserted"])


def test_truncate_and_delete_withdraw(world: CaptureWorld, capture: CaptureProcess) -> None:
    with world.connect() as source:
        source.execute("DELETE FROM bazaar.sale WHERE number = 1")
        source.execute("TRUNCATE bazaar.web_order")
        order(source, "c", [])
    world.wait_confirmed(capture)
    assert said(world, "ABC-2026-1") == said(world, "web-a") == ["snapshot", "deleted"]
    assert said(world, "web-c") == ["upserted"]


def test_a_long_text_that_did_not_change_stays(world: CaptureWorld, capture: CaptureProcess) -> None:
    memo = "x" * 20_000
    with world.connect() as source:
        sell(source, 4, memo=memo)
        source.execute("UPDATE bazaar.sale SET state = 'paid' WHERE number = 4")
    world.wait_confirmed(capture)
    found = last(world, "ABC-2026-4")
    assert (found.order_status, found.note) == ("completed", memo)


def test_what_is_rolled_back_never_appears_and_what_is_prepared_does_when_it_is_committed(
    world: CaptureWorld, capture: CaptureProcess
) -> None:
    with world.connect() as source:
        if source.execute("SHOW max_prepared_transactions").fetchone() == ("0",):
            pytest.skip("the server allows no prepared transactions")
        name = world.database.dbname
        source.execute("BEGIN")
        sell(source, 5)
        source.execute("ROLLBACK")
        for number, end in ((6, "ROLLBACK"), (7, "COMMIT")):
            source.execute("BEGIN")
            sell(source, number)
            source.execute(f"PREPARE TRANSACTION '{name} {number}'".encode())
            world.wait_confirmed(capture)
            assert said(world, f"ABC-2026-{number}") == []
            source.execute(f"{end} PREPARED '{name} {number}'".encode())
        source.execute("BEGIN")
        sell(source, 8)
        source.execute("SAVEPOINT s")
        source.execute("UPDATE bazaar.sale_item SET pieces = 100 WHERE number = 8")
        source.execute("ROLLBACK TO s")
        source.execute("COMMIT")
    world.wait_confirmed(capture)
    assert [said(world, f"ABC-2026-{n}") for n in (5, 6, 7, 8)] == [[], [], ["upserted"], ["upserted"]]
    assert [line.quantity for line in last(world, "ABC-2026-8").order_lines] == [1, 2]


def test_a_transaction_larger_than_the_servers_memory_is_one_transaction(
    world: CaptureWorld, capture: CaptureProcess
) -> None:
    with world.connect() as source:
        source.execute(f"ALTER DATABASE {world.database.dbname} SET logical_decoding_work_mem = '64kB'".encode())
        assert capture.terminate() == 0
        again = world.start()
        with source.transaction():
            for table, columns in (("sale", "'open', '2026-11-21 10:00+00'"), ("sale_item", "1, 'P', 1, 1")):
                rows = f"SELECT 'BIG', 2026, n, {columns} FROM generate_series(1, 8000) n"
                source.execute(f"INSERT INTO bazaar.{table} {rows}".encode())
        world.wait_confirmed(again)
    assert again.terminate() == 0
    found = {key: e for key, e in world.events("orders.captured").items() if key.startswith("bazaar:BIG")}
    assert len(found) == 8_000
    assert {(len(events), len(events[0].order.order_lines)) for events in found.values()} == {(1, 1)}
    assert len({events[0].source.position for events in found.values()}) == 1
    assert sorted(events[0].source.sequence for events in found.values()) == list(range(8_000))


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("UPDATE bazaar.sale SET sold_at = 'infinity' WHERE number = 1", "bazaar.sale.sold_at"),
        ("UPDATE bazaar.sale SET sold_at = '0044-03-15 BC' WHERE number = 1", "bazaar.sale.sold_at"),
        ("UPDATE bazaar.sale_item SET price = 'NaN' WHERE number = 1", "price_amount"),
    ],
    ids=["infinity", "before our era", "not a number"],
)
def test_values_without_meaning_are_refused_by_name_and_block_nothing(
    world: CaptureWorld, capture: CaptureProcess, statement: str, column: str
) -> None:
    with world.connect() as source:
        source.execute(statement.encode())
        sell(source, 2)
    world.wait_confirmed(capture)
    (rejection,) = world.rejections()
    assert rejection.order_id == "bazaar:ABC-2026-1"
    assert any(column in violation.message for violation in rejection.violations)
    assert said(world, "ABC-2026-1") == ["snapshot"]
    assert said(world, "ABC-2026-2") == ["upserted"]


def test_orders_with_composite_keys_are_read_again_by_their_ids(world: CaptureWorld, capture: CaptureProcess) -> None:
    result = CliRunner().invoke(
        ordersync,
        [
            *("capture", "resync", "--source", "bazaar", "--json", "--topic-prefix", world.prefix),
            *("--orders", "bazaar:ABC-2026-1,bazaar:web-a"),
        ],
        env=world.environment(),
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    assert json.loads(result.output)["system"] == "bazaar"
    capture.wait_logged("reading again is complete")
    with world.connect() as source:
        sell(source, 2)
    world.wait_confirmed(capture)
    assert said(world, "ABC-2026-1") == said(world, "web-a") == ["snapshot", "snapshot"]


def test_the_mapping_is_checked_against_the_live_database(world: CaptureWorld) -> None:
    def check() -> tuple[int, str]:
        result = CliRunner().invoke(ordersync, ["mappings", "check", str(MAPPING), "--dsn", world.database.conninfo()])
        return result.exit_code, f"{result.output} {result.exception or ''}"

    code, output = check()
    assert code == 0, output
    assert "3 tables -> orders.captured" in output
    with world.connect() as source:
        source.execute("ALTER TABLE bazaar.sale RENAME COLUMN client TO buyer")
        source.execute("ALTER TABLE bazaar.sale_item DROP COLUMN amount")
        source.execute("ALTER TABLE bazaar.sale_item ALTER COLUMN price TYPE text")
        source.execute("ALTER TABLE bazaar.web_order DROP CONSTRAINT web_order_token_key")
    _, output = check()
    for problem in (
        "table bazaar.sale has no column client",
        "table bazaar.sale_item has no column amount",
        "bazaar.web_order has no replica identity",
    ):
        assert problem in output
    with world.connect() as source:
        source.execute("DROP TABLE bazaar.web_order")
    assert "table bazaar.web_order does not exist" in check()[1]


def test_a_role_that_may_not_read_and_a_publication_that_lacks_a_table_are_told(world: CaptureWorld) -> None:
    role = f"reader_{world.database.dbname}"
    with world.connect() as source:
        source.execute(f"CREATE ROLE {role} REPLICATION".encode())
        source.execute("CREATE PUBLICATION ordersync_bazaar FOR TABLE bazaar.sale")
        try:
            # The server lets in whom it was told of, and nobody else.
            dsn = world.database.conninfo(options=f"-c role={role}")
            result = CliRunner().invoke(ordersync, ["mappings", "check", str(MAPPING), "--dsn", dsn])
            assert 'may not read bazaar.sale: GRANT SELECT ON "bazaar"."sale"' in str(result.exception)
            assert "does not send bazaar.sale_item, bazaar.web_order" in str(result.exception)
        finally:
            source.execute(f"DROP OWNED BY {role}".encode())
            source.execute(f"DROP ROLE {role}".encode())


def test_an_expression_that_does_not_suit_the_columns_type_is_told(world: CaptureWorld) -> None:
    with world.connect() as source:
        source.execute("ALTER TABLE bazaar.sale_item DROP COLUMN amount")
        source.execute("ALTER TABLE bazaar.sale_item ADD COLUMN amount text")
        source.execute("ALTER TABLE bazaar.sale ALTER COLUMN sold_at TYPE integer USING 20261121")
    result = CliRunner().invoke(ordersync, ["mappings", "check", str(MAPPING), "--dsn", world.database.conninfo()])
    assert result.exception is not None
    message = f"{result.output} {result.exception}"
    assert "bazaar.sale.sold_at is of type integer" in message
    assert "bazaar.sale_item.amount is of type text" in message

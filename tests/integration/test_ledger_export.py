"""The star schema in Parquet: DuckDB reads in it what the ledger holds, each entry once, whatever was killed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from consumers.warehouse.export.commits import CommitLog
from consumers.warehouse.export.exporter import LedgerExport
from deploy.ledger import queries
from schemas.attributes import OrderId
from schemas.errors import ConfigurationError, Fatal
from schemas.models import JournalEntry
from schemas.settings import DatabaseSettings
from tests.conftest import DatabaseFactory
from tests.contract.sink_samples import journal_entry, journal_line
from tests.integration.ledger_books import Books, open_books
from tests.unit.order_lives import Item, Life, invoice, order, payment, shipment
from tests.unit.processing_desk import Desk

FACTS = ("journal_entry", "journal_line")


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return database_factory("export")


@pytest.fixture
def books(database: DatabaseSettings) -> Iterator[Books]:
    with open_books(database) as books:
        yield books


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def asked(lake: Path, query: str) -> list[Any]:
    """DuckDB's answer; each table is called as in the ledger."""
    with duckdb.connect() as connection:
        for table in FACTS:
            connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{lake}/{table}/*/*.parquet')")
        for table in ("account", "customer", "product", "calendar"):
            connection.execute(f"CREATE VIEW {table} AS FROM '{lake}/{table}/{table}.parquet'")
        return connection.execute(query).fetchall()


def entries(lake: Path) -> list[str]:
    return [entry_id for (entry_id,) in asked(lake, "SELECT entry_id FROM journal_entry ORDER BY 1")]


def sold() -> Desk:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order([Item("1", "P1", "3", "10"), Item("2", "P2", "1", "99.99")], currency="USD")))
    desk.take(life.handled(shipment(1, {"1": "2", "2": "1"})), life.settled(invoice(1, "154.69"), payment(1, "10")))
    return desk


def december(number: int) -> JournalEntry:
    text = {"description": 'Said "so",\nthen sent; \\N', "explanation": ""}
    return journal_entry(number, posting_date=date(2026, 12, 2), period="2026-12", **text)


def test_duckdb_reads_the_trial_balance_and_every_dimension(books: Books, lake: Path) -> None:
    books.take_over(sold())
    books.write([december(1), journal_entry(2, customer_id="C1", customer_region="north")])
    LedgerExport(books.database, lake).export()
    found = asked(
        lake,
        "SELECT currency_code, account_code, any_value(account_name), sum(debit_amount), sum(credit_amount) "
        "FROM journal_line JOIN account USING (account_code) GROUP BY ALL ORDER BY 1, 2",
    )
    told = [tuple(row.values())[:5] for row in queries.trial_balance(books.database, None)]
    assert [tuple(row) for row in found] == told
    assert isinstance(found[0][3], Decimal)
    assert asked(lake, "SELECT DISTINCT period FROM journal_line ORDER BY 1") == [("2026-11",), ("2026-12",)]
    assert asked(lake, "SELECT customer_id, customer_region FROM customer") == [("C1", "north")]
    assert asked(lake, "SELECT product_id FROM product ORDER BY 1") == [("P1",), ("P2",)]
    assert asked(lake, "SELECT count(*), min(date), max(period) FROM calendar") == [(365, date(2026, 1, 1), "2026-12")]
    assert asked(
        lake,
        "SELECT count(*) FROM journal_line JOIN journal_entry USING (entry_id, period) "
        "JOIN calendar ON calendar.date = journal_line.posting_date",
    ) == books.rows("SELECT count(*) FROM journal_line")


def test_texts_and_times_arrive_as_they_are(books: Books, lake: Path) -> None:
    books.write([december(1), journal_entry(2)])
    LedgerExport(books.database, lake).export()
    columns = "description, explanation, committed_at, exchange_rate, due_date"
    assert asked(lake, f"SELECT {columns} FROM journal_entry ORDER BY entry_id") == books.rows(
        f"SELECT {columns} FROM journal_entry ORDER BY entry_id"
    )


def test_each_export_adds_only_what_is_new(books: Books, lake: Path) -> None:
    exporter = LedgerExport(books.database, lake)
    assert exporter.export() is None
    books.write([journal_entry(1), december(2)])
    first = exporter.export()
    assert first is not None
    assert exporter.export() is None
    books.write([journal_entry(1), journal_entry(3)])
    second = exporter.export()
    assert second is not None
    assert second.range.since == first.range.position
    assert [file.rows for file in second.files if file.path.startswith("journal_entry/")] == [1]
    assert entries(lake) == ["1-1", "2-1", "3-1"]
    assert exporter.check() == (6, Decimal("33.75"))


def test_what_is_committed_late_is_not_lost(books: Books, lake: Path) -> None:
    exporter = LedgerExport(books.database, lake)
    books.write([journal_entry(1)])
    assert exporter.export() is not None
    with psycopg.connect(books.database.conninfo()) as slow:
        slow.execute(
            "INSERT INTO journal_entry SELECT (jsonb_populate_record(e, jsonb_build_object('entry_id', 'slow', "
            "'transaction_id', pg_current_xact_id()::text))).* FROM journal_entry AS e"
        )
        slow.execute(
            'INSERT INTO journal_line SELECT (jsonb_populate_record(l, \'{"entry_id": "slow"}\')).* '
            "FROM journal_line AS l"
        )
        books.write([journal_entry(2)])
        assert exporter.export() is None, "an earlier transaction may still bring entries"
        slow.commit()
    assert exporter.export() is not None
    assert entries(lake) == ["1-1", "2-1", "slow"]
    exporter.check()


def test_entries_cannot_be_slipped_into_a_range_that_was_exported(books: Books) -> None:
    books.write([journal_entry(1)])
    with (
        psycopg.connect(books.database.conninfo()) as session,
        pytest.raises(psycopg.errors.CheckViolation, match="leave out transaction_id"),
    ):
        session.execute(
            'INSERT INTO journal_entry SELECT (jsonb_populate_record(e, \'{"entry_id": "x"}\')).* '
            "FROM journal_entry AS e"
        )


def digests(lake: Path) -> dict[str, list[str]]:
    """The facts' bytes by directory; names hold positions, which differ between directories."""
    return {
        str(parent.relative_to(lake)): [
            hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(parent.iterdir())
        ]
        for table in FACTS
        for parent in sorted((lake / table).iterdir())
    }


def test_killed_at_each_step_it_leaves_the_same_files(books: Books, lake: Path, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    for start in (0, 40):
        books.write([journal_entry(number) for number in range(start, start + 20)])
        books.write([december(number) for number in range(start + 20, start + 40)])
        assert killed_exports(books.database, lake) == 10, "the range, 4 dimensions, 2 x 2 facts, the commit"
        LedgerExport(books.database, undisturbed).export()
        assert digests(lake) == digests(undisturbed)
    assert LedgerExport(books.database, lake).check() == (160, Decimal("900"))
    assert len(entries(lake)) == len(set(entries(lake))) == 80


def killed_exports(database: DatabaseSettings, lake: Path) -> int:
    password = database.password.get_secret_value() if database.password else ""
    arguments = [database.host, str(database.port), database.user, database.dbname, str(lake)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.export_killer", *arguments],
        env=os.environ | {"PGPASSWORD": password},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return int(done.stdout)


def test_a_directory_follows_one_ledger(books: Books, lake: Path, database_factory: DatabaseFactory) -> None:
    books.write([journal_entry(1)])
    LedgerExport(books.database, lake).export()
    with open_books(database_factory("other")) as other:
        other.write([journal_entry(2)])
        with pytest.raises(ConfigurationError, match="Export to a new directory"):
            LedgerExport(other.database, lake).export()
    log = CommitLog(lake)
    with log.held(), pytest.raises(ConfigurationError, match="another export"):
        LedgerExport(books.database, lake).export()


def test_a_check_finds_what_was_changed(books: Books, lake: Path) -> None:
    rent = [journal_line("6000", debit="5"), journal_line("1000", credit="5")]
    books.write([journal_entry(1, order_id=OrderId("journal:1"), lines=rent)])
    exporter = LedgerExport(books.database, lake)
    exporter.export()
    (facts,) = (lake / "journal_line").rglob("*.parquet")
    whole = facts.read_bytes()
    facts.write_bytes(whole[:-1] + b"2")
    with pytest.raises(Fatal, match="not what was exported"):
        exporter.check()
    facts.write_bytes(whole)
    (commit,) = (lake / "_ordersync" / "commits").iterdir()
    told = json.loads(commit.read_bytes())
    told["files"] = [file for file in told["files"] if not file["path"].startswith("journal_line")]
    commit.write_text(json.dumps(told))
    with pytest.raises(Fatal, match="0 lines with debits of 0, and the ledger 2 with"):
        exporter.check()

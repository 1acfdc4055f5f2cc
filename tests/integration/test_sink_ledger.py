"""The ledger database refuses what is not a ledger, whoever tries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import errors

from consumers.sink import Advance, Batch, Partition
from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink
from schemas.errors import ConfigurationError, InvalidMessage
from schemas.models import JournalEntry
from schemas.registry import InMemorySchemas
from schemas.settings import DatabaseSettings
from schemas.topics import POSTINGS
from tests.conftest import DatabaseFactory
from tests.contract.sink_samples import journal_entry, journal_line

Write = Callable[..., None]
_TWO_LINES = (
    "INSERT INTO journal_line (debit_amount, credit_amount, functional_debit_amount, functional_credit_amount, "
    "account_code, entry_id, line_number, period, entry_order_id) "
    "VALUES (1, 0, 1, 0, '1000', %s, %s, %s, %s), (0, 1, 0, 1, '4000', %s, %s, %s, %s)"
)


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return database_factory("ledger")


@pytest.fixture
def write(database: DatabaseSettings) -> Iterator[Write]:
    """Writes entries in one batch."""
    steps = count()
    with closing(WarehouseSink(WarehouseSettings(database=database), InMemorySchemas())) as sink:
        sink.prepare()

        def write(*entries: JournalEntry) -> None:
            sink.write(Batch([sink.shape(entries)], {Partition(POSTINGS, next(steps)): Advance(None, 1)}, None))

        yield write


def rows(database: DatabaseSettings, query: str) -> list[Any]:
    with psycopg.connect(database.conninfo()) as session:
        return session.execute(query).fetchall()


def test_an_entry_is_recorded_once(database: DatabaseSettings, write: Write) -> None:
    entry = journal_entry(1)
    write(entry, entry, journal_entry(2))
    write(entry, journal_entry(1, description="told otherwise"))
    assert rows(database, "SELECT entry_id, description FROM journal_entry ORDER BY 1") == [
        ("1-1", "Control passed"),
        ("2-1", "Control passed"),
    ]
    assert rows(database, "SELECT count(*) FROM journal_line") == [(4,)]


def _functional_only() -> list[Any]:
    lines = [journal_line("1200", debit="5"), journal_line("4000", credit="5")]
    lines[1] = lines[1].model_copy(update={"functional_credit_amount": Decimal("4.49")})
    return lines


@pytest.mark.parametrize(
    "lines",
    [
        [journal_line("1200", debit="5"), journal_line("4000", credit="4.9999")],
        _functional_only(),
        [journal_line("1200", debit="5")],
        [],
        [journal_line("1200", debit="5"), journal_line("7777", credit="5")],
        [journal_line("1200", debit="-5"), journal_line("4000", credit="-5")],
    ],
    ids=["unbalanced", "unbalanced in functional currency", "one line", "no line", "unknown account", "negative"],
)
def test_what_is_no_entry_is_refused(database: DatabaseSettings, write: Write, lines: list[Any]) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        write(journal_entry(1), journal_entry(2, lines=lines))
    assert refusal.value.rule.startswith("sqlstate_23")
    assert rows(database, "SELECT * FROM journal_entry") == []
    assert rows(database, "SELECT * FROM sink_position") == []


@pytest.mark.parametrize("table", ["journal_entry", "journal_line"])
@pytest.mark.parametrize("change", ["UPDATE {} SET entry_id = entry_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_nobody_changes_what_is_recorded(database: DatabaseSettings, write: Write, table: str, change: str) -> None:
    write(journal_entry(1))
    with psycopg.connect(database.conninfo()) as owner:
        with pytest.raises(errors.RestrictViolation, match="append-only"), owner.transaction():
            owner.execute(change.format(table))
        owner.execute("SET ROLE ordersync_ledger_writer")
        with pytest.raises(errors.InsufficientPrivilege), owner.transaction():
            owner.execute(change.format(table))


def test_lines_are_not_added_to_an_entry_afterwards(database: DatabaseSettings, write: Write) -> None:
    write(journal_entry(1))
    with psycopg.connect(database.conninfo()) as owner, pytest.raises(errors.CheckViolation, match="at once, with all"):
        owner.execute(_TWO_LINES, ("1-1", 3, "2026-11", "crm:1", "1-1", 4, "2026-11", "crm:1"))


def test_lines_without_an_entry_are_refused(database: DatabaseSettings, write: Write) -> None:
    write(journal_entry(1))
    with psycopg.connect(database.conninfo()) as owner, pytest.raises(errors.CheckViolation, match="is not there"):
        owner.execute(_TWO_LINES, ("x", 1, "2026-11", "crm:1", "x", 2, "2026-11", "crm:1"))


def test_lines_name_the_order_of_their_entry(database: DatabaseSettings, write: Write) -> None:
    write(journal_entry(1))
    assert rows(database, "SELECT DISTINCT entry_order_id FROM journal_line") == [("crm:1",)]
    with psycopg.connect(database.conninfo()) as owner, pytest.raises(errors.CheckViolation, match="name its order"):
        owner.execute(
            "INSERT INTO journal_entry SELECT (jsonb_populate_record(e, jsonb_build_object('entry_id', 'y', "
            "'transaction_id', pg_current_xact_id()::text))).* FROM journal_entry AS e"
        )
        owner.execute(_TWO_LINES, ("y", 1, "2026-11", "crm:2", "y", 2, "2026-11", "crm:2"))


def test_the_sink_writes_as_a_role_that_can_only_append(database: DatabaseSettings, write: Write) -> None:
    write(journal_entry(1))
    granted = rows(
        database,
        "SELECT privilege_type FROM information_schema.role_table_grants "
        "WHERE grantee = 'ordersync_ledger_writer' AND table_name = 'journal_line' ORDER BY 1",
    )
    assert granted == [("INSERT",), ("SELECT",)]
    with psycopg.connect(database.conninfo()) as owner:
        owner.execute("REVOKE INSERT ON journal_entry FROM ordersync_ledger_writer")
    with pytest.raises(ConfigurationError, match="journal_entry"):
        write(journal_entry(2))


def test_balances_are_views(database: DatabaseSettings, write: Write) -> None:
    paid = [journal_line("1000", debit="10"), journal_line("1200", credit="10")]
    write(journal_entry(1), journal_entry(1, 2, lines=paid), journal_entry(2, currency_code="CHF"))
    assert rows(
        database,
        "SELECT currency_code, account_code, balance_amount, functional_balance_amount FROM trial_balance "
        "ORDER BY 1, 2",
    ) == [
        ("CHF", "1200", Decimal("12.5"), Decimal("11.25")),
        ("CHF", "4000", Decimal("-12.5"), Decimal("-11.25")),
        ("USD", "1000", Decimal(10), Decimal(9)),
        ("USD", "1200", Decimal("2.5"), Decimal("2.25")),
        ("USD", "4000", Decimal("-12.5"), Decimal("-11.25")),
    ]
    assert rows(
        database, "SELECT account_code, balance_amount FROM order_balance WHERE order_id = 'crm:1' ORDER BY 1"
    ) == [("1000", Decimal(10)), ("1200", Decimal("2.5")), ("4000", Decimal("-12.5"))]


def test_the_chart_of_accounts_is_seeded_once(database: DatabaseSettings, write: Write) -> None:
    found = dict(rows(database, "SELECT account_code, account_type FROM account"))
    wanted = {"1000", "1200", "1250", "1300", "2100", "2200", "4000", "4100", "5000"}
    assert wanted <= found.keys()
    with psycopg.connect(database.conninfo()) as owner:
        owner.execute("UPDATE account SET account_name = 'Bank' WHERE account_code = '1000'")
    with closing(WarehouseSink(WarehouseSettings(database=database), InMemorySchemas())) as second:
        second.prepare()
    assert rows(database, "SELECT account_name FROM account WHERE account_code = '1000'") == [("Bank",)]

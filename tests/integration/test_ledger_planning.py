"""The ledger's periods, chart of accounts and planning views, filled by real lives of orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from consumers.sink import Advance, Batch, Partition
from consumers.warehouse.settings import WarehouseSettings
from consumers.warehouse.sink import WarehouseSink
from deploy.ledger import queries
from deploy.ledger.journal_files import post_journal, read_journal
from schemas.errors import ConfigurationError
from schemas.models import JournalEntry
from schemas.registry import InMemorySchemas
from schemas.settings import DatabaseSettings
from schemas.topics import POSTINGS
from tests.conftest import DatabaseFactory
from tests.contract.sink_samples import journal_entry, journal_line
from tests.unit.order_lives import Item, Life, invoice, order, payment, shipment
from tests.unit.processing_desk import Desk

D = Decimal
Write = Callable[..., None]


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return database_factory("planning")


@pytest.fixture
def chart(tmp_path: Path) -> dict[str, Path]:
    """Revenue of hardware in the north has an account of its own."""
    accounts = tmp_path / "accounts.csv"
    builtin = Path("consumers/warehouse/accounts.csv").read_text()
    accounts.write_text(builtin + "4010,Revenue hardware north,income,credit,4000,operating\n")
    assigned = tmp_path / "assigned.csv"
    assigned.write_text("control,product_category,customer_region,account\n4000,hardware,north,4010\n")
    return {"accounts": accounts, "account_assignments": assigned}


@pytest.fixture
def write(database: DatabaseSettings, chart: dict[str, Path]) -> Iterator[Write]:
    """Writes entries in one batch."""
    steps = count()
    with closing(WarehouseSink(WarehouseSettings(database=database, **chart), InMemorySchemas())) as sink:
        sink.prepare()

        def write(entries: list[JournalEntry]) -> None:
            sink.write(Batch([sink.shape(entries)], {Partition(POSTINGS, next(steps)): Advance(None, 1)}, None))

        yield write


def sold() -> list[JournalEntry]:
    """2 of 3 shipped, all billed, 10.00 paid: net 20.00, tax 3.80; cost 8.00."""
    life, desk = Life(), Desk()
    desk.take(
        life.ordered(order([Item("1", "P1", "3", "10")])),
        life.handled(shipment(1, {"1": "2"})),
        life.settled(invoice(1, "35.70"), payment(1, "10.00")),
    )
    return desk.entries()


def rows(database: DatabaseSettings, query: str) -> list[Any]:
    with psycopg.connect(database.conninfo()) as session:
        return session.execute(query).fetchall()


def test_trial_balance_metrics_and_tie_out(database: DatabaseSettings, write: Write) -> None:
    write(sold())
    found = {row["account_code"]: row["balance_amount"] for row in queries.trial_balance(database, None)}
    assert {account: amount for account, amount in found.items() if amount} == {
        "1000": D(10),
        "1200": D("25.70"),
        "1300": D(-8),
        "2100": D("-11.90"),
        "2200": D("-3.80"),
        "4000": D(-20),
        "5000": D(8),
    }
    assert sum(found.values()) == 0
    (metrics,) = queries.view(database, "metrics")
    assert (metrics["net_sales_amount"], metrics["net_income_amount"]) == (D(20), D(12))
    assert (metrics["operating_cash_flow_to_sales"], metrics["net_income_to_sales"]) == (D("0.5"), D("0.6"))
    (tie_out,) = queries.view(database, "tie-out")
    assert (tie_out["ledger_amount"], tie_out["difference_amount"]) == (D("25.70"), 0)
    (recognised,) = queries.view(database, "revenue")
    assert (recognised["recognised_amount"], recognised["deferred_amount"]) == (D(20), D("11.90"))


def test_operating_expenses_come_in_as_entries(database: DatabaseSettings, write: Write) -> None:
    rent = [journal_line("6000", debit="5"), journal_line("1000", credit="5")]
    write([*sold(), journal_entry(9, lines=rent, currency_code="EUR")])
    (metrics,) = queries.view(database, "metrics")
    assert metrics["net_income_amount"] == D("7.5"), "12 less 5 at the sample's rate of 0.9"
    assert metrics["operating_cash_flow_amount"] == D("5.5")
    (profit,) = queries.view(database, "profitability")
    assert (profit["contribution_amount"], profit["allocated_cost_amount"]) == (D(12), D("4.5"))


def test_a_journal_file_is_posted_once(database: DatabaseSettings, write: Write, tmp_path: Path) -> None:
    write(sold())
    file = tmp_path / "expenses.csv"
    heading = "journal,date,account,debit,credit,currency,description\n"
    file.write_text(heading + "J1,2026-11-30,6000,4,,EUR,Rent\nJ1,2026-11-30,1000,,4,EUR,Rent\n")
    for _ in range(2):
        post_journal(database, read_journal(file))
    (metrics,) = queries.view(database, "metrics")
    assert (metrics["net_income_amount"], metrics["operating_cash_flow_amount"]) == (D(8), D(6))
    file.write_text(heading + "J2,2026-11-30,6000,4,,EUR,Rent\nJ2,2026-11-30,1000,,5,EUR,Rent\n")
    with pytest.raises(ConfigurationError, match="does not balance"):
        post_journal(database, read_journal(file))
    file.write_text(heading + "J3,yesterday,6000,4,,EUR,Rent\n")
    with pytest.raises(ConfigurationError, match="journal J3: a date"):
        read_journal(file)


def test_open_receivables_by_age_and_cash_flow(database: DatabaseSettings, write: Write) -> None:
    entries = [entry.model_copy(update={"due_date": date(2020, 1, 31)}) for entry in sold()]
    write(entries)
    (open_item,) = queries.view(database, "open-receivables")
    assert (open_item["due_date"], open_item["open_amount"]) == (date(2020, 1, 31), D("25.70"))
    (aged,) = queries.view(database, "receivables")
    assert (aged["bucket"], aged["open_amount"]) == ("over 90 days", D("25.70"))
    flow = queries.view(database, "cash-flow")
    assert sum(row["received_amount"] for row in flow) == D(10)
    assert sum(row["due_amount"] for row in flow) == D("25.70")


def test_variances_add_up(database: DatabaseSettings, write: Write, tmp_path: Path) -> None:
    entries = sold()
    (period,) = {entry.period for entry in entries}
    budget = tmp_path / "budget.csv"
    budget.write_text(f"period,product_category,quantity,unit_price_amount\n{period},,4,9\n{period},service,6,2\n")
    write(entries)
    assert queries.load_budget(database, budget) == 2
    found = {row["product_category"]: row for row in queries.view(database, "budget-variance")}
    goods = found[""]
    # 2 x 10 against 4 x 9: price (10 - 9) x 2; at the budget's mix 2 x 4/10 = 0.8: volume (0.8 - 4) x 9
    assert (goods["price_variance_amount"], goods["volume_variance_amount"]) == (D(2), D("-28.8"))
    assert goods["mix_variance_amount"] == D("10.8"), "(2 - 0.8) x 9"
    for row in found.values():
        parts = row["price_variance_amount"] + row["volume_variance_amount"] + row["mix_variance_amount"]
        assert parts == row["variance_amount"] == row["actual_amount"] - row["budget_amount"]
    assert found["service"]["actual_amount"] == 0


def test_figures_drill_down_to_order_lines(database: DatabaseSettings, write: Write) -> None:
    write(sold())
    lines = queries.view(database, "sales-lines")
    assert [(row["order_id"], row["line_id"], row["product_id"]) for row in lines] == [("crm:SO-1", "1", "P1")]
    assert (lines[0]["revenue_amount"], lines[0]["direct_cost_amount"], lines[0]["quantity"]) == (D(20), D(8), D(2))


def test_entries_of_an_order_come_back_as_they_were(database: DatabaseSettings, write: Write) -> None:
    entries = sold()
    write(entries)
    found = {entry.entry_id: entry for entry in queries.entries_of_order(database, "crm:SO-1")}
    assert found == {entry.entry_id: entry for entry in entries}
    assert "line 1: 2 of 3 of 30 = 20" in (
        next(entry for entry in found.values() if entry.rule == "transfer_of_control").explanation or ""
    )
    with pytest.raises(ConfigurationError, match="no entry of 'crm:none'"):
        queries.entries_of_order(database, "crm:none")


def test_product_groups_and_regions_have_accounts_of_their_own(database: DatabaseSettings, write: Write) -> None:
    lines = [journal_line("1200", debit="7"), journal_line("4000", credit="7")]
    lines[1] = lines[1].model_copy(update={"product_category": "hardware"})
    write(
        [journal_entry(1, lines=lines, customer_region="north"), journal_entry(2, lines=lines, customer_region="east")]
    )
    assert rows(
        database,
        "SELECT account_code, control_code, -sum(balance_amount) FROM period_balance "
        "WHERE control_code = '4000' GROUP BY 1, 2 ORDER BY 1",
    ) == [("4000", "4000", D(7)), ("4010", "4000", D(7))]


def test_an_assignment_to_an_unknown_account_is_refused(database: DatabaseSettings, tmp_path: Path) -> None:
    assigned = tmp_path / "wrong.csv"
    assigned.write_text("control,product_category,customer_region,account\n4000,*,north,4999\n")
    with pytest.raises(ConfigurationError, match="4999 is assigned and not in the chart"):
        WarehouseSink(WarehouseSettings(database=database, account_assignments=assigned), InMemorySchemas())


def test_late_entries_go_to_the_open_period_and_keep_their_day(database: DatabaseSettings, write: Write) -> None:
    write([journal_entry(1)])
    queries.close_period(database, "2026-11", "the controller")
    write([journal_entry(1), journal_entry(2)])
    assert rows(database, "SELECT entry_id, period, posting_date, effective_date FROM journal_entry ORDER BY 1") == [
        ("1-1", "2026-11", date(2026, 11, 21), date(2026, 11, 21)),
        ("2-1", "2026-12", date(2026, 12, 1), date(2026, 11, 21)),
    ]
    with pytest.raises(ConfigurationError, match="closed already"):
        queries.close_period(database, "2026-10", "the controller")


def test_a_closed_period_refuses_postings_and_stays_closed(database: DatabaseSettings, write: Write) -> None:
    write([journal_entry(1)])
    queries.close_period(database, "2026-11", "the controller")
    with psycopg.connect(database.conninfo()) as owner:
        with pytest.raises(errors.SerializationFailure, match="2026-11 is closed"), owner.transaction():
            owner.execute(
                "INSERT INTO journal_entry SELECT (jsonb_populate_record(e, jsonb_build_object('entry_id', 'x', "
                "'transaction_id', pg_current_xact_id()::text))).* FROM journal_entry AS e"
            )
        with pytest.raises(errors.RestrictViolation), owner.transaction():
            owner.execute("DELETE FROM closed_period")


def test_each_period_is_a_partition(database: DatabaseSettings, write: Write) -> None:
    write([journal_entry(1), journal_entry(2, posting_date=date(2026, 12, 2), period="2026-12")])
    assert rows(
        database,
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'journal_line'::regclass ORDER BY 1",
    ) == [("journal_line_2026_11",), ("journal_line_2026_12",)]

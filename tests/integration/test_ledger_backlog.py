"""What is ordered and not yet recognised, what cash is to come of it, and that planning figures tie to the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.commands.ledger import command
from deploy.ledger import queries
from schemas.attributes import OrderId
from schemas.errors import ConfigurationError
from schemas.models import OrderState, SalesOrder
from schemas.settings import DatabaseSettings
from tests.conftest import DatabaseFactory
from tests.contract.sink_samples import journal_entry, journal_line
from tests.integration.ledger_books import Books, open_books
from tests.unit.order_lives import Item, Life, goods_return, invoice, order, payment, shipment
from tests.unit.order_samples import order_state
from tests.unit.processing_desk import Desk

D = Decimal
FAR = date(2999, 3, 31)


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return database_factory("backlog")


@pytest.fixture
def books(database: DatabaseSettings) -> Iterator[Books]:
    with open_books(database) as books:
        yield books


def wanted(facts: SalesOrder, day: date) -> SalesOrder:
    return facts.model_copy(update={"requested_delivery_date": day})


def lived(*names: str) -> Desk:
    """Orders of 3 x 10 and 10 x 20 with charges of 23: one half shipped, one not, one cancelled, one in dollars."""
    desk = Desk()
    items = [Item("1", "P1", "3", "10"), Item("2", "P2", "10", "20")]
    for name in names:
        life = Life(order_id := OrderId(f"crm:{name}"))
        currency = "USD" if name == "dollars" else "EUR"
        facts = wanted(order(items, charges="23", order_id=order_id, currency=currency), FAR)
        desk.take(life.ordered(facts))
        if name == "half":
            desk.take(life.handled(shipment(1, {"1": "3", "2": "4"}), goods_return(1, {"2": "1"})))
            desk.take(life.settled(invoice(1, "100"), payment(1, "40")))
        if name == "cancelled":
            desk.take(life.ordered(facts.model_copy(update={"order_status": "cancelled"})))
    return desk


def test_backlog_is_what_is_ordered_and_not_transferred(books: Books) -> None:
    books.take_over(lived("half", "whole", "cancelled", "dollars"))
    lines = {(row["order_id"], row["line_id"]): row for row in queries.view(books.database, "backlog-lines")}
    half = lines[("crm:half", "2")]
    assert (half["ordered_amount"], half["transferred_amount"], half["returned_amount"]) == (D(200), D(80), D(20))
    assert (half["backlog_quantity"], half["backlog_amount"]) == (D(6), D(120)), "what came back is not sent again"
    assert half["recognised_amount"] == D(60)
    assert ("crm:half", "1") not in lines
    # 110 of 230 went: so did 11 of the 23 for freight.
    assert (lines[("crm:half", "")]["backlog_amount"], lines[("crm:half", "")]["recognised_amount"]) == (D(12), D(11))
    assert not [key for key in lines if key[0] == "crm:cancelled"]
    euros, dollars = sorted(queries.view(books.database, "backlog"), key=lambda row: str(row["currency_code"]))
    assert (euros["currency_code"], euros["expected_period"], euros["orders"]) == ("EUR", "2999-03", 2)
    assert euros["backlog_amount"] == D(120 + 12 + 253)
    assert (dollars["backlog_amount"], dollars["functional_backlog_amount"]) == (D(253), D("227.7"))


def test_newer_versions_replace_promises_and_older_ones_do_not(books: Books) -> None:
    first = order_state(1).model_copy(update={"version": 1, "fulfilment": None})
    books.write([first])
    (before,) = queries.view(books.database, "backlog", by=["currency_code"])
    assert first.order is not None
    fewer = first.order.model_copy(update={"order_lines": first.order.order_lines[:1]})
    newer = first.model_copy(update={"version": 2, "order": fewer})
    books.write([newer, first])
    (after,) = queries.view(books.database, "backlog", by=["currency_code"])
    assert (before["items"], after["items"]) == (4, 2)
    books.write([first])
    assert queries.view(books.database, "backlog", by=["currency_code"]) == [after]
    books.write([newer.model_copy(update={"version": 3, "order": None, "order_status": "deleted"})])
    assert queries.view(books.database, "backlog") == []


def test_what_is_overdue_is_expected_now_and_said_to_be_late(books: Books) -> None:
    desk = lived("whole")
    states = [event.state for event in desk.events()]
    assert states[0].order is not None
    late = states[0].model_copy(update={"order": wanted(states[0].order, date(2020, 1, 31))})
    books.write([late])
    (row,) = queries.view(books.database, "backlog")
    ((this_month,),) = books.rows("SELECT to_char(current_date, 'YYYY-MM')")
    assert (row["expected_period"], row["overdue_amount"]) == (this_month, D(253))


def test_every_planning_figure_ties_to_the_ledger(books: Books) -> None:
    books.take_over(lived("half", "whole", "dollars"))
    rent = [journal_line("6000", debit="5"), journal_line("1000", credit="5")]
    idle = {"posting_date": date(2026, 1, 31), "period": "2026-01"}
    books.write([journal_entry(9, lines=rent, currency_code="EUR"), journal_entry(10, lines=rent, **idle)])
    found = {(row["figure"], row["currency_code"]): row for row in queries.view(books.database, "planning-tie-out")}
    assert {figure for figure, _ in found} == {
        "revenue by order line",
        "direct cost by order line",
        "profit after allocated costs",
        "deferred revenue by order",
        "open receivables",
        "cash received",
        "recognised of the backlog's lines",
    }
    assert [row for row in found.values() if row["difference_amount"]] == []
    assert found[("profit after allocated costs", "EUR")]["figure_amount"] == D(101) - D(4) * 3 - D("22") - D("9")
    unallocated = queries.view(books.database, "profitability", where={"period": "2026-01"})
    assert [(row["revenue_amount"], row["allocated_cost_amount"]) for row in unallocated] == [(0, D("4.5"))]


def test_allocated_costs_add_up_although_shares_are_rounded(books: Books) -> None:
    lines = [journal_line("1200", debit="3"), *[journal_line("4000", credit="1") for _ in range(3)]]
    lines[1:] = [line.model_copy(update={"product_id": f"P{number}"}) for number, line in enumerate(lines[1:])]
    rent = [journal_line("6000", debit="1"), journal_line("1000", credit="1")]
    books.write([journal_entry(1, lines=lines), journal_entry(2, lines=rent)])
    rows = queries.view(books.database, "profitability")
    assert sorted(row["allocated_cost_amount"] for row in rows) == [D("0.3")] * 3
    (tie,) = queries.view(books.database, "planning-tie-out", where={"figure": "profit after allocated costs"})
    assert tie["difference_amount"] == 0


def test_cash_is_forecast_from_receivables_and_backlog(books: Books) -> None:
    desk = lived("half")
    due = [entry.model_copy(update={"due_date": FAR if entry.rule == "billing" else None}) for entry in desk.entries()]
    books.write([*due, *(event.state for event in desk.events())])
    found = {row["origin"]: row for row in queries.view(books.database, "cash-forecast")}
    # Order and tax are 230 x 1.19 + 23 = 296.70, of which 20 x 1.19 came back; 100 is billed, of which 40 is paid.
    assert found["receivable"]["amount"] == D(60)
    assert found["backlog"]["amount"] == D("296.70") - D("23.80") - D(100)
    flow = queries.view(books.database, "cash-flow", by=["currency_code"])
    assert [(row["received_amount"], row["due_amount"], row["forecast_amount"]) for row in flow] == [
        (D(40), D(60), D(60) + D("172.90"))
    ]


def test_customers_who_pay_late_are_expected_late(books: Books) -> None:
    entries = []
    for number in range(4):
        billed, paid = date(2026, 1, 10), date(2026, 1, 25)
        about = {"customer_id": "C-late", "order_id": OrderId(f"crm:{number}"), "period": "2026-01"}
        debit = [journal_line("1200", debit="10"), journal_line("2100", credit="10")]
        credit = [journal_line("1000", debit="10"), journal_line("1200", credit="10")]
        dates = {"posting_date": billed, "due_date": billed if number else FAR}
        entries.append(journal_entry(number, rule="billing", lines=debit, **about, **dates))
        if number:
            entries.append(journal_entry(number, 2, rule="cash_receipt", lines=credit, **about, posting_date=paid))
    books.write(entries)
    (row,) = queries.view(books.database, "cash-forecast")
    assert (row["due_date"], row["expected_date"]) == (FAR, date(2999, 4, 15)), "15 days after"


def test_views_add_up_by_columns_and_never_over_currencies(books: Books) -> None:
    books.take_over(lived("half", "whole", "dollars"))
    by_channel = queries.view(books.database, "backlog-lines", by=["sales_channel"])
    assert {(row["sales_channel"], row["currency_code"]) for row in by_channel} == {(None, "EUR"), (None, "USD")}
    (one,) = queries.view(books.database, "backlog-lines", where={"order_id": "crm:half", "line_id": "2"})
    assert one["backlog_amount"] == D(120)
    with pytest.raises(ConfigurationError, match="no column 'colour'; it has expected_period"):
        queries.view(books.database, "backlog", by=["colour"])


def test_a_condition_without_value_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["view", "backlog", "--where", "period", "--home", str(tmp_path)])
    assert result.exit_code == 2
    assert "'period' is not COLUMN=VALUE" in result.output


def test_state_without_facts_promises_nothing(books: Books) -> None:
    state: OrderState = order_state(1).model_copy(update={"order": None, "enrichment": None})
    books.write([state])
    assert queries.view(books.database, "backlog") == []

"""The end of a period in a ledger of live orders: closing rates and expected returns, each difference posted once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from consumers.reconcile.ledger import LedgerReader
from deploy.ledger.period_end import end_period
from schemas.attributes import OrderId
from schemas.errors import ConfigurationError
from schemas.settings import DatabaseSettings
from tests.conftest import DatabaseFactory
from tests.integration.ledger_books import Books, open_books
from tests.unit.order_lives import Item, Life, goods_return, invoice, order, payment, shipment
from tests.unit.processing_desk import Desk

D = Decimal
_BALANCES = """
SELECT control_code, sum(functional_debit_amount - functional_credit_amount), sum(debit_amount - credit_amount)
FROM journal_line JOIN account USING (account_code) GROUP BY 1
"""
_DIFFERENCES = "SELECT sum(abs(difference_amount)) FROM planning_tie_out"


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return database_factory("period_end")


@pytest.fixture
def books(database: DatabaseSettings) -> Iterator[Books]:
    with open_books(database) as books:
        yield books


def functional(books: Books, account: str) -> Decimal:
    return {code: amount for code, amount, _ in books.rows(_BALANCES)}.get(account, D(0))


def rates(folder: Path, rate: str) -> Path:
    file = folder / "rates.csv"
    file.write_text(
        "base_currency_code,quote_currency_code,rate_date,rate,provider\n"
        f"USD,EUR,2026-11-28,9,too old\nUSD,EUR,2026-11-30,{rate},ECB\nUSD,EUR,2026-12-01,9,too new\n"
    )
    return file


def test_receivables_take_the_closing_rate_until_they_are_paid(books: Books, tmp_path: Path) -> None:
    life, desk = Life(OrderId("crm:dollars")), Desk()
    desk.take(
        life.ordered(order([Item("1", "P1", "3", "10")], currency="USD", order_id=OrderId("crm:dollars"))),
        life.handled(shipment(1, {"1": "3"})),
        life.settled(invoice(1, "35.70", currency="USD"), payment(1, "5.70", currency="USD")),
    )
    books.take_over(desk)
    booked = functional(books, "1200")
    assert booked != D("28.50")

    (entry,) = end_period(books.database, "2026-11", rates(tmp_path, "0.95"), None)
    assert functional(books, "1200") == D("28.50")
    assert functional(books, "7200") == booked - D("28.50")
    assert (entry.order_id, entry.exchange_rate, entry.exchange_rate_provider) == ("crm:dollars", D("0.95"), "ECB")
    assert end_period(books.database, "2026-11", rates(tmp_path, "0.95"), None) == []

    # There and back again: the same values as before make entries of their own.
    end_period(books.database, "2026-11", rates(tmp_path, "1"), None)
    end_period(books.database, "2026-11", rates(tmp_path, "0.95"), None)
    assert functional(books, "1200") == D("28.50")

    paid = [invoice(1, "35.70", currency="USD"), payment(1, "5.70", currency="USD")]
    desk.take(life.settled(*paid, payment(2, "30.00", currency="USD")))
    books.take_over(desk)
    end_period(books.database, "2026-11", rates(tmp_path, "0.80"), None)
    assert functional(books, "1200") == functional(books, "7200") == 0
    assert books.rows(_DIFFERENCES) == [(0,)]


def test_expected_returns_follow_sales_and_what_comes_back(books: Books, tmp_path: Path) -> None:
    file = tmp_path / "returns.csv"
    file.write_text("product_category,percent,days\n*,10,30\n")
    life, desk = Life(), Desk()
    desk.take(
        life.ordered(order([Item("1", "P1", "100", "10")])),
        life.handled(shipment(1, {"1": "100"})),
    )
    books.take_over(desk)
    assert (functional(books, "4000"), functional(books, "5000")) == (-1000, 400)

    assert len(end_period(books.database, "2026-11", None, file)) == 2
    assert [functional(books, account) for account in ("4000", "2150", "5000", "1350")] == [-900, -100, 360, 40]
    assert end_period(books.database, "2026-11", None, file) == []

    desk.take(life.handled(shipment(1, {"1": "100"}), goods_return(1, {"1": "4"})))
    books.take_over(desk)
    end_period(books.database, "2026-11", None, file)
    assert [functional(books, account) for account in ("4000", "2150", "5000", "1350")] == [-900, -60, 360, 24]

    # Nobody takes a portfolio for an order that the source should know.
    assert [order_id for order_id, _ in LedgerReader(books.database).orders()] == ["crm:SO-1"]

    # A month later the right to return them has lapsed.
    end_period(books.database, "2026-12", None, file)
    assert [functional(books, account) for account in ("4000", "2150", "5000", "1350")] == [-960, 0, 384, 0]
    assert books.rows(_DIFFERENCES) == [(0,)]


def test_what_cannot_be_reckoned_posts_nothing(books: Books, tmp_path: Path) -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order(currency="USD")), life.settled(invoice(1, "10", currency="USD")))
    books.take_over(desk)
    file = tmp_path / "rates.csv"
    file.write_text("base_currency_code,quote_currency_code,rate_date,rate,provider\n")
    with pytest.raises(ConfigurationError, match="open items in USD, and no rate to EUR on or before 2026-11-30"):
        end_period(books.database, "2026-11", file, None)
    for content, message in [
        ("a,b\n", "its columns are"),
        ("product_category,percent,days\n*,x,30\n", "line 2: percent or days cannot be read"),
        ("product_category,percent,days\n*,101,30\n", "line 2: percent is 0 to 100"),
        ("product_category,percent,days\n*,1\n", "line 2: 3 values are needed"),
    ]:
        file.write_text(content)
        with pytest.raises(ConfigurationError, match=message):
            end_period(books.database, "2026-11", None, file)
    with pytest.raises(ConfigurationError, match="is no accounting period"):
        end_period(books.database, "2026-13", None, file)

"""The demonstration business in real databases: its books agree there, run after run, also when sessions break."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import psycopg
import pytest

from deploy.demo.business import Business, BusinessPlan, Databases, create_tables
from deploy.demo.life import Fault, draw_life
from deploy.demo.master_data import draw_master_data
from deploy.demo.trading import Traders
from deploy.demo.transactions import Statement, Step, System, Transaction
from schemas.errors import Fatal
from tests.conftest import DatabaseFactory

TODAY = date(2026, 11, 21)


@pytest.fixture
def databases(database_factory: DatabaseFactory) -> Databases:
    databases = {system: database_factory(system.value) for system in System}
    create_tables(databases)
    return databases


def trade(databases: Databases, orders: int, *, seed: int = 11) -> Business:
    business = Business(databases, BusinessPlan(orders=orders, seed=seed, today=TODAY))
    try:
        business.open()
        traded = business.trade()
    finally:
        business.close()
    assert traded.orders == orders
    return business


def ask(databases: Databases, system: System, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(databases[system].conninfo()) as connection:
        return connection.execute(query.encode()).fetchall()


def assert_books_agree(databases: Databases) -> None:
    wrong_totals = """
        SELECT order_number FROM sales_order LEFT JOIN (
            SELECT order_number, sum(net_amount) AS net, sum(tax_amount) AS tax FROM sales_order_line GROUP BY 1
        ) AS lines USING (order_number)
        WHERE net + freight_amount IS DISTINCT FROM net_amount OR tax IS DISTINCT FROM tax_amount
        OR net_amount + tax_amount <> gross_amount OR currency = 'XQQ'"""
    assert ask(databases, System.CRM, wrong_totals) == []
    invoiced = dict(
        ask(databases, System.FINANCE, "SELECT order_number, gross_amount FROM invoice WHERE kind = 'invoice'")
    )
    completed = dict(
        ask(databases, System.CRM, "SELECT order_number, gross_amount FROM sales_order WHERE status = 'completed'")
    )
    assert invoiced == completed


def test_the_books_agree_and_every_fault_is_mended(databases: Databases) -> None:
    business = trade(databases, 200)
    assert dict(business.faults) == dict.fromkeys(Fault, 1)
    assert business.steps[Step.SHIPPED] > 150
    assert_books_agree(databases)
    known = set(ask(databases, System.CRM, "SELECT customer_number FROM customer"))
    assert set(ask(databases, System.CRM, "SELECT customer_number FROM sales_order")) <= known


def test_a_second_run_adds_orders_after_the_first(databases: Databases) -> None:
    trade(databases, 30)
    trade(databases, 30, seed=12)
    rows = ask(databases, System.CRM, "SELECT max(order_number), count(*) FROM sales_order")
    assert isinstance(rows[0][0], int) and rows[0][0] > 30
    assert_books_agree(databases)


def test_broken_sessions_repeat_their_part_and_nothing_is_lost(databases: Databases) -> None:
    ended = threading.Event()
    business = Business(databases, BusinessPlan(orders=150, seed=11, today=TODAY))

    def cut_sessions() -> None:
        # Each cut waits for the business to have gone on since the one before.
        for _ in range(5):
            reached = sum(business.steps.values()) + 60
            while sum(business.steps.values()) < reached and not ended.is_set():
                ended.wait(0.002)
            for system in System:
                ask(
                    databases,
                    system,
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE application_name = 'ordersync demo' AND datname = current_database()",
                )

    business.open()
    cutter = threading.Thread(target=cut_sessions)
    cutter.start()
    try:
        traded = business.trade()
    finally:
        ended.set()
        cutter.join()
        business.close()
    assert traded.orders == 150
    assert_books_agree(databases)


def test_a_refused_statement_stops_the_business_and_names_the_reason(databases: Databases) -> None:
    wrong = Transaction(System.CRM, Step.PLACED, (Statement("INSERT INTO no_such_table VALUES (%s)", (1,)),), 1)
    with Traders(databases) as traders, pytest.raises(Fatal, match="no_such_table"):
        traders.write([wrong])


def test_what_an_interrupted_run_left_is_mended(databases: Databases) -> None:
    master = draw_master_data(11, TODAY)
    numbers = dict(enumerate(Fault, 1000))
    with Traders(databases) as traders:
        traders.write(master.transactions())
        for number, fault in numbers.items():
            traders.write([draw_life(11, number, master, TODAY, fault=fault).transactions[0]])
    trade(databases, 20)
    left = {row[0] for row in ask(databases, System.CRM, "SELECT order_number FROM sales_order")} & set(numbers)
    assert {numbers[number] for number in left} == {Fault.LATE_CUSTOMER, Fault.LATE_PRODUCT}
    known = set(ask(databases, System.CRM, "SELECT customer_number FROM customer"))
    assert set(ask(databases, System.CRM, "SELECT customer_number FROM sales_order")) <= known
    products = set(ask(databases, System.INVENTORY, "SELECT product_number FROM product"))
    assert set(ask(databases, System.CRM, "SELECT product_number FROM sales_order_line")) <= products
    assert_books_agree(databases)

"""Mends what an interrupted demonstration left half done: orders that were wrong, or came too early, on purpose."""

from __future__ import annotations

from random import Random
from typing import LiteralString

import psycopg

from deploy.demo.master_data import MasterData, customer_statement, draw_customer, draw_product, product_statement
from deploy.demo.transactions import Statement, Step, System, Transaction
from schemas.errors import Fatal, Transient
from schemas.settings import DatabaseSettings

# A fault is mended before anything else happens to its order, so nothing hangs on a wrong one yet.
_WRONG: LiteralString = """
    SELECT order_number FROM sales_order
    LEFT JOIN (SELECT order_number, sum(net_amount) AS net, sum(tax_amount) AS tax FROM sales_order_line GROUP BY 1)
        AS lines USING (order_number)
    WHERE status = 'placed' AND (
        net + freight_amount IS DISTINCT FROM net_amount OR tax IS DISTINCT FROM tax_amount
        OR net_amount + tax_amount <> gross_amount OR currency = %s)"""
_UNKNOWN_CUSTOMERS: LiteralString = """
    SELECT DISTINCT customer_number FROM sales_order
    WHERE NOT EXISTS (SELECT FROM customer WHERE customer.customer_number = sales_order.customer_number)"""
_ORDERED_PRODUCTS: LiteralString = "SELECT DISTINCT product_number FROM sales_order_line"
_PRODUCTS: LiteralString = "SELECT product_number FROM product"


def mending(crm: DatabaseSettings, inventory: DatabaseSettings, master: MasterData, currency: str) -> list[Transaction]:
    """Transactions that delete each wrong order, and create each customer or product that an order waits for.

    `currency` is the one that does not exist. Raises `Transient` and `Fatal`.
    """
    try:
        with psycopg.connect(crm.conninfo()) as connection:
            wrong = sorted(row[0] for row in connection.execute(_WRONG, (currency,)))
            customers = sorted(row[0] for row in connection.execute(_UNKNOWN_CUSTOMERS))
            ordered = {row[0] for row in connection.execute(_ORDERED_PRODUCTS)}
        with psycopg.connect(inventory.conninfo()) as connection:
            products = sorted(ordered - {row[0] for row in connection.execute(_PRODUCTS)})
    except psycopg.OperationalError as exc:
        raise Transient(f"looking for unfinished orders: {exc}") from exc
    except psycopg.Error as exc:
        raise Fatal(f"The business could not look for unfinished orders: {exc}") from exc
    deletions = [Statement("DELETE FROM sales_order WHERE order_number = %s", (number,)) for number in wrong]
    added_customers = [customer_statement(draw_customer(number, Random(number))) for number in customers]
    added_products = [product_statement(draw_product(number, Random(number), master.suppliers)) for number in products]
    return [
        *(Transaction(System.CRM, Step.DELETED, (each,)) for each in deletions),
        *(Transaction(System.CRM, Step.MASTER_DATA, (each,)) for each in added_customers),
        *(Transaction(System.INVENTORY, Step.MASTER_DATA, (each,)) for each in added_products),
    ]

"""A small shop that trades at random from a seed, and remembers what it committed."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from schemas.settings import DatabaseSettings

LINES_DDL = """
CREATE TABLE lines (
    order_id integer NOT NULL, number integer NOT NULL, product text NOT NULL,
    quantity integer NOT NULL, price numeric(12, 2) NOT NULL, PRIMARY KEY (order_id, number)
);
"""
DDL = f"""
CREATE TABLE orders (
    id integer PRIMARY KEY, revision integer NOT NULL, customer text NOT NULL, ordered_on date NOT NULL,
    note text, charge numeric(12, 2) NOT NULL DEFAULT 0
);
{LINES_DDL}
ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTERNAL;
"""

MAPPING = """
system = "shop"
description = "A shop that trades at random"

[tables.orders]
name = "public.orders"
key = ["id"]

[tables.lines]
name = "public.lines"
key = ["order_id", "number"]
parent = { table = "orders", columns = ["order_id"] }

[[aggregates]]
topic = "orders.captured"
root = "orders"
key = "concat('shop:', id)"

[aggregates.fields]
order_id = "concat('shop:', id)"
customer_reference = "text(revision)"
order_status = "'placed'"
issue_date = "ordered_on"
document_currency_code = "'EUR'"
buyer_customer_party_id = "customer"
note = "note"
line_extension_amount = "total(order_lines, 'line_extension_amount')"
charge_total_amount = "charge"
tax_exclusive_amount = "total(order_lines, 'line_extension_amount') + charge"
tax_amount = "0"
payable_amount = "total(order_lines, 'line_extension_amount') + charge"

[aggregates.lists.order_lines]
table = "lines"

[aggregates.lists.order_lines.fields]
line_id = "text(number)"
product_id = "product"
quantity = "quantity"
unit_code = "'C62'"
price_amount = "price"
allowance_total_amount = "0"
line_extension_amount = "money(price * quantity, 'EUR')"
tax_percent = "0"
tax_amount = "0"
"""

DELETED = -1


def write_mapping(directory: Path) -> Path:
    """The mapping file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "shop.toml"
    path.write_text(MAPPING)
    return path


@dataclass
class Shop:
    """One trader with orders of its own; `history` has the revision of each order after each commit."""

    database: DatabaseSettings
    seed: int
    first_order: int = 1
    history: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._next_order = self.first_order
        self._revision = 0
        self._living: list[int] = []

    def trade(self, transactions: int, stop: threading.Event | None = None) -> None:
        """So many transactions, or fewer if `stop` is set."""
        with psycopg.connect(self.database.conninfo(), autocommit=True) as connection:
            for _ in range(transactions):
                if stop is not None and stop.is_set():
                    return
                self._transaction(connection)

    def _transaction(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        committed: dict[str, int] = {}
        living = list(self._living)
        rolled_back = self._random.random() < 0.05
        with connection.transaction(force_rollback=rolled_back):
            for _ in range(self._random.choice([1, 1, 1, 2, 4])):
                order, revision = self._operation(connection)
                committed[f"shop:{order}"] = revision
        if rolled_back:
            self._living = living
            return
        for key, revision in committed.items():
            self.history[key].append(revision)

    def _operation(self, connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[int, int]:
        choice = self._random.random()
        if len(self._living) < 5 or choice < 0.3:
            return self._place(connection)
        order = self._random.choice(self._living)
        if choice < 0.4:
            for table, column in (("lines", "order_id"), ("orders", "id")):
                connection.execute(f"DELETE FROM {table} WHERE {column} = %s".encode(), (order,))
            self._living.remove(order)
            return order, DELETED
        self._revision += 1
        values = (self._revision, self._random.randint(0, 500), order)
        connection.execute("UPDATE orders SET revision = %s, charge = %s WHERE id = %s", values)
        if choice < 0.7:
            connection.execute(
                "UPDATE lines SET quantity = %s WHERE order_id = %s AND number = 1", (self._random.randint(1, 9), order)
            )
        elif choice < 0.85:
            number = self._random.randint(2, 9)
            connection.execute(
                """INSERT INTO lines VALUES (%s, %s, 'P', 2, 3.50)
                   ON CONFLICT (order_id, number) DO UPDATE SET price = 4""",
                (order, number),
            )
        else:
            connection.execute("DELETE FROM lines WHERE order_id = %s AND number > 1", (order,))
        return order, self._revision

    def _place(self, connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[int, int]:
        order, self._next_order = self._next_order, self._next_order + 1
        self._revision += 1
        note = "x" * self._random.choice([0, 10, 3_000])
        connection.execute(
            "INSERT INTO orders VALUES (%s, %s, %s, '2026-11-21', %s, 0)",
            (order, self._revision, f"C{order % 7}", note),
        )
        for number in range(1, self._random.randint(1, 4) + 1):
            connection.execute(
                "INSERT INTO lines VALUES (%s, %s, %s, 1, %s)",
                (order, number, f"P{number}", self._random.randint(1, 99)),
            )
        self._living.append(order)
        return order, self._revision

"""Loads the Northwind sample company into a PostgreSQL database, in tables of our own with its original types."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from schemas.settings import DatabaseSettings

ORDERS, LINES, CUSTOMERS, PRODUCTS, SUPPLIERS = 830, 2155, 91, 77, 29

# Prices, discounts and freight are `real`, as in the original: what is captured must be free of its artefacts.
_DDL = """
CREATE TABLE categories (
    category_id smallint PRIMARY KEY, category_name text NOT NULL, description text
);
CREATE TABLE suppliers (
    supplier_id smallint PRIMARY KEY, company_name text NOT NULL, contact_name text, contact_title text, address text,
    city text, region text, postal_code text, country text, phone text, fax text, homepage text
);
CREATE TABLE products (
    product_id smallint PRIMARY KEY, product_name text NOT NULL, supplier_id smallint REFERENCES suppliers,
    category_id smallint REFERENCES categories, quantity_per_unit text, unit_price real, units_in_stock smallint,
    units_on_order smallint, reorder_level smallint, discontinued integer NOT NULL
);
CREATE TABLE customers (
    customer_id text PRIMARY KEY, company_name text NOT NULL, contact_name text, contact_title text, address text,
    city text, region text, postal_code text, country text, phone text, fax text
);
CREATE TABLE shippers (
    shipper_id smallint PRIMARY KEY, company_name text NOT NULL, phone text
);
CREATE TABLE orders (
    order_id integer PRIMARY KEY, customer_id text REFERENCES customers, employee_id smallint, order_date date,
    required_date date, shipped_date date, ship_via smallint REFERENCES shippers, freight real, ship_name text,
    ship_address text, ship_city text, ship_region text, ship_postal_code text, ship_country text
);
CREATE TABLE order_details (
    order_id integer NOT NULL REFERENCES orders, product_id smallint NOT NULL REFERENCES products,
    unit_price real NOT NULL, quantity smallint NOT NULL, discount real NOT NULL,
    PRIMARY KEY (order_id, product_id)
);
"""
_TABLES = ("categories", "suppliers", "products", "customers", "shippers", "orders", "order_details")


def northwind_directory() -> Path:
    """The directory of the CSV files: `NORTHWIND_DATA`, or `shared/data/northwind` beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "northwind"
    return Path(os.environ.get("NORTHWIND_DATA", beside))


def load_northwind(database: DatabaseSettings) -> None:
    """Create the tables in an empty database and fill them; skips the calling test where the data is absent."""
    directory = northwind_directory()
    absent = [name for name in _TABLES if not (directory / f"{name}.csv").is_file()]
    if absent:
        pytest.skip(
            f"Northwind's {', '.join(absent)} not found in {directory}: set NORTHWIND_DATA to the directory of its CSV "
            "files"
        )
    with psycopg.connect(database.conninfo()) as connection:
        connection.execute(_DDL)
        for table in _TABLES:
            _copy(connection, table, directory / f"{table}.csv")


def _copy(connection: psycopg.Connection[tuple[object, ...]], table: str, path: Path) -> None:
    content = path.read_bytes()
    columns = content.split(b"\n", 1)[0].decode("ascii").strip().split(",")
    command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        copy.write(content)

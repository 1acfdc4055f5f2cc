"""The mapping files that ship with ordersync compile, and name only what the demonstration's tables have."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

import schemas.mapping
from schemas.mapping import SourceMapping, load

DEMO_SQL = Path(__file__).parents[2] / "deploy" / "demo" / "sql"
BUILT_IN = ("crm", "inventory", "finance")


def mapping_of(name: str) -> SourceMapping:
    return load(Path(str(files(schemas.mapping) / "sources" / f"{name}.toml")))


def tables_of(name: str) -> dict[str, dict[str, str]]:
    """Columns and their declarations of each table of a script of the demonstration."""
    script = re.sub(r"--[^\n]*", "", (DEMO_SQL / f"{name}.sql").read_text(encoding="utf-8"))
    tables = {}
    for table, body in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\);", script, re.DOTALL):
        declarations = [line.strip().rstrip(",") for line in body.strip().splitlines()]
        tables[table] = dict(line.split(" ", 1) for line in declarations)
    return tables


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_mapping_agrees_with_the_tables_of_the_demonstration(name: str) -> None:
    mapping, tables = mapping_of(name), tables_of(name)
    assert mapping.system == name
    named = {table.name: table for table in mapping.tables.values() if table.name is not None}
    assert set(named) == set(tables)
    for table, declared in named.items():
        columns = tables[table]
        assert mapping.columns_of(declared.alias) <= set(columns), table
        key = columns.get("PRIMARY", "").removeprefix("KEY (").removesuffix(")").split(", ")
        single = [column for column, text in columns.items() if "PRIMARY KEY" in text]
        assert list(declared.key) == (single or key), table


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_column_of_the_demonstration_is_mapped(name: str) -> None:
    mapping, tables = mapping_of(name), tables_of(name)
    unread = {
        f"{table.name}.{column}"
        for table in mapping.tables.values()
        if table.name is not None
        for column in tables[table.name]
        if column != "PRIMARY" and column not in mapping.columns_of(table.alias)
    }
    # What is written there, ordersync owns.
    told = mapping.write_back
    assert unread == (set() if told is None else {f"{told.table.name}.{column}" for column in told.columns})


def test_the_sources_together_own_every_fact_and_all_master_data() -> None:
    topics = [aggregate.topic.name for name in BUILT_IN for aggregate in mapping_of(name).aggregates]
    assert sorted(topics) == [
        "fulfilment.captured",
        "master.customers",
        "master.fx-rates",
        "master.products",
        "master.vendors",
        "orders.captured",
        "payments.captured",
    ]


def test_all_owners_give_an_order_the_same_identity() -> None:
    keys = {
        aggregate.key_of({"order_number": 1001})
        for name in BUILT_IN
        for aggregate in mapping_of(name).aggregates
        if aggregate.section is not None
    }
    assert keys == {"crm:1001"}


def test_northwind_sells_ships_and_keeps_its_master_data() -> None:
    mapping = mapping_of("northwind")
    assert [aggregate.topic.name for aggregate in mapping.aggregates] == [
        "orders.captured",
        "fulfilment.captured",
        "master.customers",
        "master.products",
        "master.vendors",
    ]
    assert mapping.aggregates[0].key_of({"order_id": 10248}) == "northwind:10248"

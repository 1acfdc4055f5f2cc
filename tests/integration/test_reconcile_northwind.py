"""Northwind through its mapping: every order to the cent, from float columns and without their artefacts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal

import pytest

from consumers.reconcile import reconcile
from consumers.reconcile.source import SourceReader, SourceSettings
from deploy.local.endpoints import Endpoints
from schemas.models import Fulfilment, SalesOrder
from tests.conftest import DatabaseFactory
from tests.integration.reconcile_world import World, world_of
from tests.northwind import LINES, ORDERS, load_northwind, northwind_directory

CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def reader(module_database_factory: DatabaseFactory) -> SourceReader:
    database = module_database_factory("northwind")
    load_northwind(database)
    return SourceReader(SourceSettings(mapping="northwind", database=database))


@pytest.fixture(scope="module")
def world(stack: Endpoints, module_database_factory: DatabaseFactory) -> Iterator[World]:
    database = module_database_factory("northwind")
    load_northwind(database)
    erp, ledger = module_database_factory("erp"), module_database_factory("ledger")
    with world_of(stack, {"northwind": database}, erp, ledger) as world:
        world.capture_sources()
        world.write_everywhere()
        yield world


def text_rows(table: str) -> list[dict[str, str]]:
    with (northwind_directory() / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_order_arrives_to_the_cent(reader: SourceReader) -> None:
    facts = {fact.order_id: fact.facts for fact in reader.facts() if isinstance(fact.facts, SalesOrder)}
    assert len(facts) == ORDERS
    assert sum(len(order.order_lines) for order in facts.values()) == LINES
    net: dict[str, Decimal] = {f"northwind:{row['order_id']}": Decimal(0) for row in text_rows("orders")}
    for row in text_rows("order_details"):
        exact = Decimal(row["unit_price"]) * int(row["quantity"]) * (1 - Decimal(row["discount"]))
        net[f"northwind:{row['order_id']}"] += exact.quantize(CENT, ROUND_HALF_UP)
    for row in text_rows("orders"):
        order = facts[f"northwind:{row['order_id']}"]
        assert order.line_extension_amount == net[order.order_id]
        assert order.charge_total_amount == Decimal(row["freight"])
        assert order.payable_amount == net[order.order_id] + Decimal(row["freight"])
        for line in order.order_lines:
            assert line.line_extension_amount == line.quantity * line.price_amount - line.allowance_total_amount
            assert line.line_extension_amount == line.line_extension_amount.quantize(CENT)


def test_what_was_shipped_was_shipped_whole(reader: SourceReader) -> None:
    shipped = {fact.order_id: fact.facts for fact in reader.facts() if isinstance(fact.facts, Fulfilment)}
    assert len(shipped) == sum(row["shipped_date"] != "" for row in text_rows("orders"))
    lines = [line for facts in shipped.values() for shipment in facts.shipments for line in shipment.lines]
    numbers = {order_id.removeprefix("northwind:") for order_id in shipped}
    assert len(lines) == sum(row["order_id"] in numbers for row in text_rows("order_details"))


def test_one_order_as_everybody_knows_it(reader: SourceReader) -> None:
    order = next(fact.facts for fact in reader.facts() if fact.order_id == "northwind:10248")
    assert isinstance(order, SalesOrder)
    assert order.buyer_customer_party_id == "northwind:VINET"
    assert order.order_status == "completed"
    assert order.delivery_address is not None
    assert (order.delivery_address.city_name, order.delivery_address.country_code) == ("Reims", "FR")
    assert [line.line_extension_amount for line in order.order_lines] == [168, 98, 174]
    assert order.payable_amount == Decimal("472.38")


def test_the_ledger_shows_the_revenue_of_everything_shipped(world: World) -> None:
    report = reconcile(world.settings, world.registry)
    assert [mismatch.mismatch_id for mismatch in report.mismatches] == []
    assert report.agrees
    assert report.orders["source"] == report.orders["state"] == report.orders["erp"] == ORDERS
    shipped = {row["order_id"] for row in text_rows("orders") if row["shipped_date"]}
    assert report.orders["ledger"] == len(shipped)
    assert report.ledger_imbalance == {"EUR": 0, "USD": 0}

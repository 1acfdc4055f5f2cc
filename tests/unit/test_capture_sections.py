"""Facts taken natively from rows to Avro are those that the compiled mapping and the codec make of the same rows."""

from __future__ import annotations

import random
from typing import Any

import pytest

from producers.cdc.aggregates import Assembly
from producers.cdc.changes import ChangeKind, Column, Relation, ReplicaIdentity, RowChange, TableName
from producers.cdc.facts import FactBuilder, Outcome, Stated
from producers.cdc.native import extension
from producers.cdc.postgres.values import PgType, PostgresRowReader
from producers.cdc.tables import TablePlans
from schemas.codec import RecordCodec
from schemas.errors import InvalidValue
from schemas.mapping import parse
from tests.unit.test_capture_native import MemoryStore

pytestmark = pytest.mark.skipif(extension() is None, reason="the extension is not built")

INT, BIGINT, TEXT, CHAR, NUMERIC, DATE, INSTANT, STATUS, PRICE = 23, 20, 25, 1042, 1700, 1082, 1184, 50_001, 50_002
TYPES = {STATUS: PgType(STATUS, "status", "e"), PRICE: PgType(PRICE, "price", "d", base=NUMERIC)}

MAPPING = """
system = "shop"
description = "Everything that is plain"

[tables.orders]
name = "public.orders"
key = ["id"]
[tables.lines]
name = "public.lines"
key = ["order_id", "number"]
parent = { table = "orders", columns = ["order_id"] }
[tables.shipments]
name = "public.shipments"
key = ["number"]
parent = { table = "orders", columns = ["order_id"] }
[tables.parcels]
name = "public.parcels"
key = ["shipment", "number"]
parent = { table = "shipments", columns = ["shipment"] }
[tables.notes]
name = "public.notes"
key = ["id"]
[tables.remarks]
name = "public.remarks"
key = ["number"]
parent = { table = "notes", columns = ["note"] }

[lookups.units]
piece = "C62"
7 = "KGM"

[[aggregates]]
topic = "orders.captured"
root = "notes"
key = "title"
[aggregates.fields]
order_id = "title"
order_status = "'placed'"
issue_date = "day"
requested_delivery_date = "other_day"
document_currency_code = "'EUR'"
buyer_customer_party_id = "id"
note = "concat(title, ' / ', id, ' / ', day)"
line_extension_amount = "0"
charge_total_amount = "price"
tax_exclusive_amount = "12"
tax_amount = "price"
payable_amount = "id"
[aggregates.lists.order_lines]
table = "remarks"
[aggregates.lists.order_lines.fields]
line_id = "text(number)"
product_id = "'none'"
quantity = "1"
unit_code = "'C62'"
price_amount = "0"
allowance_total_amount = "0"
line_extension_amount = "0"
tax_percent = "0"
tax_amount = "0"

[[aggregates]]
topic = "orders.captured"
root = "orders"
key = "concat('shop:', id)"
[aggregates.fields]
order_id = "concat('shop:', id)"
customer_reference = "reference"
order_status = "status"
issue_date = "ordered_on"
requested_delivery_date = "wanted_on"
document_currency_code = "currency"
buyer_customer_party_id = "customer"
sales_channel = "lookup('units', channel)"
line_extension_amount = "total(order_lines, 'line_extension_amount')"
charge_total_amount = "charge"
tax_exclusive_amount = "total(order_lines, 'price_amount')"
tax_amount = "0"
payable_amount = "charge"
[aggregates.records.delivery_address.fields]
street_name = "street"
country_code = "'DE'"
[aggregates.lists.order_lines]
table = "lines"
order_by = ["rank", "number"]
[aggregates.lists.order_lines.fields]
line_id = "text(number)"
product_id = "concat(root.currency, '-', parent.customer, '-', product)"
item_name = "parent.reference"
quantity = "quantity"
unit_code = "lookup('units', unit)"
price_amount = "price"
allowance_total_amount = "0"
line_extension_amount = "net"
tax_percent = "quantity"
tax_amount = "0"
requested_delivery_date = "wanted_on"
"""
FULFILMENT = (
    MAPPING[: MAPPING.index("[[aggregates]]")]
    + """
[[aggregates]]
topic = "fulfilment.captured"
root = "orders"
key = "concat('shop:', id)"
[aggregates.fields]
order_id = "concat('shop:', id)"
[aggregates.lists.shipments]
table = "shipments"
order_by = ["shipped_at", "weight", "carrier"]
[aggregates.lists.shipments.fields]
shipment_id = "number"
shipped_at = "shipped_at"
delivered_at = "delivered_at"
carrier_party_id = "carrier"
[aggregates.lists.shipments.lists.lines]
table = "parcels"
[aggregates.lists.shipments.lists.lines.fields]
line_id = "concat(root.id, '/', parent.number, '/', number)"
quantity = "quantity"
"""
)
COLUMNS: dict[str, dict[str, int]] = {
    "orders": {"id": BIGINT, "reference": TEXT, "status": STATUS, "ordered_on": DATE, "wanted_on": DATE,
               "currency": CHAR, "customer": TEXT, "channel": TEXT, "charge": NUMERIC, "street": TEXT},
    "lines": {"order_id": BIGINT, "number": INT, "product": TEXT, "quantity": NUMERIC, "unit": TEXT, "price": PRICE,
              "net": NUMERIC, "rank": NUMERIC, "wanted_on": DATE},
    "shipments": {"number": TEXT, "order_id": BIGINT, "shipped_at": INSTANT, "delivered_at": INSTANT,
                  "carrier": TEXT, "weight": NUMERIC},
    "parcels": {"shipment": TEXT, "number": INT, "quantity": INT},
    "remarks": {"number": BIGINT, "note": INT},
    "notes": {"id": INT, "title": TEXT, "day": DATE, "other_day": DATE, "price": NUMERIC},
}  # fmt: skip
KEYS = {
    "orders": ("id",),
    "lines": ("order_id", "number"),
    "shipments": ("number",),
    "parcels": ("shipment", "number"),
    "remarks": ("number",),
    "notes": ("id",),
}
RELATIONS = {
    table: Relation(
        number,
        TableName("public", table),
        tuple(Column(name, type_id, -1, name in KEYS[table]) for name, type_id in columns.items()),
        ReplicaIdentity.DEFAULT,
    )
    for number, (table, columns) in enumerate(COLUMNS.items())
}
PLAIN: dict[int, list[bytes]] = {
    INT: [b"0", b"7", b"-12", b"2147483647"],
    BIGINT: [b"1", b"2", b"3"],
    TEXT: [b"piece", b"7", b"a", b"b", "Zürich, 東京".encode(), b"x" * 300],
    CHAR: [b"EUR", b"US ", b"   "],
    STATUS: [b"placed", b"confirmed"],
    NUMERIC: [b"0", b"1.50", b"-3.25", b"999999999999999.9999", b"0.0100", b"12", b"-0.5", b"128", b"-128", b"127"],
    PRICE: [b"1.123456", b"10", b"0.00000000"],
    DATE: [b"2026-11-21", b"0001-01-01", b"9999-12-31", b"2024-02-29", b"1969-12-31"],
    INSTANT: [b"2026-11-21 08:00:00+00", b"2026-11-21 08:00:00.25+00", b"1969-12-31 23:59:59.999999+00"],
}
ODD: dict[int, list[bytes]] = {
    INT: [b"007", b"-0", b"x", b""],
    BIGINT: [b"9223372036854775807", b"-9223372036854775808", b"12345678901234567890"],
    TEXT: [b"", b"\xff\xfe", b"a\xc3", b"a\x00b", b"unknown"],
    CHAR: [b"", b"\xff "],
    STATUS: [b""],
    NUMERIC: [b"NaN", b"Infinity", b"1e5", b"0.00001", b"9" * 40, b"1." + b"0" * 60, b".", b"-", b"+1", b" 1", b"1_0"],
    PRICE: [b"0.0000001", b"-Infinity", b"9" * 19],
    DATE: [b"infinity", b"0044-03-15 BC", b"2026-02-29", b"20261-01-01", b"2026-1-1", b""],
    INSTANT: [b"infinity", b"2026-11-21 08:00:00", b"2026-11-21 08:00:00+05:30", b"2026-11-21 08:00:00.1234567+00",
              b"2026-11-21 24:00:00+00", b"0044-03-15 00:00:00+00 BC"],
}  # fmt: skip


def reader() -> PostgresRowReader:
    return PostgresRowReader(lambda type_id: TYPES.get(type_id))


def random_value(chance: random.Random, type_id: int, oddity: float) -> bytes | None:
    if chance.random() < 2 * oddity:
        return None
    return chance.choice(ODD[type_id] if chance.random() < oddity else PLAIN[type_id])


def random_change(chance: random.Random, table: str, oddity: float) -> RowChange:
    row = []
    for name, type_id in COLUMNS[table].items():
        value = random_value(chance, type_id, 0 if name in KEYS[table] else oddity)
        if name in ("order_id", "shipment") and table != "lines":
            value = b"a" if name == "shipment" else chance.choice([b"1", b"2", None])
        row.append(value)
    return RowChange(ChangeKind.INSERT, RELATIONS[table], tuple(row), None)


def avro(outcome: Outcome) -> tuple[Any, ...]:
    """What would be written of an outcome."""
    if not isinstance(outcome, Stated):
        return (type(outcome), outcome.key)
    if isinstance(outcome.facts, bytes):
        return (Stated, outcome.key, outcome.facts)
    try:
        return (Stated, outcome.key, RecordCodec(type(outcome.facts)).encode(outcome.facts))
    except InvalidValue:
        return ("cannot be written", outcome.key)


@pytest.mark.parametrize("text", [MAPPING, FULFILMENT], ids=["orders", "fulfilment"])
@pytest.mark.parametrize("seed", range(60))
def test_facts_are_those_of_the_reference(text: str, seed: int) -> None:
    chance = random.Random(seed)
    oddity = chance.choice([0.0, 0.0, 0.03, 0.2])
    plans = TablePlans(parse(text, origin="shop.toml"), {each.name: each for each in RELATIONS.values()})
    store = MemoryStore()
    assembly = Assembly(plans, store)
    ours, reference = FactBuilder(plans, reader(), store), FactBuilder(plans, reader(), store, natively=False)
    written = 0
    for _ in range(80):
        table = chance.choice(
            ["orders", "orders", "lines", "lines", "lines", "shipments", "parcels", "notes", "remarks"]
        )
        assembly.apply([random_change(chance, table, oddity)])
        for root in assembly.take_touched():
            emitted = dict(store.node(root).emitted)
            found = ours.outcomes(root)
            store.node(root).emitted = emitted
            expected = reference.outcomes(root)
            assert [avro(outcome) for outcome in found] == [avro(outcome) for outcome in expected]
            written += sum(isinstance(outcome, Stated) and isinstance(outcome.facts, bytes) for outcome in found)
    assert oddity or written > 3


def test_a_list_of_many_rows_is_sorted_as_the_reference_sorts_it() -> None:
    chance = random.Random(1)
    plans = TablePlans(parse(MAPPING, origin="shop.toml"), {each.name: each for each in RELATIONS.values()})
    store = MemoryStore()
    assembly = Assembly(plans, store)
    assembly.apply([random_change(chance, "orders", 0.0)._replace(new=(b"1", b"r", b"placed", b"2026-11-21", None,
                    b"EUR", b"c", b"piece", b"1.00", None))])  # fmt: skip
    numbers = list(range(500))
    chance.shuffle(numbers)
    for number in numbers:
        rank = chance.choice([None, b"1", b"1.0", b"2.5", b"-1"])
        row = (b"1", b"%d" % number, b"p", b"1", b"piece", b"1", b"1", rank, None)
        assembly.apply([RowChange(ChangeKind.INSERT, RELATIONS["lines"], row, None)])
    (root,) = assembly.take_touched()
    ours, reference = FactBuilder(plans, reader(), store), FactBuilder(plans, reader(), store, natively=False)
    (found,), (expected,) = ours.outcomes(root), reference.outcomes(root)
    assert isinstance(found, Stated) and isinstance(found.facts, bytes)
    assert avro(found) == avro(expected)

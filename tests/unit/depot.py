"""A source with every kind of relationship between tables, played in memory: what it says is what a server would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from producers.cdc.changes import (
    UNCHANGED,
    ChangeKind,
    Column,
    RawValue,
    Relation,
    ReplicaIdentity,
    Row,
    RowChange,
    RowValues,
    TableName,
)
from producers.cdc.postgres.values import PostgresRowReader
from producers.cdc.tables import TablePlans
from schemas.mapping import AggregateMapping, Image, SourceMapping, parse

_INT, _TEXT, _TIMESTAMPTZ = 23, 25, 1184

MAPPING = """
system = "depot"
description = "A root with two levels below it, a root without a table, and a root alone"

[tables.orders]
name = "public.orders"
key = ["id"]

[tables.shipments]
name = "public.shipments"
key = ["number"]
parent = { table = "orders", columns = ["order_id"] }

[tables.parcels]
name = "public.parcels"
key = ["id"]
parent = { table = "shipments", columns = ["shipment"] }

[tables.bundle]
key = ["bundle"]

[tables.pieces]
name = "public.pieces"
key = ["bundle", "number"]
parent = { table = "bundle", columns = ["bundle"] }

[tables.vendors]
name = "public.vendors"
key = ["id"]

[[aggregates]]
topic = "fulfilment.captured"
root = "orders"
key = "concat('depot:', id)"
when = "state != 'hidden'"
[aggregates.fields]
order_id = "concat('depot:', id)"
[aggregates.lists.shipments]
table = "shipments"
[aggregates.lists.shipments.fields]
shipment_id = "number"
shipped_at = "shipped_at"
carrier_party_id = "carrier"
[aggregates.lists.shipments.lists.lines]
table = "parcels"
[aggregates.lists.shipments.lists.lines.fields]
line_id = "id"
quantity = "quantity"

[[aggregates]]
topic = "fulfilment.captured"
root = "bundle"
key = "concat('bundle:', bundle)"
[aggregates.fields]
order_id = "concat('bundle:', bundle)"
[aggregates.lists.shipments]
table = "pieces"
[aggregates.lists.shipments.fields]
shipment_id = "text(number)"
shipped_at = "shipped_at"
carrier_party_id = "note"
[aggregates.lists.shipments.lists.lines]
table = "pieces"
[aggregates.lists.shipments.lists.lines.fields]
line_id = "text(number)"
quantity = "number"

[[aggregates]]
topic = "master.vendors"
root = "vendors"
key = "code"
[aggregates.fields]
vendor_id = "code"
name = "name"
"""


def _relation(number: int, name: str, key: tuple[str, ...], columns: dict[str, int]) -> Relation:
    described = tuple(Column(column, type_id, -1, column in key) for column, type_id in columns.items())
    return Relation(number, TableName("public", name), described, ReplicaIdentity.DEFAULT)


KEYS = {"orders": ("id",), "shipments": ("number",), "parcels": ("id",), "pieces": ("bundle", "number"),
        "vendors": ("id",)}  # fmt: skip
RELATIONS = {
    "orders": _relation(1, "orders", ("id",), {"unmapped": _TEXT, "id": _INT, "state": _TEXT}),
    "shipments": _relation(
        2, "shipments", ("number",), {"number": _TEXT, "order_id": _INT, "shipped_at": _TIMESTAMPTZ, "carrier": _TEXT}
    ),
    "parcels": _relation(3, "parcels", ("id",), {"id": _TEXT, "shipment": _TEXT, "other": _TEXT, "quantity": _INT}),
    "pieces": _relation(
        4, "pieces", ("bundle", "number"),
        {"note": _TEXT, "number": _INT, "bundle": _TEXT, "shipped_at": _TIMESTAMPTZ},
    ),
    "vendors": _relation(5, "vendors", ("id",), {"id": _INT, "code": _TEXT, "name": _TEXT}),
}  # fmt: skip
READER = PostgresRowReader(lambda type_id: None)

Values = dict[str, bytes | None]
RowId = tuple[bytes | None, ...]


@cache
def depot_mapping() -> SourceMapping:
    """The mapping, compiled."""
    return parse(MAPPING, origin="depot.toml")


def depot_plans() -> TablePlans:
    """The plans for the relations above."""
    return TablePlans(depot_mapping(), {relation.name: relation for relation in RELATIONS.values()})


@dataclass
class Depot:
    """The tables, and the changes that its statements give."""

    tables: dict[str, dict[RowId, Values]] = field(default_factory=lambda: {name: {} for name in RELATIONS})

    def put(self, table: str, values: Values, *, key: RowId | None = None, toasted: bool = False) -> list[RowChange]:
        """Insert a row, or update the one with `key`; nothing where a unique constraint would refuse it."""
        rows, relation = self.tables[table], RELATIONS[table]
        new_key = tuple(values[column] for column in KEYS[table])
        if key is not None and key not in rows:
            return []
        if new_key in rows and new_key != key:
            return []
        if table == "vendors" and any(row["code"] == values["code"] for k, row in rows.items() if k != key):
            return []
        if key is None:
            rows[new_key] = values
            return [RowChange(ChangeKind.INSERT, relation, _row(relation, values), None)]
        previous = rows.pop(key)
        rows[new_key] = values
        sent: dict[str, RawValue] = {
            name: UNCHANGED if toasted and value == previous[name] and name not in KEYS[table] else value
            for name, value in values.items()
        }
        old = None if key == new_key else _key_row(table, previous)
        return [RowChange(ChangeKind.UPDATE, relation, _row(relation, sent), old)]

    def delete(self, table: str, key: RowId) -> list[RowChange]:
        """Delete a row if it is there."""
        row = self.tables[table].pop(key, None)
        return [] if row is None else [RowChange(ChangeKind.DELETE, RELATIONS[table], None, _key_row(table, row))]

    def truncate(self, table: str) -> list[RowChange]:
        """Empty a table."""
        self.tables[table].clear()
        return [RowChange(ChangeKind.TRUNCATE, RELATIONS[table], None, None)]

    def stated(self) -> dict[tuple[str, str], object]:
        """Topic and key to facts, joined from the tables without any of the capture's code."""
        mapping = depot_mapping()
        orders, bundles, vendors = mapping.aggregates
        images: list[tuple[AggregateMapping, Image]] = []
        for order in self.tables["orders"].values():
            shipments = [
                Image(
                    _python("shipments", shipment), {"parcels": self._below("parcels", "shipment", shipment["number"])}
                )
                for shipment in self.tables["shipments"].values()
                if shipment["order_id"] == order["id"]
            ]
            images.append((orders, Image(_python("orders", order), {"shipments": shipments})))
        for bundle in {piece["bundle"] for piece in self.tables["pieces"].values()}:
            assert bundle is not None
            images.append(
                (bundles, Image({"bundle": bundle.decode()}, {"pieces": self._below("pieces", "bundle", bundle)}))
            )
        images += [(vendors, Image(_python("vendors", vendor))) for vendor in self.tables["vendors"].values()]
        built = [(aggregate, image, aggregate.build(image)) for aggregate, image in images]
        return {(a.topic.name, a.key_of(image.row)): facts for a, image, facts in built if facts is not None}

    def _below(self, table: str, column: str, value: bytes | None) -> list[Image]:
        return [Image(_python(table, row)) for row in self.tables[table].values() if row[column] == value]


def _row(relation: Relation, values: Mapping[str, RawValue]) -> Row:
    return tuple(values.get(column.name, b"x") for column in relation.columns)


def _key_row(table: str, values: Values) -> Row:
    relation = RELATIONS[table]
    return tuple(values[c.name] if c.name in KEYS[table] else UNCHANGED for c in relation.columns)


def _python(table: str, values: Values) -> dict[str, object]:
    return _converter(table)(_row(RELATIONS[table], values))


@cache
def _converter(table: str) -> RowValues:
    return READER.row_values(RELATIONS[table])

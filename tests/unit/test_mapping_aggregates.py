"""Canonical facts of assembled rows: children, grandchildren, keys only, JSON lists, conditions, and bad values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.codec import RecordCodec
from schemas.errors import InvalidValue
from schemas.mapping import AggregateMapping, Image, parse
from schemas.mapping.images import MOST_REASONS, reasons_of
from schemas.models import Customer, Fulfilment, SalesOrder
from tests.unit.test_mapping_file import GOOD

ORDER = {
    "id": 7,
    "state": "new",
    "ordered_on": date(2026, 11, 21),
    "currency": "EUR",
    "customer": "C1",
    "net": Decimal("30.00"),
    "tax": Decimal(0),
    "gross": Decimal("30.00"),
}
LINE = {"order_id": 7, "number": 1, "product": "P1", "quantity": 2, "price": Decimal("7.50")}

WAREHOUSE = """
system = "warehouse"
description = "Shipments without a table of orders"

[tables.order]
key = ["order_number"]

[tables.shipment]
name = "public.shipment"
key = ["number"]
parent = { table = "order", columns = ["order_number"] }

[tables.shipment_line]
name = "public.shipment_line"
key = ["shipment", "line"]
parent = { table = "shipment", columns = ["shipment"] }

[[aggregates]]
topic = "fulfilment.captured"
root = "order"
key = "concat('crm:', order_number)"

[aggregates.fields]
order_id = "concat('crm:', order_number)"

[aggregates.lists.shipments]
table = "shipment"
order_by = ["shipped_at", "number"]
when = "shipped_at is not None"

[aggregates.lists.shipments.fields]
shipment_id = "number"
shipped_at = "shipped_at"

[aggregates.lists.shipments.lists.lines]
table = "shipment_line"

[aggregates.lists.shipments.lists.lines.fields]
line_id = "concat(root.order_number, '/', parent.number, '/', line)"
quantity = "quantity"
"""

DOCUMENTS = """
system = "documents"
description = "Orders as JSON"
time_zone = "America/New_York"

[tables.document]
name = "public.document"
key = ["id"]

[[aggregates]]
topic = "fulfilment.captured"
root = "document"
key = "text(id)"
when = "kind == 'despatch' and weight > 0"

[aggregates.fields]
order_id = "text(id)"

[aggregates.lists.shipments]
table = "document"
when = "sent_at is not None"

[aggregates.lists.shipments.fields]
shipment_id = "text(parent.id)"
shipped_at = "sent_at"

[aggregates.lists.shipments.lists.lines]
each = "content"
when = "coalesce(cancelled, False) == False"

[aggregates.lists.shipments.lists.lines.fields]
line_id = "concat(parent.id, '-', position)"
quantity = "amount"
"""

CUSTOMERS = """
system = "crm"
description = "Customers"

[tables.customer]
name = "public.customer"
key = ["id"]

[[aggregates]]
topic = "master.customers"
root = "customer"
key = "id"
[aggregates.fields]
customer_id = "id"
name = "name"
is_blocked = "blocked"
credit_limit_amount = "credit"
"""


# What a `timestamp` column without a time zone holds.
LOCAL_MORNING = datetime.fromisoformat("2026-07-01T08:00:00")


def order_mapping(old: str = "", new: str = "") -> AggregateMapping:
    assert old in GOOD
    return parse(GOOD.replace(old, new, 1), origin="shop.toml").aggregates[0]


def order_image(order: dict[str, Any] | None = None, *lines: dict[str, Any]) -> Image:
    children = [Image(LINE | line) for line in lines] or [Image(LINE)]
    return Image(ORDER | (order or {}), {"lines": children})


def built(mapping: AggregateMapping, image: Image) -> Any:
    facts = mapping.build(image)
    assert facts is not None
    # What is built without pydantic's second look must be what pydantic would have built, and fit its schema.
    assert type(facts).model_validate(facts.model_dump()) == facts
    return facts


def refusal_of(mapping: AggregateMapping, image: Image) -> InvalidValue:
    with pytest.raises(InvalidValue) as refusal:
        mapping.build(image)
    return refusal.value


def test_an_order_with_its_lines_in_key_order() -> None:
    image = order_image(None, {"number": 10}, {"number": 2, "price": Decimal(5), "quantity": 3})
    facts = built(order_mapping(), image)
    assert isinstance(facts, SalesOrder)
    assert facts.order_id == "shop:7"
    assert facts.order_status == "placed"
    assert [line.line_id for line in facts.order_lines] == ["2", "10"]
    assert facts.line_extension_amount == Decimal("30.00")
    assert facts.note is None
    assert RecordCodec(SalesOrder).decode(RecordCodec(SalesOrder).encode(facts)) == facts


def test_an_order_without_lines_has_an_empty_list() -> None:
    assert built(order_mapping(), Image(ORDER)).order_lines == []


def test_grandchildren_find_their_parent_and_their_root() -> None:
    mapping = parse(WAREHOUSE, origin="warehouse.toml").aggregates[0]
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    line = Image({"shipment": "S2", "line": 1, "quantity": Decimal(4)})
    image = Image(
        {"order_number": 5},
        {
            "shipment": [
                Image({"number": "S3", "order_number": 5, "shipped_at": late}, {}),
                Image({"number": "S2", "order_number": 5, "shipped_at": early}, {"shipment_line": [line]}),
                Image({"number": "S1", "order_number": 5, "shipped_at": late}, {}),
                Image({"number": "S0", "order_number": 5, "shipped_at": None}, {}),
            ]
        },
    )
    facts = built(mapping, image)
    assert isinstance(facts, Fulfilment)
    assert [shipment.shipment_id for shipment in facts.shipments] == ["S2", "S1", "S3"]
    assert facts.shipments[0].lines[0].line_id == "5/S2/1"
    assert facts.returns == []
    assert mapping.key_of({"order_number": 5}) == "crm:5"
    assert parse(WAREHOUSE, origin="x").tables["order"].is_virtual


def test_values_that_cannot_be_sorted_are_refused_with_their_place() -> None:
    mapping = parse(WAREHOUSE, origin="warehouse.toml").aggregates[0]
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def image(*numbers: Any, shipped_at: Any = now) -> Image:
        rows = [{"number": number, "order_number": 5, "shipped_at": shipped_at} for number in numbers]
        rows[0]["shipped_at"] = now
        return Image({"order_number": 5}, {"shipment": [Image(row) for row in rows]})

    refusal = refusal_of(mapping, image("S1", "S2", shipped_at="infinity"))
    assert "Fulfilment.shipments.shipped_at = shipped_at: 'infinity' is not a time" in str(refusal)
    refusal = refusal_of(mapping, image("S1", 2))
    assert "Fulfilment.shipments: sorting by shipped_at, number: TypeError" in str(refusal)
    assert refusal.field == "Fulfilment.shipments"


def test_a_virtual_root_has_no_column_but_its_key() -> None:
    mapping = parse(WAREHOUSE, origin="warehouse.toml")
    assert mapping.columns_of("order") == {"order_number"}
    assert mapping.columns_of("shipment") == {"number", "order_number", "shipped_at"}
    assert mapping.root_of("shipment_line") == "order"


def document(**values: Any) -> Image:
    row = {"id": 3, "kind": "despatch", "weight": 1, "sent_at": LOCAL_MORNING, "content": None}
    return Image(row | values)


def test_the_row_itself_is_a_list_of_one_and_a_json_array_gives_records() -> None:
    mapping = parse(DOCUMENTS, origin="documents.toml").aggregates[0]
    content = [{"amount": 2}, {"amount": 5, "cancelled": True}, {"amount": Decimal("1.5"), "position": 99}]
    facts = built(mapping, document(content=content))
    (shipment,) = facts.shipments
    assert shipment.shipment_id == "3"
    assert shipment.shipped_at == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert [(line.line_id, line.quantity) for line in shipment.lines] == [("3-1", 2), ("3-3", Decimal("1.5"))]
    assert built(mapping, document(sent_at=None)).shipments == []
    assert built(mapping, document(content=None)).shipments[0].lines == []


def test_an_aggregate_whose_condition_is_false_has_no_facts() -> None:
    mapping = parse(DOCUMENTS, origin="documents.toml").aggregates[0]
    assert mapping.build(document(kind="note")) is None
    assert mapping.build(document(weight=0)) is None


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"weight": None}, "Fulfilment.when = kind == 'despatch' and weight > 0: TypeError"),
        ({"content": "text"}, "Fulfilment.shipments.lines = content: not a JSON array of objects"),
        ({"content": [1]}, "Fulfilment.shipments.lines = content: not a JSON array of objects"),
        ({"content": [{}]}, "Fulfilment.shipments.lines.quantity = amount: is empty, but required"),
        ({"content": [{"amount": 0.1}]}, "Fulfilment.shipments.lines.quantity = amount: 0.1 is not an exact number"),
    ],
)
def test_json_without_a_meaning_is_refused_with_its_place(values: dict[str, Any], problem: str) -> None:
    mapping = parse(DOCUMENTS, origin="documents.toml").aggregates[0]
    refusal = refusal_of(mapping, document(**values))
    assert problem in str(refusal)
    assert str(refusal).startswith("mapping file documents.toml: aggregate 1 (fulfilment.captured): ")
    assert refusal.field is not None


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"net": None}, "SalesOrder.tax_exclusive_amount", "= net: is empty, but required"),
        ({"net": 30.0}, "SalesOrder.tax_exclusive_amount", "= net: 30.0 is not an exact number; number(...) makes"),
        ({"net": Decimal("NaN")}, "SalesOrder.tax_exclusive_amount", "= net: NaN is not a finite number"),
        ({"net": Decimal("-Infinity")}, "SalesOrder.tax_exclusive_amount", "= net: -Infinity is not a finite number"),
        ({"net": "30"}, "SalesOrder.tax_exclusive_amount", "= net: '30' is not an exact number"),
        ({"net": True}, "SalesOrder.tax_exclusive_amount", "= net: True is not an exact number"),
        ({"state": "gone"}, "SalesOrder.order_status", "[lookups.states] has no entry 'gone'; add it"),
        ({"ordered_on": datetime(2026, 1, 1, tzinfo=UTC)}, "SalesOrder.issue_date", "is not a date; day(...) makes"),
        ({"customer": Decimal(1)}, "SalesOrder.buyer_customer_party_id", "is not a text; text(...) makes"),
        ({"currency": "EURO"}, "SalesOrder.order_lines.line_extension_amount", "'EURO' is not an ISO 4217 currency"),
    ],
)
def test_a_bad_value_is_refused_with_its_field(change: dict[str, Any], field: str, problem: str) -> None:
    refusal = refusal_of(order_mapping(), order_image(change))
    assert refusal.field == field
    assert field in str(refusal)
    assert problem in str(refusal)


def test_a_bad_value_in_a_line_is_refused_with_its_field() -> None:
    refusal = refusal_of(order_mapping(), order_image(None, {}, {"number": 2, "price": None}))
    assert refusal.field == "SalesOrder.order_lines.price_amount"
    assert "price_amount = price: is empty, but required" in str(refusal)


def test_every_value_without_a_meaning_is_told_with_table_and_column() -> None:
    image = order_image(None, {"price": None}, {"number": 2}, {"number": 3, "quantity": "many"})
    image.row = {**image.row, "net": None, "tax": "none"}
    found = reasons_of(refusal_of(order_mapping(), image))
    assert [(reason.field, str(reason).rpartition(" (")[2]) for reason in found] == [
        ("SalesOrder.order_lines.price_amount", "reads public.lines.price)"),
        (
            "SalesOrder.order_lines.line_extension_amount",
            "reads public.lines.price, public.lines.quantity, public.orders.currency)",
        ),
        ("SalesOrder.order_lines.quantity", "reads public.lines.quantity)"),
        (
            "SalesOrder.order_lines.line_extension_amount",
            "reads public.lines.price, public.lines.quantity, public.orders.currency)",
        ),
        ("SalesOrder.tax_exclusive_amount", "reads public.orders.net)"),
        ("SalesOrder.tax_amount", "reads public.orders.tax)"),
    ]
    assert all(str(reason) in str(refusal_of(order_mapping(), image)) for reason in found)


def test_of_very_many_values_without_a_meaning_some_are_told() -> None:
    refusal = refusal_of(order_mapping(), order_image(None, *({"number": n, "price": None} for n in range(1_000))))
    assert len(reasons_of(refusal)) == MOST_REASONS
    assert str(refusal).endswith("; and there are more")


def test_rows_that_cannot_be_compared_are_refused() -> None:
    mapping = parse(WAREHOUSE.replace('"shipped_at", "number"', '"number"'), origin="warehouse.toml").aggregates[0]
    rows = [{"number": n, "order_number": 5, "shipped_at": None} for n in (Decimal("NaN"), Decimal(1))]
    refusal = refusal_of(mapping, Image({"order_number": 5}, {"shipment": [Image(row) for row in rows]}))
    assert "Fulfilment.shipments: sorting by number: InvalidOperation" in str(refusal)


def test_a_column_that_the_row_lacks_is_named() -> None:
    row = {key: value for key, value in ORDER.items() if key != "gross"}
    refusal = refusal_of(order_mapping(), Image(row))
    assert "SalesOrder.payable_amount = gross: the row has no column 'gross'" in str(refusal)


def test_whatever_an_expression_provokes_is_the_messages_fault() -> None:
    refusal = refusal_of(order_mapping('"tax"', '"net / tax"'), order_image())
    assert "SalesOrder.tax_amount = net / tax: DivisionByZero" in str(refusal)


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"key = concat\('shop:', id\): gives None, not a text"):
        order_mapping().key_of({"id": None})
    with pytest.raises(InvalidValue, match=r"key = concat\('shop:', id\): the row has no column 'id'"):
        order_mapping().key_of({})
    with pytest.raises(InvalidValue, match=r"key = .*: \[lookups\.states\] has no entry '9'"):
        order_mapping("concat('shop:', id)", "lookup('states', id)").key_of({"id": 9})


def test_a_key_may_be_looked_up() -> None:
    assert order_mapping("concat('shop:', id)", "lookup('states', state)").key_of({"state": "new"}) == "placed"


def test_times_without_a_zone_are_the_sources_own() -> None:
    mapping = parse(WAREHOUSE.replace("[tables.order]", 'time_zone = "Asia/Tokyo"\n[tables.order]', 1), origin="x")
    shipment = Image({"number": "S1", "order_number": 5, "shipped_at": LOCAL_MORNING})
    facts = built(mapping.aggregates[0], Image({"order_number": 5}, {"shipment": [shipment]}))
    assert facts.shipments[0].shipped_at == datetime(2026, 6, 30, 23, tzinfo=UTC)


def test_a_master_record_leaves_its_origin_to_the_capture() -> None:
    mapping = parse(CUSTOMERS, origin="crm.toml").aggregates[0]
    assert mapping.section is None
    facts = mapping.build(Image({"id": "C1", "name": "Ada", "blocked": False, "credit": None}))
    assert isinstance(facts, Customer)
    assert (facts.customer_id, facts.is_blocked, facts.credit_limit_amount) == ("C1", False, None)
    assert facts.source is None
    refusal = refusal_of(mapping, Image({"id": "C1", "name": "Ada", "blocked": None, "credit": None}))
    assert "Customer.is_blocked = blocked: is empty, but required" in str(refusal)
    refusal = refusal_of(mapping, Image({"id": "C1", "name": "Ada", "blocked": 1, "credit": None}))
    assert "1 is not of type bool" in str(refusal)

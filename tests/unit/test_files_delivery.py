"""Deliveries of files without a broker: which file fills which table, what rows say, and what a delivery is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest

from producers.cdc.facts import Refused, Stated
from producers.files.delivery import DeliveryPlan, place_among
from producers.files.facts import DeliveredFacts
from producers.files.formats import DeliveredRows
from producers.files.spool import Spool
from producers.files.writing import moment_of, position_of
from schemas.errors import ConfigurationError
from schemas.models import Delivery, SalesOrder, Settlement

NESTED = """
system = "shop"
description = "A shop whose orders come whole"

[tables.orders]
name = "orders-*.{suffix}"
key = ["number"]

[[aggregates]]
topic = "orders.captured"
root = "orders"
key = "concat('shop:', number)"

[aggregates.fields]
order_id = "concat('shop:', number)"
order_status = "'placed'"
issue_date = "day(placed_on)"
document_currency_code = "'EUR'"
buyer_customer_party_id = "customer"
line_extension_amount = "total(order_lines, 'line_extension_amount')"
charge_total_amount = "0"
tax_exclusive_amount = "total(order_lines, 'line_extension_amount')"
tax_amount = "0"
payable_amount = "payable"

[aggregates.lists.order_lines]
each = "lines"

[aggregates.lists.order_lines.fields]
line_id = "text(position)"
product_id = "product"
quantity = "quantity"
unit_code = "'C62'"
price_amount = "price"
allowance_total_amount = "0"
line_extension_amount = "quantity * price"
tax_percent = "0"
tax_amount = "0"
"""

PAYMENTS = """
system = "bank"
description = "Payments and invoices of orders that it does not have"

[tables.order]
key = ["order_number"]

[tables.payment]
name = "payments.csv"
key = ["payment_number"]
parent = { table = "order", columns = ["order_ref"] }

[[aggregates]]
topic = "payments.captured"
root = "order"
key = "concat('shop:', order_number)"

[aggregates.fields]
order_id = "concat('shop:', order_number)"

[aggregates.lists.payments]
table = "payment"
order_by = ["payment_number"]

[aggregates.lists.payments.fields]
payment_id = "payment_number"
payment_type_code = "'receipt'"
paid_at = "instant(paid_on)"
document_currency_code = "'EUR'"
paid_amount = "number(amount)"
"""

ORDER: dict[str, Any] = {
    "number": 7,
    "placed_on": "2026-11-20",
    "customer": "C1",
    "payable": 33.5,
    "lines": [{"product": "P1", "quantity": 2, "price": 10.5}, {"product": "P2", "quantity": 5, "price": 2.5}],
}
NOW = datetime.now(UTC).replace(microsecond=0)


def plan(directory: Path, mapping: str, *files: Path, is_full: bool = False) -> DeliveryPlan:
    path = directory / "mapping.toml"
    path.write_text(mapping)
    return DeliveryPlan.of(path, files, is_full=is_full, as_of=NOW - timedelta(hours=1), actor="tests")


@contextmanager
def delivered(made: DeliveryPlan) -> Iterator[tuple[Delivery, list[Stated | Refused]]]:
    with Spool(made.mapping) as spool:
        delivery = made.read(spool, lambda *_: None)
        facts = DeliveredFacts(made.mapping, made.aggregates, spool)
        found = list(facts.outcomes())
        assert [outcome.key for outcome in facts.outcomes()] == [outcome.key for outcome in found], "each time the same"
        yield delivery, found


def reasons(outcomes: Sequence[Stated | Refused]) -> list[str]:
    return [str(reason) for one in outcomes if isinstance(one, Refused) for reason in one.reasons]


def test_json_lines_with_nested_lists_keep_every_digit(tmp_path: Path) -> None:
    file = tmp_path / "orders-1.jsonl"
    file.write_text(json.dumps(ORDER) + "\n\n" + json.dumps(ORDER | {"number": 8, "payable": 0.1}) + "\n")
    with delivered(plan(tmp_path, NESTED.format(suffix="jsonl"), file)) as (_, (first, second)):
        assert isinstance(first, Stated) and isinstance(first.facts, SalesOrder)
        assert (first.key, first.facts.issue_date) == ("shop:7", date(2026, 11, 20))
        assert first.facts.payable_amount == first.facts.line_extension_amount == Decimal("33.5")
        assert isinstance(second, Stated) and isinstance(second.facts, SalesOrder)
        assert second.facts.payable_amount == Decimal("0.1")


def test_avro_container_with_logical_types(tmp_path: Path) -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
    line = [{"name": "product", "type": "string"}, {"name": "quantity", "type": "int"}]
    fields = [
        {"name": "number", "type": "long"},
        {"name": "placed_on", "type": {"type": "int", "logicalType": "date"}},
        {"name": "customer", "type": "string"},
        {"name": "payable", "type": decimal},
        {
            "name": "lines",
            "type": {
                "type": "array",
                "items": {"type": "record", "name": "Line", "fields": [*line, {"name": "price", "type": decimal}]},
            },
        },
    ]
    lines = [{"product": "P1", "quantity": 3, "price": Decimal("1.10")}]
    order = ORDER | {"placed_on": date(2026, 11, 20), "payable": Decimal("3.30"), "lines": lines}
    file = tmp_path / "orders-1.avro"
    with file.open("wb") as target:
        fastavro.writer(target, fastavro.parse_schema({"type": "record", "name": "O", "fields": fields}), [order])
    made = plan(tmp_path, NESTED.format(suffix="avro"), file)
    with delivered(made) as (_, [stated]):
        assert isinstance(stated, Stated) and isinstance(stated.facts, SalesOrder)
        assert stated.facts.order_lines[0].line_extension_amount == Decimal("3.30")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ConfigurationError, match="not an Avro container"), delivered(made):
        pass


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"number": 7', "line 1: not JSON"),
        ("[1]", "not a JSON object"),
        ('{"number": NaN}', "NaN is no number"),
        ('{"number": 7}', "has no column customer, lines, payable, placed_on"),
    ],
)
def test_malformed_json_lines_stop_the_delivery(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "orders-1.jsonl"
    file.write_text(line + "\n")
    made = plan(tmp_path, NESTED.format(suffix="jsonl"), file)
    with pytest.raises(ConfigurationError, match=message), delivered(made):
        pass


def test_wrong_value_refuses_its_order_alone(tmp_path: Path) -> None:
    file = tmp_path / "orders-1.jsonl"
    wrong = ORDER | {"number": 8, "placed_on": "20.11.2026"}
    file.write_text("\n".join(json.dumps(row) for row in (wrong, ORDER)))
    with delivered(plan(tmp_path, NESTED.format(suffix="jsonl"), file)) as (_, (refused, stated)):
        assert isinstance(refused, Refused) and refused.key == "shop:8"
        assert json.loads(refused.document)["line"] == 1
        assert isinstance(stated, Stated) and stated.key == "shop:7"


def test_rows_of_one_key_that_differ_refuse_it_and_equal_ones_count_once(tmp_path: Path) -> None:
    file = tmp_path / "orders-1.jsonl"
    rows = [ORDER, ORDER, ORDER | {"number": 8}, ORDER | {"number": "8", "customer": "C2"}]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    with delivered(plan(tmp_path, NESTED.format(suffix="jsonl"), file)) as (_, outcomes):
        assert [type(one) for one in outcomes] == [Stated, Refused]
        assert "lines 3 and 4 have the same key and say different things" in reasons(outcomes)[0]


def test_two_rows_that_state_one_order_are_not_both_taken(tmp_path: Path) -> None:
    file = tmp_path / "orders-1.jsonl"
    file.write_text("\n".join(json.dumps(ORDER | {"number": number}) for number in ("1", "1 ")))
    mapping = NESTED.format(suffix="jsonl").replace("concat('shop:', number)", "concat('shop:', strip(number))")
    with delivered(plan(tmp_path, mapping, file)) as (_, outcomes):
        assert [type(one) for one in outcomes] == [Stated, Refused]
        assert "another row of the delivery also states shop:1" in reasons(outcomes)[0]


def test_table_that_the_source_does_not_have_is_made_of_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "payments.csv"
    text = "payment_number,order_ref,paid_on,amount\nZ2,9,2026-11-20,5.00\nZ1,9,2026-11-19,7\nZ3,,2026-11-19,1\n"
    file.write_text(text, encoding="utf-8-sig")
    with delivered(plan(tmp_path, PAYMENTS, file)) as (_, (refused, stated)):
        assert isinstance(refused, Refused) and refused.key is None and "has no key" in reasons([refused])[0]
        assert isinstance(stated, Stated) and isinstance(stated.facts, Settlement)
        assert (stated.key, [one.payment_id for one in stated.facts.payments]) == ("shop:9", ["Z1", "Z2"])


def test_lines_without_their_order_are_refused_one_by_one(tmp_path: Path) -> None:
    mapping = PAYMENTS.replace("[tables.order]", '[tables.order]\nname = "orders.csv"')
    (tmp_path / "orders.csv").write_text("order_number\n8\n")
    (tmp_path / "payments.csv").write_text("payment_number,order_ref,paid_on,amount\nZ1,9,2026-11-19,7\n")
    made = plan(tmp_path, mapping, tmp_path / "orders.csv", tmp_path / "payments.csv")
    with delivered(made) as (_, outcomes):
        assert "belongs to a row of orders.csv that was not delivered" in reasons(outcomes)[0]
        assert [one.key for one in outcomes] == [None, "shop:8"]


def test_order_without_its_other_file_is_no_delivery(tmp_path: Path) -> None:
    mapping = PAYMENTS.replace("[tables.order]", '[tables.order]\nname = "orders.csv"')
    for name in ("orders.csv", "payments.csv"):
        (tmp_path / name).write_text("order_number\n")
        with pytest.raises(ConfigurationError, match="no file"):
            plan(tmp_path, mapping, tmp_path / name)


def test_unknown_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no known format; there are"):
        DeliveredRows(tmp_path / "orders.xml")


def made_at(hour: int, content: str, *, is_full: bool = False) -> Delivery:
    at = datetime(2026, 11, 20, hour, tzinfo=UTC)
    return Delivery(
        delivery_id=f"{hour}/{content}",
        system="shop",
        mapping_sha256="m",
        is_full=is_full,
        files=[{"name": f"{hour}.csv", "table": "orders", "size_bytes": 1, "sha256": content}],  # type: ignore[list-item]
        as_of=at,
        actor="tests",
        begun_at=at,
        stated=0,
        refused=0,
        withdrawn=0,
    )


def test_same_content_is_the_same_delivery_unless_another_came_between() -> None:
    first, second = made_at(1, "a"), made_at(2, "b")
    assert place_among(made_at(5, "a"), [first]) is first
    assert place_among(made_at(1, "a"), [second, first]) is first
    back = made_at(5, "a")
    assert place_among(back, [second, first]) is back
    assert place_among(back, [first.model_copy(update={"system": "other"})]) is back


def test_another_content_of_the_same_time_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="later --as-of"):
        place_among(made_at(1, "b"), [made_at(1, "a")])


def test_full_delivery_must_be_the_newest() -> None:
    with pytest.raises(ConfigurationError, match="deliver a newer"):
        place_among(made_at(1, "b", is_full=True), [made_at(2, "a")])
    late = made_at(1, "b")
    assert place_among(late, [made_at(2, "a")]) is late


def test_positions_rise_with_the_time_of_the_delivery() -> None:
    earlier, later = made_at(1, "a"), made_at(2, "a")
    assert position_of(later) - position_of(earlier) == 3_600_000_000
    assert moment_of(later).committed_at == later.as_of

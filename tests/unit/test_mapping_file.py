"""Mapping files: each error in one is refused with what, where and how to mend it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from schemas.mapping import load, parse

GOOD = """
system = "shop"
description = "A shop"
time_zone = "Europe/Berlin"

[tables.orders]
name = "public.orders"
key = ["id"]

[tables.lines]
name = "public.lines"
key = ["order_id", "number"]
parent = { table = "orders", columns = ["order_id"] }

[lookups.states]
new = "placed"

[[aggregates]]
topic = "orders.captured"
root = "orders"
key = "concat('shop:', id)"

[aggregates.fields]
order_id = "concat('shop:', id)"
order_status = "lookup('states', state)"
issue_date = "ordered_on"
document_currency_code = "currency"
buyer_customer_party_id = "customer"
line_extension_amount = "total(order_lines, 'line_extension_amount')"
charge_total_amount = "0"
tax_exclusive_amount = "net"
tax_amount = "tax"
payable_amount = "gross"

[aggregates.lists.order_lines]
table = "lines"

[aggregates.lists.order_lines.fields]
line_id = "text(number)"
product_id = "product"
quantity = "quantity"
unit_code = "'C62'"
price_amount = "price"
allowance_total_amount = "0"
line_extension_amount = "money(price * quantity, root.currency)"
tax_percent = "0"
tax_amount = "0"
"""


def refusal_of(*changes: tuple[str, str]) -> str:
    content = GOOD
    for old, new in changes:
        assert old in content
        content = content.replace(old, new, 1)
    with pytest.raises(ConfigurationError) as refusal:
        parse(content, origin="shop.toml")
    assert str(refusal.value).startswith("mapping file shop.toml")
    return str(refusal.value)


def test_a_good_file_tells_its_tables_columns_and_aggregates() -> None:
    mapping = parse(GOOD, origin="shop.toml")
    assert mapping.system == "shop"
    assert mapping.zone.key == "Europe/Berlin"
    assert mapping.tables["orders"].qualified_name == "public.orders"
    assert mapping.columns_of("orders") == {
        "id", "state", "ordered_on", "currency", "customer", "net", "tax", "gross",
    }  # fmt: skip
    assert mapping.columns_of("lines") == {"order_id", "number", "product", "quantity", "price"}
    assert mapping.root_of("lines") == "orders"
    (aggregate,) = mapping.aggregates
    assert (aggregate.topic.name, aggregate.section, aggregate.root) == ("orders.captured", "order", "orders")


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert load(path).system == "shop"


def test_a_file_that_is_absent_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"mapping file .*absent\.toml cannot be read"):
        load(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"mapping file .*binary\.toml cannot be read"):
        load(binary)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('system = "shop"', "system = shop", "is not TOML"),
        ('system = "shop"', 'system = "Shop!"', "[system] String should match pattern"),
        ('description = "A shop"\n', "", "[description] Field required"),
        ('time_zone = "Europe/Berlin"', 'time_zone = "Mars/Olympus"', "time_zone 'Mars/Olympus' is unknown"),
        ('time_zone = "Europe/Berlin"', 'time_zone = "/etc/passwd"', "time_zone '/etc/passwd' is unknown"),
        ('time_zone = "Europe/Berlin"', 'colour = "red"', "[colour] Extra inputs are not permitted"),
        ('name = "public.orders"', 'name = "orders"', "[tables.orders.name] String should match pattern"),
        ('key = ["id"]', "key = []", "[tables.orders.key] List should have at least 1 item"),
        ('key = ["id"]', 'key = ["id", "id"]', "[tables.orders] names id twice in its key"),
        (
            '{ table = "orders", columns = ["order_id"] }',
            '{ table = "order", columns = ["order_id"] }',
            "[tables.lines.parent] table 'order' is not declared",
        ),
        (
            'columns = ["order_id"]',
            'columns = ["order_id", "number"]',
            "[tables.lines.parent] names 2 columns for the 1 key columns of orders",
        ),
        (
            'name = "public.orders"\nkey = ["id"]',
            'name = "public.orders"\nkey = ["id"]\nparent = { table = "lines", columns = ["a", "b"] }',
            "goes round in a circle: orders -> lines -> orders",
        ),
        ('name = "public.lines"\n', "", "[tables.lines] without a name cannot have a parent"),
        (
            "[lookups.states]",
            '[tables.lonely]\nkey = ["x"]\n[lookups.states]',
            "[tables.lonely] has neither a name",
        ),
        (
            'topic = "orders.captured"',
            'topic = "orders"',
            "aggregate 1 (orders): there is no such topic; topics: ",
        ),
        ('topic = "orders.captured"', 'topic = "orders.state"', "orders.state is not a topic that sources write to"),
        ('root = "orders"', 'root = "order"', "root 'order' is not one of [tables]: orders, lines"),
        ('root = "orders"', 'root = "lines"', "root 'lines' has the parent 'orders': a root has none"),
        ('tax_amount = "tax"', 'tax = "tax"', "SalesOrder: SalesOrder has no attribute tax; it has order_id"),
        ('tax_amount = "tax"\n', "", "SalesOrder: SalesOrder needs tax_amount"),
        ('tax_amount = "tax"', "tax_amount = 0", "[aggregates.0.fields.tax_amount] Input should be a valid string"),
        ('tax_amount = "tax"', 'tax_amount = "tax +"', "SalesOrder.tax_amount: 'tax +' is not an expression"),
        ('tax_amount = "tax"', 'tax_amount = "tax"\norder_lines = "x"', "order_lines is given twice"),
        ('tax_amount = "tax"', 'tax_amount = "tax"\ndelivery_address = "x"', "delivery_address belongs under records"),
        (
            'tax_amount = "tax"',
            'tax_amount = "parent.tax"',
            "there is no parent here, this is the row of the root",
        ),
        ("concat('shop:', id)", "parent.id", "key: 'parent.id': there is no parent here"),
        ("concat('shop:', id)", "open('x')", "key: \"open('x')\": unknown function 'open'"),
        ('table = "lines"', 'table = "orders_lines"', "SalesOrder.order_lines: table 'orders_lines' is not a child of"),
        ('table = "lines"', 'table = "lines"\neach = "lines"', "SalesOrder.order_lines: give either table or each"),
        ('table = "lines"\n', "\n", "SalesOrder.order_lines: give either table or each"),
        ('table = "lines"\n', 'each = "x"\norder_by = ["a"]\n', "order_by belongs to the rows of a child table"),
        ("root.currency", "root.__class__", "SalesOrder.order_lines.line_extension_amount"),
        ("'line_extension_amount')\"", "'unit_code')\"", "order_lines has no number 'unit_code'"),
        ('new = "placed"', "new = 0.5", "[lookups.states.new"),
    ],
)
def test_each_fault_is_refused_with_its_place(old: str, new: str, problem: str) -> None:
    assert problem in refusal_of((old, new))


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    message = refusal_of(
        ('tax_amount = "tax"', 'tax_amount = "tax +"\ncolour = "red"'),
        ("concat('shop:', id)", "open('x')"),
        ("root.currency", "root.__class__"),
    )
    assert "SalesOrder has no attribute colour" in message
    assert "SalesOrder.tax_amount: 'tax +' is not an expression" in message
    assert "key: \"open('x')\": unknown function 'open'" in message


def test_mistakes_of_every_list_and_aggregate_are_told() -> None:
    second = GOOD[GOOD.index("[[aggregates]]") :].replace("orders.captured", "orders.captured")
    content = (GOOD + second).replace("root.currency", "root.__class__").replace('"tax"', '"tax +"')
    with pytest.raises(ConfigurationError) as refusal:
        parse(content, origin="shop.toml")
    assert [str(refusal.value).count(text) for text in ("__class__", "is not an expression")] == [4, 2]
    assert str(refusal.value).count("aggregate 2 (orders.captured)") == 2


def test_a_virtual_table_has_only_its_key() -> None:
    message = refusal_of(('name = "public.orders"\n', ""))
    assert "[tables.orders] has no name, so there is no column but its key (id)" in message
    assert "cannot be read" in message


def test_a_file_without_aggregates_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\[aggregates\] Field required"):
        parse(GOOD[: GOOD.index("[[aggregates]]")], origin="shop.toml")


TOLD = """
[write_back]
table = "orders"

[write_back.columns]
sync_status = "status"
"""


def test_a_mapping_says_which_columns_tell_how_an_order_stands() -> None:
    write_back = parse(GOOD + TOLD, origin="shop.toml").write_back
    assert write_back is not None
    assert (write_back.key, write_back.table.qualified_name) == ("id", "public.orders")
    assert write_back.columns == {"sync_status": "status"}
    assert parse(GOOD, origin="shop.toml").write_back is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"orders"\n\n[write_back.', '"order"\n\n[write_back.', "table 'order' is not declared"),
        ('"orders"\n\n[write_back.', '"lines"\n\n[write_back.', "has to be a table without parent"),
        ('sync_status = "status"', 'sync_status = "state"', "there is no state; there are order_id, status"),
        ('sync_status = "status"', 'gross = "status"', "gross is captured, so the source owns it"),
        ('sync_status = "status"', 'id = "order_id"', "id is captured, so the source owns it"),
        ('sync_status = "status"', "", "at least 1 item"),
        ("key = \"concat('shop:', id)\"", "key = \"concat('shop:', id, '-')\"", "concat('shop:', id)"),
    ],
)
def test_columns_that_cannot_be_told_are_refused(old: str, new: str, told: str) -> None:
    content = GOOD + TOLD
    assert old in content
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        parse(content.replace(old, new), origin="shop.toml")

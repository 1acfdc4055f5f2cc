"""The peers of the stream benchmark do the work that they are compared by."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import TopicCodec
from schemas.models import OrderCaptured
from schemas.topics import ORDERS_CAPTURED
from tests.benchmarks.peers.java_skipping import filled_in
from tests.benchmarks.peers.ten_checks import Refused, Work
from tests.benchmarks.stream_load import PreparedOrders, captured_order
from tests.unit.processing_desk import SCHEMAS

JAVA = Path(__file__).parents[1] / "benchmarks" / "peers" / "KafkaStreamsPeer.java"
CUSTOMERS: dict[str, Any] = {f"C-{number}": {"name": "C", "segment": None, "is_blocked": False} for number in range(9)}
PRODUCTS: dict[str, Any] = {
    f"P-{number}": {"name": "P", "standard_cost_amount": None, "is_discontinued": False} for number in range(99)
}


@pytest.fixture(scope="module")
def codec() -> TopicCodec[OrderCaptured]:
    return TopicCodec(ORDERS_CAPTURED, OrderCaptured, SCHEMAS)


def test_orders_of_the_load_are_the_prepared_ones_under_a_number_of_their_own(codec: TopicCodec[OrderCaptured]) -> None:
    key, message = PreparedOrders(SCHEMAS).message(7_005)
    event, like = codec.decode(message), captured_order(5)
    assert key == event.order_id.encode() == b"crm:00007005"
    assert event.order is not None and like.order is not None
    assert event.order.order_id == event.order_id
    assert event.order.customer_reference == "PO-00007005"
    assert event.order.order_lines == like.order.order_lines


def test_a_good_order_makes_its_next_state_and_keeps_its_own_bytes(codec: TopicCodec[OrderCaptured]) -> None:
    work = Work(CUSTOMERS, PRODUCTS)
    event = captured_order(1)
    message = codec.encode(event)
    first = work.next_state(event.order_id.encode(), message, None)
    second = work.next_state(event.order_id.encode(), message, first)
    assert first != second
    assert first[-100:] == second[-100:] == message[-100:]


@pytest.mark.parametrize(
    "change",
    [
        {"payable_amount": Decimal(1)},
        {"tax_amount": Decimal(1)},
        {"tax_exclusive_amount": Decimal(1)},
        {"line_extension_amount": Decimal(1)},
        {"document_currency_code": "XXX"},
        {"order_status": "dreamt"},
        {"buyer_customer_party_id": "C-unknown"},
        {"order_lines": []},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_bad_order_is_refused(codec: TopicCodec[OrderCaptured], change: dict[str, Any]) -> None:
    event = captured_order(1)
    assert event.order is not None
    bad = event.model_copy(update={"order": event.order.model_copy(update=change)})
    with pytest.raises(Refused):
        Work(CUSTOMERS, PRODUCTS).next_state(event.order_id.encode(), codec.encode(bad), None)


def test_the_java_peer_skips_exactly_what_it_does_not_read() -> None:
    source = filled_in(JAVA.read_text())
    assert "//@ skip" not in source.replace('"//@ skip', "")
    line = source[source.index("for (int line = 0") :]
    skipped = ["line_id", "item_name", "unit_code", "tax_category_code", "tax_percent", "requested_delivery_date"]
    places = [line.index(f"// {name}\n") for name in skipped]
    assert places == sorted(places)

"""The fast path gives, byte for byte, what the ordinary way gives, and keeps its hands off everything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.attributes import OrderId
from schemas.codec.fastpath import is_available
from schemas.models import Address, OrderCaptured, SalesOrder
from schemas.topics import CUSTOMERS, ORDERS_CAPTURED, PRODUCTS
from streams.processing.plain import PlainOrders
from streams.processing.processor import CapturedRecord, OrderProcessor, ProcessingPolicy
from streams.rules.enrichment import EnrichmentPolicy
from streams.rules.ruleset import builtin_rules
from tests.unit.model_strategies import instances
from tests.unit.order_lives import Item, Life, customer, order, product
from tests.unit.processing_desk import PARKED_FOR, Desk, codec_of, codecs, known_master
from tests.unit.test_rules_screening import FAULTS, LINE_FAULTS

pytestmark = pytest.mark.skipif(not is_available, reason="the native codec is not built on this machine")

EUR = EnrichmentPolicy("EUR")


@dataclass
class OrdinaryDesk(Desk):
    """A desk whose processor has no fast path."""

    def __post_init__(self) -> None:
        super().__post_init__()
        policy = ProcessingPolicy(EUR, PARKED_FOR, "test", builtin_rules().unscreened())
        self.processor = OrderProcessor(codecs(), self.master, policy)


@dataclass
class Watched(PlainOrders):
    """Counts what took the fast path."""

    taken: int = field(default=0, init=False)

    def __init__(self, desk: Desk) -> None:
        super().__init__(codecs(), desk.master, EUR, builtin_rules())
        self.taken = 0

    def first_version(self, key: bytes, message: bytes) -> Any:
        version = super().first_version(key, message)
        self.taken += version is not None
        return version


def fast(desk: Desk, *events: OrderCaptured) -> int:
    """How many of `events` take the fast path, and that the ordinary way does the same about all of them."""
    records = [desk.record(event) for event in events]
    return fast_records(desk, records)


def fast_records(desk: Desk, records: list[CapturedRecord]) -> int:
    ordinary = OrdinaryDesk(master=desk.master)
    desk.processor._plain = watched = Watched(desk)
    desk.take(*records)
    ordinary.take(*records)
    assert desk.written == ordinary.written
    return watched.taken


OPTIONAL: list[dict[str, Any]] = [
    {},
    {"note": "Bitte im Hof abstellen: Tür 東"},
    {"requested_delivery_date": date(2026, 11, 20)},
    {"requested_delivery_date": date(2026, 12, 1)},
    {"delivery_address": Address(city_name="Köln", country_code="DE")},
    {"delivery_address": Address(country_code="Germany")},
    {"delivery_address": Address(country_code="")},
    {"delivery_address": Address()},
    {"customer_reference": "PO 7", "sales_channel": "web"},
    {"buyer_customer_party_id": "C404"},
    {"buyer_customer_party_id": "C9"},
]
LINES = [
    [Item("1", "P1", "3", "9.99")],
    [Item("1", "P1", "3", "9.99"), Item("2", "P2", "10", "20.00"), Item("3", "P1", "0.5", "0.02")],
    [Item("1", "P9", "1", "1.00")],
    [Item("1", "P404", "1", "1.00")],
    [Item("1", "P3", "3", "9.99"), Item("2", "P3", "7", "12345.67")],
    [Item("1", "P4", "1", "9.99")],
    [Item(str(number), "P2", "1", "3.00") for number in range(70)],
]


def desk_with_everybody() -> Desk:
    """Also a blocked customer and a discontinued product."""
    master = known_master()
    master.put(CUSTOMERS, customer("C9", is_blocked=True))
    master.put(PRODUCTS, product("P9", is_discontinued=True))
    prompt = {"lead_time_days": 7, "tax_category_code": "S", "tax_percent": Decimal(19), "ledger_account_key": "tools"}
    master.put(PRODUCTS, product("P3").model_copy(update=prompt))
    master.put(PRODUCTS, product("P4", cost=None).model_copy(update={"lead_time_days": 9_999_999}))
    return Desk(master=master)


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(LINES),
    st.sampled_from(["EUR", "USD", "JPY", "KWD", "CHF"]),
    st.sampled_from(OPTIONAL),
    st.one_of(st.just({}), st.sampled_from(FAULTS)),
    st.one_of(st.just({}), st.sampled_from(LINE_FAULTS)),
)
def test_fast_path_writes_what_the_ordinary_way_writes(
    items: list[Item], currency: str, optional: dict[str, Any], fault: dict[str, Any], line_fault: dict[str, Any]
) -> None:
    facts = order(items, currency=currency)
    first = facts.order_lines[0].model_copy(update=line_fault)
    facts = facts.model_copy(update={"order_lines": [first, *facts.order_lines[1:]]} | optional | fault)
    fast(desk_with_everybody(), Life().ordered(facts))


@settings(max_examples=60, deadline=None)
@given(instances(SalesOrder))
def test_any_order_at_all_is_decided_alike(facts: SalesOrder) -> None:
    fast(desk_with_everybody(), Life().ordered(facts))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_messages_are_refused_alike(data: st.DataObject) -> None:
    desk = Desk()
    record = desk.record(Life().ordered(order(currency="USD")))
    assert record.value is not None
    damaged = bytearray(record.value)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    fast_records(desk, [record._replace(value=bytes(damaged[:cut]) + data.draw(st.sampled_from([b"", b"\x00"])))])


@pytest.mark.parametrize("currency", ["EUR", "USD", "JPY"])
@pytest.mark.parametrize("items", LINES[:2] + LINES[4:5] + LINES[-1:], ids=len)
def test_plain_orders_do_take_the_fast_path(items: list[Item], currency: str) -> None:
    items = [item._replace(quantity="4", price="2000") for item in items]
    assert fast(desk_with_everybody(), Life().ordered(order(items, currency=currency))) == 1


def test_changes_duplicates_and_other_keys_go_the_ordinary_way() -> None:
    life, desk = Life(), Desk()
    first = life.ordered(order())
    assert fast(desk, first, first, life.ordered(order(note="changed"))) == 1
    record = Desk().record(Life().ordered(order()))
    assert fast_records(Desk(), [record._replace(key=b"crm:SO-2")]) == 0
    assert fast_records(Desk(), [record._replace(key="crm:SO-ü".encode())]) == 0
    assert fast_records(Desk(), [record._replace(key=None)]) == 0


def test_an_order_that_waits_goes_the_ordinary_way() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order(customer="C2")))
    assert desk.places
    desk.processor._plain = watched = Watched(desk)
    desk.take(life.ordered(order(customer="C2", note="again")))
    assert watched.taken == 0


def test_a_changed_master_record_is_seen_by_the_next_batch() -> None:
    desk = Desk()
    for number, name in enumerate(["Old name", "New name"]):
        desk.master.put(CUSTOMERS, customer().model_copy(update={"name": name}))
        life = Life(OrderId(f"crm:{number}"))
        desk.take(life.ordered(order(order_id=life.order_id)))
        state = desk.state(life.order_id)
        assert state is not None and state.enrichment is not None
        assert state.enrichment.customer_name == name


def test_a_blocked_customer_is_refused_although_it_was_remembered() -> None:
    desk = Desk()
    desk.take(Life(OrderId("crm:0")).ordered(order(order_id=OrderId("crm:0"))))
    desk.master.put(CUSTOMERS, customer(is_blocked=True))
    desk.take(Life(OrderId("crm:1")).ordered(order(order_id=OrderId("crm:1"))))
    assert [violation.rule for rejection in desk.rejections() for violation in rejection.violations] == [
        "customer.blocked"
    ]


def test_a_foreign_writers_message_goes_the_ordinary_way() -> None:
    codec = codec_of(ORDERS_CAPTURED)
    desk = Desk()
    record = desk.record(Life().ordered(order()))
    assert record.value is not None and record.value.startswith(codec.header)
    foreign = record._replace(value=b"\x00\x00\x00\xff\xff" + record.value[5:])
    assert fast_records(desk, [foreign]) == 0


def test_amounts_too_large_to_multiply_go_the_ordinary_way() -> None:
    huge = (
        order()
        .order_lines[0]
        .model_copy(
            update={"quantity": Decimal("9999999999999.999999"), "price_amount": Decimal("9999999999999.999999")}
        )
    )
    facts = order().model_copy(update={"order_lines": [huge, order().order_lines[1]]})
    assert fast(Desk(), Life().ordered(facts)) == 0


def test_numbers_written_longer_than_need_be_go_the_ordinary_way() -> None:
    desk = Desk()
    record = desk.record(Life().ordered(order()))
    assert record.value is not None
    head, tail = codec_of(ORDERS_CAPTURED).header, record.value[5:]
    assert tail[0] < 128
    longer = head + bytes([tail[0] | 128, 0]) + tail[1:]
    assert fast_records(desk, [record._replace(value=longer)]) == 0

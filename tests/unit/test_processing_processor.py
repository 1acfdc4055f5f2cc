"""The processor from bytes to bytes: what is refused, what waits, what is written and in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.attributes import OrderId
from schemas.codec.wire import frame
from schemas.errors import Transient
from schemas.models import OriginalMessage, Rejection, SalesOrder
from schemas.registry import InMemorySchemas
from schemas.topics import (
    CUSTOMERS,
    FULFILMENT_CAPTURED,
    FX_RATES,
    ORDER_EVENTS,
    ORDER_STATE,
    ORDERS_CAPTURED,
    PARKED,
    PAYMENTS_CAPTURED,
    POSTINGS,
    PRODUCTS,
    REJECTED,
)
from streams.processing.codecs import Codecs
from streams.processing.processor import CapturedRecord, OrderProcessor, ProcessingPolicy
from tests.unit.order_lives import (
    ORDER_ID,
    TWO_LINES,
    Item,
    Life,
    customer,
    fx_rate,
    invoice,
    line,
    order,
    payment,
    product,
    shipment,
)
from tests.unit.processing_desk import PARKED_FOR, PARTITION, SCHEMAS, Desk, codec_of, known_master
from tests.unit.rule_cases import changed

D = Decimal


def _sound(desk: Desk) -> bytes:
    value = desk.record(Life().ordered(order())).value
    assert value is not None
    return value


# What is wrong, on which topic, the record's value (None: a tombstone) and the rules that the dead letter names.
def _unreadable(desk: Desk) -> dict[str, tuple[CapturedRecord, list[str]]]:
    sound = _sound(desk)
    return {
        "empty": (desk.raw(ORDERS_CAPTURED, b""), ["wire_format"]),
        "text": (desk.raw(PAYMENTS_CAPTURED, b'{"order": 1}'), ["wire_format"]),
        "header only": (desk.raw(FULFILMENT_CAPTURED, frame(1)), ["avro"]),
        "unknown schema id": (desk.raw(ORDERS_CAPTURED, frame(999_999) + sound[5:]), ["unknown_schema"]),
        "cut off": (desk.raw(ORDERS_CAPTURED, sound[:-3]), ["avro"]),
        "too long": (desk.raw(ORDERS_CAPTURED, sound + b"\x00"), ["avro"]),
        "another topic's schema": (desk.raw(PAYMENTS_CAPTURED, sound), ["avro"]),
        "tombstone": (desk.raw(ORDERS_CAPTURED, None), ["tombstone"]),
        "wrong key": (desk.raw(ORDERS_CAPTURED, sound, b"crm:SO-2"), ["key"]),
        "no key": (desk.raw(ORDERS_CAPTURED, sound, None), ["key"]),
    }


@pytest.mark.parametrize("what", _unreadable(Desk()))
def test_unreadable_record_is_one_dead_letter_with_its_bytes_and_the_rest_goes_on(what: str) -> None:
    desk = Desk()
    record, rules = _unreadable(desk)[what]
    before, after = Life(order_id=OrderId("crm:SO-7")), Life(order_id=OrderId("crm:SO-8"))
    outcome = desk.take(
        before.ordered(order(order_id=before.order_id)), record, after.ordered(order(order_id=after.order_id))
    )
    [rejection] = desk.rejections()
    assert [violation.rule for violation in rejection.violations] == rules
    assert all(violation.message for violation in rejection.violations)
    assert_original(rejection, record)
    assert rejection.order_id is None
    assert (outcome.outcomes["accepted"], outcome.outcomes["rejected"]) == (2, 1)
    assert outcome.violated == dict.fromkeys(rules, 1)
    assert [state.version for state in (desk.state(before.order_id), desk.state(after.order_id)) if state] == [1, 1]


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        (changed(payable_amount=D("1")), ["order.payable_total"]),
        (changed(document_currency_code="ZZZ"), ["order.currency_known"]),
        (
            changed(order_lines=[]),
            ["order.lines_present", "order.line_total", "order.tax_total"],
        ),
    ],
    ids=["wrong total", "unknown currency", "no lines"],
)
def test_unsound_order_is_one_dead_letter_with_every_reason(facts: SalesOrder, rules: list[str]) -> None:
    desk, life = Desk(), Life()
    record = desk.record(life.ordered(facts))
    desk.take(record)
    [rejection] = desk.rejections()
    assert [violation.rule for violation in rejection.violations] == rules
    assert rejection.order_id == ORDER_ID
    assert_original(rejection, record)
    assert desk.state() is None and desk.parked() is None
    desk.take(life.ordered(order()))
    assert desk.versions() == [(1, "OrderPlaced")], "a refused event takes no number"


def test_quantity_times_price_beyond_all_reckoning_is_refused() -> None:
    facts = changed(
        document_currency_code="KWD",
        order_lines=[
            line(TWO_LINES[0]).model_copy(update={"quantity": D("9999999999999"), "price_amount": D("9999999999999")})
        ],
    )
    desk = Desk()
    desk.take(Life().ordered(facts))
    assert desk.refused_rules() == [["amount_range"]]


def test_version_goes_to_events_then_state_then_postings_and_events_hold_the_state() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order()))
    outcome = desk.take(life.handled(shipment(1, {"1": "3"})))
    topics = [output.topic for output in outcome.outputs]
    assert topics == [ORDER_EVENTS, ORDER_STATE, POSTINGS, POSTINGS]
    assert {output.key for output in outcome.outputs} == {ORDER_ID.encode()}
    event = desk.events()[-1]
    assert event.state == desk.state()
    assert (event.event_type, event.topic) == ("OrderShipped", FULFILMENT_CAPTURED)
    state = outcome.outputs[1].value
    assert state is not None and state == desk.states[ORDER_ID]
    assert outcome.outputs[0].value is not None and outcome.outputs[0].value.endswith(state[5:])
    assert codec_of(ORDER_STATE).encode(event.state) == state, "copied sections are what a codec would write"


def test_versions_have_no_gaps_whatever_happens_between() -> None:
    desk, life = Desk(), Life()
    first = life.ordered(order())
    desk.take(
        first,
        first,
        life.ordered(changed(payable_amount=D(1))),
        life.handled(shipment(1, {"9": "1"})),
        desk.raw(ORDERS_CAPTURED, b"junk"),
        life.ordered(order(customer="LATE")),
        life.settled(payment(1, "5")),
        life.ordered(order([*TWO_LINES, Item("9", "P1", "1", "1")])),
    )
    desk.arrive(customer("LATE"))
    assert desk.versions() == [(1, "OrderPlaced"), (2, "OrderPaid"), (3, "OrderChanged"), (4, "OrderShipped")]


# -- the waiting room ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "awaited", "arrival"),
    [
        (order(customer="C9"), [(CUSTOMERS, "C9")], customer("C9")),
        (order([Item("1", "P9", "1", "5")]), [(PRODUCTS, "P9")], product("P9")),
        (order([Item("1", "P1", "1", "5")], currency="GBP"), [(FX_RATES, "GBP:EUR")], fx_rate("GBP", "1.2")),
    ],
    ids=["customer", "product", "rate"],
)
def test_order_waits_for_a_master_record_and_is_released_by_it(
    facts: SalesOrder, awaited: list[tuple[str, str]], arrival: Any
) -> None:
    desk, life = Desk(), Life()
    record = desk.record(life.ordered(facts))
    outcome = desk.take(record)
    assert [output.topic for output in outcome.outputs] == [PARKED]
    parked = desk.parked()
    assert parked is not None
    assert [(one.topic, one.key) for one in parked.awaits] == awaited
    assert [held.value for held in parked.held] == [record.value]
    assert desk.awaited == {awaited[0]: {ORDER_ID}}
    assert desk.arrive(customer("SOMEBODY ELSE")).outputs == []
    outcome = desk.arrive(arrival)
    assert [output.topic for output in outcome.outputs] == [ORDER_EVENTS, ORDER_STATE, PARKED]
    assert outcome.outputs[-1].value is None
    assert (desk.places, desk.awaited) == ({}, {})
    assert (outcome.outcomes["accepted"], outcome.outcomes["released"]) == (1, 1)


def test_order_that_waits_for_three_records_goes_on_with_the_last() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order([Item("1", "P8", "1", "5"), Item("2", "P9", "1", "5")], customer="C9")))
    for arrival, left in ((product("P8"), 2), (customer("C9"), 1)):
        desk.arrive(arrival)
        parked = desk.parked()
        assert parked is not None and len(parked.awaits) == left
        assert desk.state() is None
    desk.arrive(product("P9"))
    assert desk.parked() is None and desk.versions() == [(1, "OrderPlaced")]


def test_payment_and_shipment_before_their_order_follow_it() -> None:
    desk, life = Desk(), Life()
    desk.take(life.settled(payment(1, "5")), life.handled(shipment(1, {"1": "1"})))
    parked = desk.parked()
    assert parked is not None
    assert [(one.topic, one.key) for one in parked.awaits] == [(ORDERS_CAPTURED, ORDER_ID)]
    assert [held.topic for held in parked.held] == [PAYMENTS_CAPTURED, FULFILMENT_CAPTURED]
    desk.take(life.ordered(order()))
    assert desk.versions() == [(1, "OrderPlaced"), (2, "OrderPaid"), (3, "OrderShipped")]
    assert desk.parked() is None


def test_what_waits_keeps_its_original_records() -> None:
    desk, life = Desk(), Life()
    records = [desk.record(life.settled(payment(1, "5"))), desk.record(life.settled(payment(1, "6")))]
    desk.take(records[0])
    desk.take(records[1])
    parked = desk.parked()
    assert parked is not None
    for held, record in zip(parked.held, records, strict=True):
        assert_same(held, record)


def test_change_that_waits_holds_up_neither_payments_nor_shipments() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order()), life.ordered(order([*TWO_LINES, Item("3", "P9", "1", "5")])))
    desk.take(life.settled(payment(1, "5")), life.handled(shipment(1, {"1": "1"})))
    assert desk.versions()[1:] == [(2, "OrderPaid"), (3, "OrderShipped")]
    desk.take(life.handled(shipment(1, {"1": "1", "3": "1"})))
    parked = desk.parked()
    assert parked is not None and len(parked.held) == 2
    desk.arrive(product("P9"))
    assert desk.versions()[3:] == [(4, "OrderChanged"), (5, "FulfilmentChanged")]


def test_refused_change_does_not_take_the_place_of_the_one_that_waits() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order(customer="C9")), life.ordered(changed(payable_amount=D(1))))
    desk.arrive(customer("C9"))
    assert desk.versions() == [(1, "OrderPlaced")]
    assert desk.refused_rules() == [["order.payable_total"]]


def test_a_correction_overtakes_what_waits() -> None:
    desk, life = Desk(), Life()
    late = desk.record(life.ordered(order(customer="LATE")))
    desk.take(late, life.settled(payment(1, "5")))
    assert desk.versions() == []
    desk.take(life.ordered(order()))
    assert desk.versions() == [(1, "OrderPlaced"), (2, "OrderPaid")]
    assert desk.parked() is None
    desk.take(late)
    desk.arrive(customer("LATE"))
    assert desk.versions() == [(1, "OrderPlaced"), (2, "OrderPaid")]


def test_the_same_facts_again_overtake_a_change_that_waits_and_outlive_it() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order()))
    late = desk.record(life.ordered(order(customer="LATE")))
    desk.take(late, life.ordered(order()))
    assert desk.parked() is None
    desk.arrive(customer("LATE"))
    desk.take(late)
    state = desk.state()
    assert state is not None and state.order is not None
    assert state.order.buyer_customer_party_id == "C1"


def test_a_wrong_correction_leaves_what_waits_in_its_place() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order(customer="LATE")), life.ordered(changed(payable_amount=D(1))))
    assert desk.refused_rules() == [["order.payable_total"]]
    desk.arrive(customer("LATE"))
    assert desk.versions() == [(1, "OrderPlaced")]


def test_an_order_deleted_while_it_waits_was_never_placed() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order(customer="LATE")), life.ordered(None))
    assert desk.parked() is None
    desk.arrive(customer("LATE"))
    assert desk.versions() == []


def test_an_order_deleted_while_it_and_its_payment_wait_is_placed_and_deleted_later() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order(customer="LATE")), life.settled(payment(1, "5")), life.ordered(None))
    assert desk.parked() is not None
    desk.arrive(customer("LATE"))
    assert [name for _, name in desk.versions()] == ["OrderPlaced", "OrderDeleted", "OrderPaid"]


def test_deadline_refuses_what_waits_and_nothing_else() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order()))
    waiting = desk.record(life.ordered(order(customer="NEVER")))
    desk.take(waiting, life.settled(payment(1, "5")))
    desk.now += PARKED_FOR - timedelta(microseconds=1)
    assert desk.expire().outputs == []
    desk.now += timedelta(microseconds=1)
    outcome = desk.expire()
    [rejection] = desk.rejections()
    assert [violation.rule for violation in rejection.violations] == ["parked.deadline"]
    assert "NEVER on master.customers" in rejection.violations[0].message
    assert_original(rejection, waiting)
    assert desk.versions() == [(1, "OrderPlaced"), (2, "OrderPaid")]
    assert desk.parked() is None and desk.awaited == {}
    assert outcome.outputs[-1].topic == PARKED and outcome.outputs[-1].value is None
    assert desk.expire().outputs == []


def test_deadline_of_a_payment_without_an_order_refuses_each_of_its_events() -> None:
    desk, life = Desk(), Life()
    desk.take(life.settled(payment(1, "5")), life.settled(payment(1, "6")), life.handled(shipment(1, {"1": "1"})))
    desk.now += PARKED_FOR
    desk.expire()
    assert desk.refused_rules() == [["parked.deadline"]] * 3
    assert (desk.places, desk.awaited, desk.states) == ({}, {}, {})


def test_deadline_counts_from_the_first_event_that_waits() -> None:
    desk, life = Desk(), Life()
    desk.take(life.settled(payment(1, "5")))
    first = desk.parked()
    desk.now += timedelta(minutes=30)
    desk.take(life.settled(payment(1, "6")))
    second = desk.parked()
    assert first is not None and second is not None
    assert (second.parked_at, second.deadline_at) == (first.parked_at, first.parked_at + PARKED_FOR)


def test_more_than_a_record_of_parked_can_hold_leaves_out_replaced_images() -> None:
    desk, life = Desk(), Life()
    events = [life.settled(*(invoice(n, "1") for n in range(500)), payment(1, str(number))) for number in range(30)]
    superseded = sum(desk.take(event).outcomes["superseded"] for event in events)
    parked = desk.parked()
    assert parked is not None
    assert superseded == 30 - len(parked.held) > 0
    assert sum(len(held.value or b"") for held in parked.held) <= 262_144
    assert parked.held[-1].value == codec_of(PAYMENTS_CAPTURED).encode(events[-1])
    desk.take(life.ordered(order()))
    state = desk.state()
    assert state is not None and state.settlement == events[-1].settlement


# -- isolation ----------------------------------------------------------------------------------------------------


def test_batch_that_is_dropped_leaves_the_store_as_it_was() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order()), life.handled(shipment(1, {"7": "1"})))
    states, parked, waiting = desk.states, desk.places, desk.awaited
    batch = [
        desk.record(event)
        for event in (life.settled(payment(1, "5")), life.ordered(order([Item("7", "P1", "1", "1")])))
    ]
    first = desk.processor.process(batch, desk.store, desk.now)
    assert (desk.states, desk.places, desk.awaited) == (states, parked, waiting)
    again = desk.processor.process(batch, desk.store, desk.now)
    assert again.outputs == first.outputs, "the same batch again is the same, to the byte"
    desk.now += PARKED_FOR
    desk.processor.expire(desk.store, desk.now)
    assert (desk.states, desk.places, desk.awaited) == (states, parked, waiting)


class _RegistryAway(InMemorySchemas):
    """Knows our schemas, and does not answer about others for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = True

    def schema_of(self, schema_id: int) -> dict[str, Any]:
        if self.is_away:
            raise Transient("the registry does not answer")
        return super().schema_of(schema_id)


def test_registry_that_is_away_stops_the_batch_and_nothing_has_changed() -> None:
    registry = _RegistryAway()
    processor = OrderProcessor(Codecs(registry), known_master(), ProcessingPolicy())
    desk = Desk()
    body = _sound(desk)[5:]
    schema = SCHEMAS.schema_of(int.from_bytes(_sound(desk)[1:5], "big"))
    known_id = registry.id_of("orders.captured-value", schema)
    older = dict(schema, doc="written by another version")
    foreign_id = registry.id_of("another", older)
    batch = [
        desk.raw(ORDERS_CAPTURED, frame(known_id) + body),
        desk.raw(ORDERS_CAPTURED, frame(foreign_id) + body),
    ]
    with pytest.raises(Transient):
        processor.process(batch, desk.store, desk.now)
    assert (desk.states, desk.places) == ({}, {})
    registry.is_away = False
    outcome = processor.process(batch, desk.store, desk.now)
    assert (outcome.outcomes["accepted"], outcome.outcomes["unchanged"]) == (1, 1)


def test_restart_from_the_written_topics_goes_on_where_it_was() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order(customer="C9")), life.settled(payment(1, "5")))
    desk.restart()
    assert desk.awaited[CUSTOMERS, "C9"] == {ORDER_ID}
    desk.arrive(customer("C9"))
    desk.restart()
    assert (desk.places, desk.awaited) == ({}, {})
    desk.take(life.handled(shipment(1, {"1": "1"})))
    assert [version for version, _ in desk.versions()] == [1, 2, 3]


def test_waiting_orders_are_released_longest_waiting_first() -> None:
    desk = Desk()
    names = ["crm:B", "crm:A", "crm:C"]
    for name in names:
        life = Life(order_id=OrderId(name))
        desk.take(life.ordered(order(customer="C9", order_id=life.order_id)))
        desk.now += timedelta(seconds=1)
    desk.arrive(customer("C9"))
    assert [event.state.order_id for event in desk.events()] == names


def assert_original(rejection: Rejection, record: CapturedRecord) -> None:
    """The dead letter tells all about the record that it was."""
    assert_same(rejection.original, record)
    assert (rejection.stage, rejection.code_version) == ("streams", "test")


def assert_same(original: OriginalMessage, record: CapturedRecord) -> None:
    """Every byte and coordinate of the record is there."""
    assert (original.topic, original.partition, original.offset) == (record.topic, PARTITION, record.offset)
    assert (original.key, original.value) == (record.key, record.value)
    assert original.timestamp_at == datetime(2027, 1, 15, 8, 0, 0, 123_000, tzinfo=UTC)
    assert [(header.key, header.value) for header in original.headers] == [("trace", b"\x00\xff")]


def test_dead_letters_keep_the_records_key() -> None:
    desk = Desk()
    desk.take(desk.raw(ORDERS_CAPTURED, b"junk", b"\xff\x00"), desk.raw(ORDERS_CAPTURED, b"junk", None))
    assert [output.key for output in desk.written if output.topic == REJECTED] == [b"\xff\x00", None]
    assert len({rejection.rejection_id for rejection in desk.rejections()}) == 2

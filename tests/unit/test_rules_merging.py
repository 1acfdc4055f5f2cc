"""Events of three owners arrive in any order, again and late: the order that comes out is always the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.models import CapturedEvent
from schemas.topics import CUSTOMERS
from streams.rules.facts import Section
from tests.unit.order_lives import Item, Life, customer, goods_return, invoice, order, payment, shipment
from tests.unit.order_scripts import Script, scripts
from tests.unit.processing_desk import Desk, balances, known_master, section_of

Owners = list[list[CapturedEvent]]
TWO = [Item("1", "P1", "3", "9.99"), Item("2", "P2", "10", "20.00")]
THREE = [*TWO, Item("3", "P2", "1", "5.00")]
UNSET = datetime(2026, 1, 1, tzinfo=UTC)


def _paid_and_shipped(life: Life) -> Owners:
    return [
        [life.ordered(order()), life.ordered(order(status="confirmed"))],
        [life.handled(shipment(1, {"1": "3"})), life.handled(shipment(1, {"1": "3"}), shipment(2, {"2": "10"}))],
        [life.settled(invoice(1, "273.66")), life.settled(invoice(1, "273.66"), payment(1, "273.66"))],
    ]


def _line_added_later(life: Life) -> Owners:
    return [
        [life.ordered(order(TWO)), life.ordered(order(THREE))],
        [life.handled(shipment(1, {"3": "1"})), life.handled(shipment(1, {"3": "1"}), goods_return(1, {"3": "1"}))],
        [life.settled(payment(1, "100"))],
    ]


def _cancelled_and_refunded(life: Life) -> Owners:
    return [
        [life.ordered(order()), life.ordered(order(status="cancelled"))],
        [life.handled(shipment(1, {"1": "1"})), life.handled(shipment(1, {"1": "1"}), goods_return(1, {"1": "1"}))],
        [life.settled(payment(1, "273.66")), life.settled(payment(1, "273.66"), payment(2, "273.66", kind="refund"))],
    ]


def _deleted(life: Life) -> Owners:
    return [
        [life.ordered(order()), life.ordered(order(note="second thoughts")), life.ordered(None)],
        [life.handled(shipment(1, {"1": "1"})), life.handled(deleted=True)],
        [life.settled(payment(1, "5"))],
    ]


def _deleted_and_placed_again(life: Life) -> Owners:
    return [
        [life.ordered(order()), life.ordered(None), life.ordered(order(note="again"))],
        [life.handled(shipment(1, {"2": "2"}))],
        [life.settled(payment(1, "5")), life.settled(deleted=True)],
    ]


def _cancelled_while_shipped_and_paid(life: Life) -> Owners:
    return [
        [life.ordered(order()), life.ordered(order(status="cancelled"))],
        [life.handled(shipment(1, {"1": "2"})), life.handled(shipment(1, {"1": "2"}), shipment(2, {"2": "11"}))],
        [life.settled(invoice(1, "273.67")), life.settled(invoice(1, "273.67"), payment(1, "300"))],
    ]


def _warned_of_by_each_owner(life: Life) -> Owners:
    late = order().model_copy(update={"requested_delivery_date": date(2026, 11, 1)})
    odd = payment(1, "5").model_copy(update={"payment_means_code": "cash"})
    return [
        [life.ordered(order()), life.ordered(late)],
        [life.handled(shipment(1, {}))],
        [life.settled(odd), life.settled(odd, invoice(1, "1000"))],
    ]


HISTORIES = [
    _paid_and_shipped,
    _line_added_later,
    _cancelled_and_refunded,
    _cancelled_while_shipped_and_paid,
    _warned_of_by_each_owner,
    _deleted,
    _deleted_and_placed_again,
]


def interleavings(owners: Sequence[Sequence[CapturedEvent]]) -> Iterator[list[CapturedEvent]]:
    """Every order of all events that keeps each owner's own."""
    if not any(owners):
        yield []
    for number, events in enumerate(owners):
        if events:
            rest = [*owners[:number], events[1:], *owners[number + 1 :]]
            for following in interleavings(rest):
                yield [events[0], *following]


def outcome_of(desk: Desk) -> object:
    """What must not depend on the order of arrival: facts, statuses, warnings, positions and the ledger's sums."""
    state = desk.state()
    assert state is not None
    assert desk.rejections() == []
    assert desk.parked() is None
    assert [version for version, _ in desk.versions()] == list(range(1, state.version + 1))
    path = {"version": 0, "event_id": "", "placed_at": UNSET, "committed_at": UNSET, "processed_at": UNSET}
    sums = [balances(desk.entries(), functional=functional) for functional in (False, True)]
    return state.model_copy(update=path), sums


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__.strip("_"))
def test_every_interleaving_of_owners_gives_the_same_order(history) -> None:  # type: ignore[no-untyped-def]
    outcomes = []
    for events in interleavings(history(Life())):
        desk = Desk()
        for event in events:
            desk.take(event)
        outcomes.append(outcome_of(desk))
    assert len(outcomes) >= 12
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize(
    "history",
    [_line_added_later, _cancelled_while_shipped_and_paid, _warned_of_by_each_owner],
    ids=lambda one: one.__name__,
)
def test_every_permutation_gives_the_same_order_where_older_images_come_last(history) -> None:  # type: ignore[no-untyped-def]
    events = [event for owner in history(Life()) for event in owner][:6]
    outcomes = []
    for permuted in permutations(events):
        desk = Desk()
        desk.take(*permuted)
        outcomes.append(outcome_of(desk))
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__.strip("_"))
def test_master_data_that_comes_last_changes_nothing(history) -> None:  # type: ignore[no-untyped-def]
    whole, late = Desk(), Desk(master=known_master(with_customer=False))
    events = [event for owner in history(Life()) for event in owner]
    whole.take(*events)
    for event in reversed(history(Life())):
        late.take(*event)
    assert late.state() is None and late.parked() is not None
    late.arrive(customer())
    assert outcome_of(late) == outcome_of(whole)


@settings(max_examples=60, deadline=None)
@given(scripts(longest=8), st.randoms(use_true_random=False))
def test_any_longer_history_in_any_order_with_redeliveries_gives_the_same_order(script: Script, chance) -> None:  # type: ignore[no-untyped-def]
    straight, mixed = Desk(), Desk()
    straight.take(*script.events)
    owners = [[event for event in script.events if section_of(event) is section] for section in Section]
    seen: list[CapturedEvent] = []
    while any(owners):
        event = chance.choice([owner for owner in owners if owner]).pop(0)
        seen.append(event)
        mixed.take(event, *chance.choices(seen, k=2))
    mixed.take(*seen)
    assert outcome_of(mixed) == outcome_of(straight)
    assert len(mixed.versions()) <= len(script.events), "what comes again makes no version"


@settings(max_examples=40, deadline=None)
@given(scripts(longest=5))
def test_any_event_again_at_any_later_point_changes_nothing(script: Script) -> None:
    desk = Desk()
    for number, event in enumerate(script.events, 1):
        desk.take(event)
        before, written = desk.states, len(desk.written)
        assert desk.take(*script.events[:number]).outputs == []
        assert (desk.states, len(desk.written)) == (before, written)


def warned(desk: Desk) -> list[str]:
    state = desk.state()
    assert state is not None
    return [warning.rule for warning in state.warnings]


def test_cancellation_that_crosses_a_shipment_and_a_payment_warns_until_all_is_taken_back() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.settled(invoice(1, "119"), payment(1, "119")))
    desk.take(life.ordered(order(status="cancelled")), life.handled(shipment(1, {"1": "1"})))
    assert warned(desk) == [
        "lifecycle.cancelled_but_shipped",
        "lifecycle.cancelled_but_billed",
        "lifecycle.cancelled_but_paid",
    ]
    desk.take(life.handled(shipment(1, {"1": "1"}), goods_return(1, {"1": "1"})))
    credit, refund = invoice(2, "119", code="381"), payment(2, "119", kind="refund")
    desk.take(life.settled(invoice(1, "119"), payment(1, "119"), credit, refund))
    assert warned(desk) == []
    assert desk.rejections() == []


def test_return_without_its_shipment_is_refused_and_the_whole_image_counts() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.handled(goods_return(1, {"1": "1"})))
    assert desk.refused_rules() == [["fulfilment.returned_quantity"]]
    desk.take(life.handled(shipment(1, {"1": "1"}), goods_return(1, {"1": "1"})))
    state = desk.state()
    assert state is not None and state.fulfilment_status == "returned"


def test_removed_line_whose_shipment_came_first_is_warned_of_and_otherwise_waited_for() -> None:
    one_line, sent = order([TWO[1]]), shipment(1, {"1": "1"})
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.handled(sent), life.ordered(one_line))
    assert warned(desk) == ["lifecycle.shipped_line_removed"]
    desk.take(life.handled(sent, goods_return(1, {"1": "1"})))
    assert warned(desk) == []
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.ordered(one_line), life.handled(sent))
    assert desk.parked() is not None and desk.rejections() == []
    desk.take(life.ordered(order(note="put back")))
    state = desk.state()
    assert desk.parked() is None and state is not None and state.fulfilment is not None


@pytest.mark.parametrize(
    ("paid_first", "refused"), [(True, "lifecycle.currency_fixed"), (False, "settlement.currency")]
)
def test_of_a_changed_currency_and_a_payment_the_first_counts(paid_first: bool, refused: str) -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()))
    paid, changed = life.settled(payment(1, "5")), life.ordered(order(currency="USD"))
    desk.take(*((paid, changed) if paid_first else (changed, paid)))
    assert desk.refused_rules() == [[refused]]


def test_older_image_that_comes_again_does_not_replace_the_newer_one_that_waits() -> None:
    life, desk = Life(), Desk()
    first, second = life.ordered(order(customer="LATE")), life.ordered(order(customer="LATE", note="newer"))
    desk.take(first, second)
    desk.take(first)
    parked = desk.parked()
    assert parked is not None and len(parked.held) == 2
    desk.arrive(customer("LATE"))
    state = desk.state()
    assert state is not None and state.order is not None
    assert (state.version, state.order.note) == (2, "newer")


def test_snapshot_taken_again_at_a_later_position_makes_no_version() -> None:
    life, desk = Life(), Desk()
    desk.take(
        life.ordered(order()), life.settled(payment(1, "5")), life.ordered(order()), life.settled(payment(1, "5"))
    )
    assert desk.versions() == [(1, "OrderPlaced"), (2, "OrderPaid")]
    desk.take(life.ordered(None), life.ordered(None), life.ordered(order()))
    assert desk.versions()[2:] == [(3, "OrderDeleted"), (4, "OrderChanged")]


def test_deletion_needs_no_master_data_and_one_of_an_unknown_order_has_no_effect() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(None))
    assert desk.written == [] and desk.places == {}
    desk.take(life.ordered(order()))
    desk.master.remove(CUSTOMERS, "C1")
    desk.take(life.ordered(None))
    state = desk.state()
    assert state is not None and state.order_status == "deleted"
    assert state.order is not None and state.order.payable_amount == Decimal("273.66"), "the last facts stay"
    assert state.enrichment is not None


@pytest.mark.parametrize(
    ("events", "types"),
    [
        (
            lambda life: [
                life.ordered(order(status=status)) for status in ("placed", "confirmed", "completed", "cancelled")
            ],
            ["OrderPlaced", "OrderConfirmed", "OrderCompleted", "OrderCancelled"],
        ),
        (
            lambda life: [
                life.ordered(order()),
                life.handled(shipment(1, {"1": "2"})),
                life.handled(shipment(1, {"1": "3"})),
                life.handled(shipment(1, {"1": "3"}), goods_return(1, {"1": "1"})),
                life.handled(deleted=True),
            ],
            ["OrderPlaced", "OrderShipped", "FulfilmentChanged", "OrderReturned", "FulfilmentDeleted"],
        ),
        (
            lambda life: [
                life.ordered(order()),
                life.settled(invoice(1, "119")),
                life.settled(invoice(1, "119"), payment(1, "119")),
                life.settled(invoice(1, "119"), payment(1, "119"), invoice(2, "119", code="381")),
                life.settled(
                    invoice(1, "119"),
                    payment(1, "119"),
                    invoice(2, "119", code="381"),
                    payment(2, "119", kind="refund"),
                ),
                life.settled(invoice(1, "119"), payment(1, "119"), payment(2, "118", kind="refund")),
                life.settled(deleted=True),
            ],
            [
                "OrderPlaced",
                "OrderBilled",
                "OrderPaid",
                "OrderCredited",
                "OrderRefunded",
                "SettlementChanged",
                "SettlementDeleted",
            ],
        ),
    ],
)
def test_events_are_named_by_what_happened(events, types: list[str]) -> None:  # type: ignore[no-untyped-def]
    desk = Desk()
    desk.take(*events(Life()))
    assert [name for _, name in desk.versions()] == types


@pytest.mark.parametrize(
    ("goods", "status"),
    [
        ([], "unfulfilled"),
        ([shipment(1, {"1": "3", "2": "9"})], "partially_fulfilled"),
        ([shipment(1, {"1": "3", "2": "10"})], "fulfilled"),
        ([shipment(1, {"1": "3", "2": "10"}), goods_return(1, {"1": "3"})], "fulfilled"),
        ([shipment(1, {"1": "3"}), goods_return(1, {"1": "3"})], "returned"),
    ],
)
def test_fulfilment_status(goods, status: str) -> None:  # type: ignore[no-untyped-def]
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.handled(*goods))
    state = desk.state()
    assert state is not None and state.fulfilment_status == status


# 273.66 are owed
@pytest.mark.parametrize(
    ("papers", "billing", "paying"),
    [
        ([], "unbilled", "unpaid"),
        ([invoice(1, "273.65"), payment(1, "273.65")], "partially_billed", "partially_paid"),
        ([invoice(1, "273.66"), payment(1, "273.66")], "billed", "paid"),
        ([payment(1, "273.67")], "unbilled", "overpaid"),
        ([invoice(1, "273.66"), invoice(2, "73.66", code="381"), payment(1, "200")], "billed", "paid"),
        ([invoice(1, "273.66"), invoice(2, "273.66", code="381"), payment(1, "1")], "credited", "overpaid"),
        (
            [invoice(1, "300"), invoice(2, "300", code="381"), invoice(3, "273.66"), payment(1, "273.66")],
            "billed",
            "paid",
        ),
        ([payment(1, "273.66"), payment(2, "273.66", kind="refund")], "unbilled", "refunded"),
        ([payment(1, "273.66"), payment(2, "3.66", kind="refund")], "unbilled", "partially_paid"),
    ],
)
def test_billing_and_payment_status(papers, billing: str, paying: str) -> None:  # type: ignore[no-untyped-def]
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.settled(*papers))
    state = desk.state()
    assert state is not None and (state.billing_status, state.payment_status) == (billing, paying)

"""Each vendor hears of its own lines, of what changed of them, and of nothing else."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.vendors.views import updates_of
from schemas.attributes import VendorId
from schemas.models import VendorUpdate
from tests.unit.vendor_lives import ACME, BOLT, line, shipment, told_of, version

TWO = [line(1, ACME), line(2, BOLT)]


def shape(updates: list[VendorUpdate]) -> list[tuple[str, str, dict[str, str]]]:
    return [(one.vendor_id, one.update_type, {each.line_id: each.line_status for each in one.lines}) for one in updates]


def test_each_vendor_hears_of_its_own_lines_only() -> None:
    told = told_of(version(1, [line(1, ACME), line(2, BOLT), line(3, None)]))
    assert shape(told) == [(ACME, "confirmation", {"1": "added"}), (BOLT, "confirmation", {"2": "added"})]


def test_what_a_vendor_cannot_see_is_no_news() -> None:
    paid = version(2, TWO, payment_status="paid", facts={"payable_amount": Decimal(1), "note": "for Christmas"})
    dearer = version(3, [line(1, ACME, price_amount=Decimal(9)), line(2, BOLT)])
    assert told_of(version(1, TWO), paid, dearer) == told_of(version(1, TWO))


def test_a_change_of_one_vendors_line_is_told_to_that_vendor() -> None:
    told = told_of(version(1, TWO), version(2, [line(1, ACME, 7), line(2, BOLT), line(3, ACME)]))
    assert shape(told[2:]) == [(ACME, "change", {"1": "changed", "3": "added"})]
    assert [one.sequence for one in told] == [1, 1, 2]


def test_a_removed_line_is_told_as_cancelled_once() -> None:
    both = [line(1, ACME), line(2, ACME)]
    told = told_of(version(1, both), version(2, both[:1]), version(3, both[:1]), version(4, [line(1, ACME, 8)]))
    assert shape(told[1:]) == [
        (ACME, "change", {"1": "unchanged", "2": "cancelled"}),
        (ACME, "change", {"1": "changed"}),
    ]


def test_who_loses_the_last_line_hears_a_cancellation_and_the_next_a_confirmation() -> None:
    told = told_of(version(1, [line(1, ACME)]), version(2, [line(1, BOLT)]), version(3, [line(1, BOLT, 6)]))
    assert shape(told[1:]) == [
        (ACME, "cancellation", {"1": "cancelled"}),
        (BOLT, "confirmation", {"1": "added"}),
        (BOLT, "change", {"1": "changed"}),
    ]


def test_a_line_that_went_to_another_vendor_is_not_seen_any_more() -> None:
    moved = [line(1, ACME), line(2, BOLT)]
    told = told_of(
        version(1, [line(1, ACME), line(2, ACME)]), version(2, moved), version(3, moved, [shipment(1, (2, 5))])
    )
    assert shape(told[3:]) == [(BOLT, "shipment", {"2": "unchanged"})]


def test_cancelled_orders_are_told_to_those_who_knew_them() -> None:
    for over in ("cancelled", "deleted"):
        told = told_of(version(1, TWO), version(2, TWO, status=over), version(3, TWO, status=over, version=3))
        assert [(one.vendor_id, one.update_type) for one in told[2:]] == [
            (ACME, "cancellation"),
            (BOLT, "cancellation"),
        ]
    assert told_of(version(1, TWO, status="cancelled")) == []


def test_an_order_that_is_taken_up_again_is_confirmed_again() -> None:
    told = told_of(version(1, TWO[:1]), version(2, TWO[:1], status="cancelled"), version(3, TWO[:1]))
    assert [(one.update_type, one.sequence) for one in told] == [
        ("confirmation", 1),
        ("cancellation", 2),
        ("confirmation", 3),
    ]


def test_a_shipment_shows_the_vendors_own_lines_of_it() -> None:
    parcel = shipment(1, (1, 2), (2, 5))
    told = told_of(version(1, TWO), version(2, TWO, [parcel]))
    assert [(one.vendor_id, one.update_type, one.shipment_id) for one in told[2:]] == [
        (ACME, "shipment", "S1"),
        (BOLT, "shipment", "S1"),
    ]
    assert [[each.line_id for each in one.shipments[0].lines] for one in told[2:]] == [["1"], ["2"]]
    assert told[2].lines[0].shipped_quantity == 2


def test_a_shipment_of_others_is_no_news() -> None:
    assert len(told_of(version(1, TWO), version(2, TWO, [shipment(1, (2, 5))]))) == 3


def test_a_changed_shipment_replaces_what_was_told() -> None:
    first, second = shipment(1, (1, 2)), shipment(2, (1, 3))
    told = told_of(
        version(1, TWO[:1], [first]),
        version(2, TWO[:1], [shipment(1, (1, 1)), second]),
        version(3, TWO[:1], [second]),
    )
    assert [(one.update_type, one.shipment_id, one.replaces_shipment) for one in told] == [
        ("confirmation", None, False),
        ("shipment", "S1", False),
        ("shipment", "S1", True),
        ("shipment", "S2", False),
        ("change", None, False),
    ]


def test_goods_that_left_before_the_cancellation_are_still_told() -> None:
    told = told_of(
        version(1, TWO[:1]),
        version(2, TWO[:1], status="cancelled"),
        version(3, TWO[:1], [shipment(1, (1, 5))], status="cancelled"),
    )
    assert shape(told[1:]) == [(ACME, "cancellation", {"1": "cancelled"}), (ACME, "shipment", {"1": "cancelled"})]


def test_a_line_that_was_shipped_and_removed_is_told_once() -> None:
    parcel, both = [shipment(1, (2, 5))], [line(1, ACME), line(2, ACME)]
    told = told_of(
        version(1, both, parcel),
        *(version(number, [line(1, ACME, number)], parcel) for number in (2, 3, 4)),
        version(5, [line(1, ACME, 4)], parcel),
    )
    assert [one.update_type for one in told] == ["confirmation", "shipment", "change", "change", "change"]


def test_old_versions_are_told_never_again() -> None:
    events = [version(1, TWO), version(2, [line(1, ACME, 7), line(2, BOLT)]), version(3, TWO[:1])]
    last = {one.vendor_id: one for one in told_of(*events)}
    assert [update for event in events for update in updates_of(event, last)] == []


def test_an_order_without_facts_tells_nothing() -> None:
    assert told_of(version(1, TWO, enrichment=None)) == []
    assert told_of(version(1, TWO, order=None)) == []


LINES = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([ACME, BOLT, None]), st.integers(1, 3)), unique_by=lambda one: one[0]
)
SHIPMENTS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 2)), unique_by=lambda one: one[0], max_size=3
)


Lives = list[tuple[list[tuple[int, VendorId | None, int]], list[tuple[int, int, int]], str]]


@settings(deadline=None)
@given(st.lists(st.tuples(LINES, SHIPMENTS, st.sampled_from(["placed", "confirmed", "cancelled"])), max_size=8))
def test_whatever_happens_the_latest_update_is_the_truth(lives: Lives) -> None:
    events = [
        version(
            number,
            [line(*each) for each in lines],
            [shipment(parcel, (line_id, quantity)) for parcel, line_id, quantity in shipments],
            status=status,
        )
        for number, (lines, shipments, status) in enumerate(lives, 1)
    ]
    told = told_of(*events)
    assert len({one.update_id for one in told}) == len(told)
    for vendor in (ACME, BOLT):
        own = [one for one in told if one.vendor_id == vendor]
        assert [one.sequence for one in own] == list(range(1, len(own) + 1))
        for one in own:
            event = events[one.order_version - 1]
            assert event.state.order is not None and event.state.enrichment is not None
            owners = {each.line_id: each.vendor_id for each in event.state.enrichment.lines}
            shown = {each.line_id for each in one.lines if each.line_status != "cancelled"}
            over = event.state.order_status == "cancelled"
            assert shown == (set() if over else {each for each, owner in owners.items() if owner == vendor})
            seen = {each.line_id for parcel in one.shipments for each in parcel.lines}
            assert all(owners.get(each) in (None, vendor) for each in seen)
        if own and events:
            state = events[-1].state
            assert state.order is not None and state.enrichment is not None
            now = {each.line_id for each in state.enrichment.lines if each.vendor_id == vendor}
            live = {each.line_id for each in own[-1].lines if each.line_status != "cancelled"}
            assert live == (now if state.order_status != "cancelled" else set())


def test_what_a_vendor_dispatched_itself_is_no_news_to_it_and_what_inventory_did_is() -> None:
    own, theirs = shipment(1, (1, 2), vendor_id=ACME), shipment(2, (2, 5))
    told = told_of(version(1, TWO), version(2, TWO, [own]), version(3, TWO, [own, theirs]), version(4, TWO, [theirs]))
    assert shape(told[2:]) == [(BOLT, "shipment", {"2": "unchanged"})]

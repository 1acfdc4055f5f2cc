"""What vendors answer: in any order and twice the same state, and no word about lines of others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.attributes import EventId, VendorId
from schemas.fulfilment_parts import of_inventory
from schemas.models import ConfirmedLine, Fulfilment, VendorAnswer
from schemas.topics import PRODUCTS
from streams.rules.answers import is_news, newest, with_answer, with_inventory
from tests.unit.order_lives import (
    BEGIN,
    ORDER_ID,
    Item,
    Life,
    accepted,
    confirmation,
    despatch,
    goods_return,
    order,
    payment,
    product,
    shipment,
)
from tests.unit.processing_desk import Desk
from tests.unit.rule_cases import RuleCase, assert_row

D = Decimal
INVENTORY = Fulfilment(order_id=ORDER_ID, shipments=[shipment(1, {"9": "1"})])


def _told(*answers: VendorAnswer, fulfilment: Fulfilment | None = None) -> Fulfilment:
    for answer in answers:
        fulfilment = with_answer(fulfilment, answer, ORDER_ID)
    assert fulfilment is not None
    return fulfilment


def _words(fulfilment: Fulfilment) -> dict[str, str]:
    return {line.line_id: answer.message_id for answer in fulfilment.vendor_answers for line in answer.lines}


def _shipped(fulfilment: Fulfilment) -> dict[str, Decimal]:
    return {shipment.shipment_id: sum(line.quantity for line in shipment.lines) for shipment in fulfilment.shipments}


FIRST, SECOND = confirmation(1, accepted("1"), accepted("2")), confirmation(2, accepted("2", "5", "changed"))
SENT, CORRECTED = despatch(3, {"1": "2"}, despatch_id="D1"), despatch(4, {"1": "1"}, despatch_id="D1")
BACK = despatch(5, {}, despatch_id="D1", withdrawn=True)
OTHERS = SENT.model_copy(update={"vendor_id": VendorId("V2")})
SAME_MOMENT = confirmation(10, accepted("1")).model_copy(update={"issued_at": FIRST.issued_at, "message_id": "M10"})

MERGES: list[tuple[str, list[VendorAnswer], dict[str, str], dict[str, Decimal]]] = [
    ("one message", [FIRST], {"1": "M1", "2": "M1"}, {}),
    ("twice", [FIRST, FIRST], {"1": "M1", "2": "M1"}, {}),
    ("a later one of one line", [FIRST, SECOND], {"1": "M1", "2": "M2"}, {}),
    ("of one moment the greater number", [FIRST, SAME_MOMENT], {"1": "M10", "2": "M1"}, {}),
    ("a dispatch", [SENT], {}, {"V1/D1": D(2)}),
    ("a corrected dispatch", [SENT, CORRECTED], {}, {"V1/D1": D(1)}),
    ("a dispatch taken back", [SENT, CORRECTED, BACK], {}, {}),
    ("two vendors with one number", [SENT, OTHERS], {}, {"V1/D1": D(2), "V2/D1": D(2)}),
    ("all kinds", [FIRST, SECOND, SENT, OTHERS], {"1": "M1", "2": "M2"}, {"V1/D1": D(2), "V2/D1": D(2)}),
]


@pytest.mark.parametrize(("answers", "words", "shipped"), [row[1:] for row in MERGES], ids=[row[0] for row in MERGES])
def test_the_newest_word_counts_whatever_came_first(answers, words, shipped) -> None:  # type: ignore[no-untyped-def]
    for permuted in permutations(answers):
        fulfilment = _told(*permuted)
        assert (_words(fulfilment), _shipped(fulfilment)) == (words, shipped)
        assert not any(is_news(answer, fulfilment) for answer in answers)


def test_what_a_vendor_says_and_inventorys_image_stand_beside_each_other() -> None:
    later = Fulfilment(order_id=ORDER_ID, shipments=[shipment(1, {"9": "1"})], returns=[goods_return(1, {"9": "1"})])
    after = with_inventory(later, _told(SENT, fulfilment=INVENTORY))
    assert after == _told(SENT, fulfilment=later)
    assert after is not None and of_inventory(after) == later
    gone = with_inventory(None, after)
    assert gone is not None and _shipped(gone) == {"V1/D1": D(2)} and of_inventory(gone) is None


vendors = st.sampled_from(["V1", "V2"]).map(VendorId)
line_ids = st.sampled_from("123")
words = st.builds(accepted, line_ids, st.sampled_from([None, "1", "2"]), st.sampled_from(["accepted", "changed"]))
confirmations = st.lists(words, min_size=1, max_size=3, unique_by=lambda one: one.line_id).map(
    lambda lines: confirmation(1, *lines)
)
dispatches = st.builds(
    lambda number, line_id, gone: despatch(1, {} if gone else {line_id: "1"}, despatch_id=number, withdrawn=gone),
    st.sampled_from(["D1", "D2"]),
    line_ids,
    st.booleans(),
)


@st.composite
def messages(draw: st.DrawFn) -> list[VendorAnswer]:
    """Messages of two vendors at few moments, each with a number of its own."""
    found = draw(st.lists(st.one_of(confirmations, dispatches), min_size=1, max_size=8))
    return [
        one.model_copy(
            update={
                "message_id": f"{number}",
                "vendor_id": draw(vendors),
                "issued_at": BEGIN + timedelta(minutes=draw(st.integers(0, 3))),
            }
        )
        for number, one in enumerate(found, 1)
    ]


@settings(max_examples=300, deadline=None)
@given(messages(), st.randoms(use_true_random=False))
def test_any_order_of_arrival_and_doubling_gives_the_same_fulfilment(sent, chance) -> None:  # type: ignore[no-untyped-def]
    straight = _told(*sent, fulfilment=INVENTORY)
    mixed = [*sent, *chance.choices(sent, k=3)]
    chance.shuffle(mixed)
    assert _told(*mixed, fulfilment=INVENTORY) == straight
    # What is kept is enough: nothing of what was dropped would change it.
    assert newest([*straight.vendor_answers, *sent]) == straight.vendor_answers
    # Inventory's image may come at any place among the messages.
    cut = chance.randrange(len(mixed) + 1)
    before = _told(*mixed[:cut]) if cut else None
    between = with_inventory(INVENTORY, before)
    assert _told(*mixed[cut:], fulfilment=between) if cut < len(mixed) else between == straight


@settings(max_examples=100, deadline=None)
@given(messages())
def test_an_older_message_never_takes_back_a_newer_word(sent: list[VendorAnswer]) -> None:
    fulfilment = _told(*sent)
    for answer in fulfilment.vendor_answers:
        older = answer.model_copy(update={"issued_at": BEGIN - timedelta(days=1), "message_id": "old"})
        assert not is_news(older, fulfilment)


def _v2_supplies(product_id: str) -> Callable[[Desk], None]:
    def prepare(desk: Desk) -> None:
        desk.master.put(PRODUCTS, product(product_id).model_copy(update={"vendor_id": VendorId("V2")}))

    return prepare


def _after_order(*answers: VendorAnswer, status: str = "placed"):  # type: ignore[no-untyped-def]
    def story(life: Life):  # type: ignore[no-untyped-def]
        first = [life.ordered(order(status=status))]
        return first + [life.answered(answer) for answer in answers]

    return story


def _as(answer: VendorAnswer, **changed: object) -> VendorAnswer:
    return answer.model_copy(update=changed)


def _shipped_on(answer: VendorAnswer, days: int) -> VendorAnswer:
    assert answer.despatch is not None
    later = answer.despatch.model_copy(update={"shipped_at": BEGIN + timedelta(days=days)})
    return answer.model_copy(update={"despatch": later})


LINE = accepted("1")
SOUND = _after_order(confirmation(1, LINE))
SOUND_DESPATCH = _after_order(despatch(1, {"1": "3", "2": "10"}))
REASONED = despatch(1, {"1": "1"}).model_copy(update={"reason": "left the day before"})
MANY = [despatch(number, {"2": "0.01"}) for number in range(1, 202)]

CASES = [
    RuleCase(
        "answer.identity",
        "one vendor in another's name",
        lambda life: [life.ordered(order()), life.answered(confirmation(1, LINE), system="vendor.V2")],
        SOUND,
    ),
    RuleCase("answer.identity", "no message", lambda life: [life.ordered(order()), life.answered(None)], SOUND),
    RuleCase("answer.type_known", "neither", _after_order(_as(confirmation(1, LINE), answer_type="invoice")), SOUND),
    RuleCase("answer.type_known", "no lines", _after_order(confirmation(1)), SOUND),
    RuleCase("answer.type_known", "no dispatch", _after_order(_as(SENT, despatch=None, lines=[LINE])), SOUND_DESPATCH),
    RuleCase("answer.type_known", "lines beside", _after_order(_as(SENT, lines=[LINE])), SOUND_DESPATCH),
    RuleCase("answer.lines_present", "nothing left", _after_order(despatch(1, {})), _after_order(SENT, BACK)),
    RuleCase("answer.line_ids_unique", "twice", _after_order(confirmation(1, LINE, LINE)), SOUND),
    RuleCase("answer.vendor_lines", "no such line", _after_order(confirmation(1, accepted("7"))), SOUND),
    RuleCase(
        "answer.vendor_lines",
        "another's line dispatched",
        _after_order(despatch(1, {"1": "1", "2": "1"})),
        _after_order(despatch(1, {"1": "1"})),
        prepare=_v2_supplies("P2"),
    ),
    RuleCase(
        "answer.vendor_lines",
        "another's line confirmed",
        _after_order(confirmation(1, accepted("2"))),
        SOUND,
        prepare=_v2_supplies("P2"),
    ),
    RuleCase("answer.line_status", "unknown", _after_order(confirmation(1, accepted("1", status="maybe"))), SOUND),
    RuleCase(
        "answer.line_status",
        "changed to nothing",
        _after_order(confirmation(1, accepted("1", status="changed"))),
        _after_order(confirmation(1, accepted("1", "2", status="changed"))),
    ),
    RuleCase(
        "answer.quantity",
        "nothing accepted",
        _after_order(confirmation(1, accepted("1", "0"))),
        _after_order(confirmation(1, accepted("1", "0", "rejected"))),
    ),
    RuleCase("answer.quantity", "nothing dispatched", _after_order(despatch(1, {"1": "0"})), SOUND_DESPATCH),
    RuleCase("answer.quantity", "less than nothing", _after_order(despatch(1, {"1": "-1"})), SOUND_DESPATCH),
    RuleCase(
        "answer.confirmed_quantity",
        "more than ordered",
        _after_order(confirmation(1, accepted("1", "3.5"))),
        _after_order(confirmation(1, accepted("1", "3"))),
    ),
    RuleCase("answer.shipped_quantity", "at once", _after_order(despatch(1, {"1": "4"})), SOUND_DESPATCH),
    RuleCase(
        "answer.shipped_quantity",
        "in parts",
        _after_order(despatch(1, {"1": "2"}), despatch(2, {"1": "2"})),
        _after_order(despatch(1, {"1": "2"}), despatch(2, {"1": "1"})),
    ),
    RuleCase(
        "answer.warehouse_line",
        "inventory ships the line",
        lambda life: [life.ordered(order()), life.handled(shipment(1, {"1": "1"})), life.answered(SENT)],
        lambda life: [life.ordered(order()), life.handled(shipment(1, {"2": "1"})), life.answered(SENT)],
    ),
    RuleCase(
        "answer.after_cancellation",
        "dispatched",
        _after_order(despatch(1, {"1": "1"}), status="cancelled"),
        _after_order(REASONED, status="cancelled"),
    ),
    RuleCase(
        "answer.after_cancellation",
        "accepted",
        _after_order(confirmation(1, LINE), status="cancelled"),
        _after_order(confirmation(1, accepted("1", status="rejected")), status="cancelled"),
    ),
    RuleCase(
        "answer.after_cancellation",
        "deleted",
        lambda life: [life.ordered(order()), life.ordered(None), life.answered(SENT)],
        lambda life: [life.ordered(order()), life.ordered(None), life.answered(REASONED)],
    ),
    RuleCase(
        "answer.despatched_in_future",
        "in two days",
        _after_order(_shipped_on(SENT, 2)),
        _after_order(_shipped_on(SENT, 1)),
    ),
    RuleCase("answer.most_kept", "201", _after_order(*MANY), _after_order(*MANY[:200])),
    RuleCase(
        "fulfilment.shipped_by_both",
        "the vendor first",
        lambda life: [life.ordered(order()), life.answered(SENT), life.handled(shipment(1, {"1": "1"}))],
        lambda life: [life.ordered(order()), life.answered(SENT), life.handled(shipment(1, {"2": "1"}))],
    ),
    RuleCase(
        "answer.rejected_line", "rejected", _after_order(confirmation(1, accepted("1", status="rejected"))), SOUND
    ),
    RuleCase("answer.rejected_line", "less", _after_order(confirmation(1, accepted("1", "2", "changed"))), SOUND),
    RuleCase(
        "fulfilment.own_part",
        "in a vendor's name",
        lambda life: [
            life.ordered(order()),
            life.handled(shipment(1, {"1": "1"}).model_copy(update={"vendor_id": VendorId("V1")})),
        ],
        lambda life: [life.ordered(order()), life.handled(shipment(1, {"1": "1"}))],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_row(case: RuleCase) -> None:
    assert_row(case)


def test_answers_make_versions_and_the_order_follows() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order()), life.answered(confirmation(1, LINE)), life.answered(despatch(2, {"1": "3"})))
    state = desk.state()
    assert state is not None and state.fulfilment_status == "partially_fulfilled"
    desk.take(life.answered(despatch(3, {"2": "10"})), life.answered(despatch(3, {"2": "10"})))
    state = desk.state()
    assert state is not None and state.fulfilment_status == "fulfilled"
    assert [event_type for _, event_type in desk.versions()] == [
        "OrderPlaced",
        "VendorConfirmed",
        "OrderShipped",
        "OrderShipped",
    ]
    assert state.fulfilment_source is None, "inventory said nothing"
    assert desk.entries(), "what left is earned"


def test_messages_before_their_order_wait_for_it_and_none_replaces_another() -> None:
    desk, life = Desk(), Life()
    sent, more = life.answered(despatch(1, {"1": "1"})), life.answered(despatch(2, {"1": "2"}))
    desk.take(more, sent, more)
    parked = desk.parked()
    assert parked is not None and len(parked.held) == 2
    desk.take(life.ordered(order()))
    state = desk.state()
    assert state is not None and state.fulfilment is not None and desk.parked() is None
    assert set(_shipped(state.fulfilment)) == {"V1/D1", "V1/D2"}


def test_a_vendor_cannot_fill_the_topic_of_what_waits() -> None:
    desk, life = Desk(), Life()
    long = ConfirmedLine(line_id="1", line_status="rejected", reason="x" * 60_000)
    for number in range(1, 12):
        desk.take(life.answered(confirmation(number, long)))
    parked = desk.parked()
    assert parked is not None
    assert sum(len(one.value or b"") for one in parked.held) <= 262_144
    assert {rule for rules in desk.refused_rules() for rule in rules} == {"parked.too_much"}


def test_every_interleaving_with_inventory_and_finance_gives_the_same_order() -> None:
    life = Life()
    events = [
        life.ordered(order()),
        life.handled(shipment(1, {"2": "4"})),
        life.settled(payment(1, "50")),
        life.answered(confirmation(1, LINE)),
        life.answered(despatch(2, {"1": "1"})),
        life.answered(despatch(3, {"1": "2"}, despatch_id="D2")),
    ]
    outcomes = []
    for permuted in permutations(events):
        desk = Desk()
        desk.take(*permuted)
        state = desk.state()
        assert state is not None and desk.rejections() == [] and desk.parked() is None
        path = {"version": 0, "event_id": EventId(""), "placed_at": BEGIN, "committed_at": BEGIN, "processed_at": BEGIN}
        outcomes.append(state.model_copy(update=path))
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_inventorys_image_that_says_the_same_again_makes_no_version_beside_a_vendors() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order()), life.handled(shipment(1, {"2": "4"})), life.answered(SENT))
    before = len(desk.versions())
    desk.take(life.handled(shipment(1, {"2": "4"})))
    assert len(desk.versions()) == before
    desk.take(life.handled(deleted=True))
    state = desk.state()
    assert state is not None and state.fulfilment is not None and set(_shipped(state.fulfilment)) == {"V1/D1"}


def test_a_line_that_is_gone_can_still_be_corrected() -> None:
    desk, life = Desk(), Life()
    desk.take(life.ordered(order()), life.answered(SENT), life.ordered(order([Item("2", "P2", "10", "20.00")])))
    desk.take(life.answered(BACK))
    state = desk.state()
    assert desk.rejections() == [] and state is not None and state.fulfilment is not None
    assert state.fulfilment.shipments == []

"""Comparing one order: each kind of difference is named, and what is the same in another form is none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.reconcile.attributes import Elements, digest_of, model_attributes, put, text_of
from consumers.reconcile.comparison import OrderContent, Verdict, compare
from consumers.reconcile.erp_image import expected_erp
from consumers.reconcile.facts import FactsDigest, FoundState, OrderFacts, facts_of
from consumers.reconcile.fingerprint import BUCKETS, Checksums, Section, bucket_of
from consumers.reconcile.invariants import expected_ledger
from consumers.reconcile.refusal import Refused, RefusedEntry, RefusedFacts, RefusedVersion
from consumers.reconcile.report import Report
from schemas.errors import InvalidValue, UndecodableMessage
from schemas.models import Fulfilment, OrderState, SalesOrder, Settlement
from tests.unit.order_samples import order_state

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STATE = order_state(7)
ORDER_ID = STATE.order_id


def verdict(
    state: FoundState = STATE,
    source: OrderFacts | None = None,
    *,
    erp: Any = ...,
    ledger: Any = ...,
    parked: bool = False,
    refusals: tuple[Refused, ...] = (),
) -> Verdict:
    """Compare an order that agrees but for what is given."""
    known = state if isinstance(state, OrderState) else None
    content = OrderContent(
        order_id=ORDER_ID,
        source=facts_of(STATE) if source is None else source,
        state=state,
        erp=(expected_erp(known) if known else None) if erp is ... else erp,
        ledger=((expected_ledger(known) or None) if known else None) if ledger is ... else ledger,
        is_parked=parked,
        refusals=refusals,
    )
    return compare(content, NOW)


def named(found: Verdict) -> list[tuple[str, str, str | None, str | None, str | None]]:
    return [(one.system, one.kind, one.field, one.expected, one.actual) for one in found.mismatches]


def without(section: Section) -> OrderFacts:
    facts = facts_of(STATE)
    return OrderFacts({name: value for name, value in facts.sections.items() if name is not section})


def test_an_order_that_agrees_has_no_mismatch() -> None:
    found = verdict()
    assert named(found) == []
    assert not found.is_parked and not found.is_rejected


def test_facts_without_content_are_the_same_as_none() -> None:
    bare = STATE.model_copy(update={"fulfilment": None, "settlement": None})
    empty = STATE.model_copy(
        update={
            "fulfilment": Fulfilment(order_id=ORDER_ID, shipments=[], returns=[]),
            "settlement": Settlement(order_id=ORDER_ID, invoices=[], payments=[]),
        }
    )
    for state in (bare, empty):
        assert named(verdict(state, facts_of(bare))) == []


def test_a_missing_order_is_missing_once_and_worth_all_of_it() -> None:
    (mismatch,) = verdict(None).mismatches
    assert (mismatch.system, mismatch.reference, mismatch.kind, mismatch.field) == ("state", "source", "missing", None)
    assert STATE.order is not None
    assert (mismatch.amount, mismatch.currency_code) == (STATE.order.payable_amount, "EUR")
    assert mismatch.mismatch_id == f"{ORDER_ID}/state/"
    assert named(verdict(None, without(Section.ORDER))) == [("state", "missing", None, None, None)]


def test_an_order_that_only_the_state_has_is_extra_unless_it_was_deleted() -> None:
    rest = without(Section.ORDER)
    assert named(verdict(source=rest)) == [("state", "extra", None, None, None)]
    deleted = STATE.model_copy(update={"order_status": "deleted"})
    assert named(verdict(deleted, rest)) == []
    assert named(verdict(deleted)) == [("state", "different", "order.order_status", "placed", "deleted")]


def test_a_differing_attribute_is_named_with_both_values_and_what_is_at_stake() -> None:
    assert STATE.order is not None
    facts = facts_of(STATE)
    changed = STATE.order.model_copy(update={"payable_amount": STATE.order.payable_amount + Decimal("1.50")})
    (mismatch,) = verdict(source=OrderFacts(facts.sections | {Section.ORDER: changed})).mismatches
    assert mismatch.mismatch_id == f"{ORDER_ID}/state/order.payable_amount"
    assert mismatch.expected == text_of(changed.payable_amount)
    assert mismatch.actual == text_of(STATE.order.payable_amount)
    assert (mismatch.amount, mismatch.currency_code) == (Decimal("1.5"), "EUR")
    renamed = STATE.order.model_copy(update={"note": "new"})
    (mismatch,) = verdict(source=OrderFacts(facts.sections | {Section.ORDER: renamed})).mismatches
    assert (mismatch.field, mismatch.expected, mismatch.actual, mismatch.amount) == ("order.note", "new", None, None)


def test_a_line_that_one_side_lacks_is_one_difference() -> None:
    assert STATE.order is not None
    first, *others = STATE.order.order_lines
    shorter = STATE.order.model_copy(update={"order_lines": others})
    source = OrderFacts(facts_of(STATE).sections | {Section.ORDER: shorter})
    (mismatch,) = verdict(source=source).mismatches
    assert (mismatch.kind, mismatch.field, mismatch.expected) == ("different", "order.order_lines[1]", None)
    assert mismatch.amount == first.line_extension_amount
    assert f"product_id={first.product_id}" in (mismatch.actual or "")


def test_the_order_of_lines_has_no_meaning_but_their_number_in_the_erp_has() -> None:
    assert STATE.order is not None
    turned = STATE.order.model_copy(update={"order_lines": STATE.order.order_lines[::-1]})
    assert named(verdict(source=OrderFacts(facts_of(STATE).sections | {Section.ORDER: turned}))) == []
    found = verdict(erp=expected_erp(STATE.model_copy(update={"order": turned})))
    assert {one.field for one in found.mismatches} == {"lines[1].line_number", "lines[3].line_number"}


def test_a_lost_section_is_named_by_its_elements() -> None:
    found = verdict(source=without(Section.FULFILMENT))
    assert STATE.fulfilment is not None
    names = [f"fulfilment.shipments[{one.shipment_id}]" for one in STATE.fulfilment.shipments]
    assert [one.field for one in found.mismatches] == names


def test_the_erp_is_compared_attribute_by_attribute() -> None:
    right = dict(expected_erp(STATE))
    assert named(verdict(erp=None)) == [("erp", "missing", None, None, None)]
    assert named(verdict(erp={key: value for key, value in right.items() if "[" in key})) == [
        ("erp", "missing", None, None, None)
    ]
    assert named(verdict(erp=right | {"version": "2"})) == [("erp", "different", "version", "3", "2")]
    assert named(verdict(None, OrderFacts(), erp=right)) == [("erp", "extra", None, None, None)]
    (mismatch,) = verdict(erp=right | {"open_amount": "9999"}).mismatches
    assert mismatch.field == "open_amount"
    assert mismatch.amount == abs(Decimal(right["open_amount"]) - 9999)


@pytest.mark.parametrize("attribute", sorted(expected_erp(STATE)))
def test_every_attribute_of_the_erp_matters(attribute: str) -> None:
    right = dict(expected_erp(STATE))
    (mismatch,) = verdict(erp=right | {attribute: "something else"}).mismatches
    assert (mismatch.system, mismatch.field, mismatch.expected) == ("erp", attribute, right[attribute])


def test_the_ledger_is_compared_measure_by_measure() -> None:
    right = dict(expected_ledger(STATE))
    assert "revenue_amount[EUR]" in right
    assert named(verdict(ledger=None)) == [("ledger", "missing", None, None, None)]
    (mismatch,) = verdict(ledger=right | {"imbalance_amount[USD]": "5"}).mismatches
    assert (mismatch.field, mismatch.expected, mismatch.actual) == ("imbalance_amount[USD]", None, "5")
    assert (mismatch.amount, mismatch.currency_code) == (Decimal(5), "USD")


def test_what_cannot_be_read_is_a_difference_with_its_reason() -> None:
    (mismatch,) = verdict(UndecodableMessage("no Avro"), erp=None, ledger=None).mismatches
    assert (mismatch.field, mismatch.actual) == ("value", "no Avro")
    source = without(Section.SETTLEMENT)
    source.unreadable[Section.SETTLEMENT] = InvalidValue("Settlement.payments: odd")
    (mismatch,) = verdict(source=source).mismatches
    assert (mismatch.field, mismatch.expected) == ("settlement", "Settlement.payments: odd")


def test_a_parked_order_is_no_mismatch_of_the_state() -> None:
    found = verdict(None, parked=True)
    assert found.is_parked and found.mismatches == []
    assert not verdict(parked=True).is_parked
    assert named(verdict(erp=None, parked=True)) == [("erp", "missing", None, None, None)]


def test_a_refusal_explains_only_what_it_still_causes() -> None:
    assert STATE.settlement_source is not None
    accepted = STATE.settlement_source.position
    changed = without(Section.SETTLEMENT)
    for refused, explains in (
        (RefusedFacts(Section.SETTLEMENT, accepted + 1), True),
        (RefusedFacts(None, accepted + 1), True),
        (RefusedFacts(Section.SETTLEMENT, accepted), False),
        (RefusedFacts(Section.ORDER, accepted + 1), False),
        (RefusedVersion(3), False),
        (RefusedEntry("x"), False),
    ):
        found = verdict(source=changed, refusals=(refused,))
        assert (found.is_rejected, not found.mismatches) == (explains, explains), refused
    older = dict(expected_erp(STATE)) | {"version": "2"}
    for version, erp, explains in ((3, older, True), (3, None, True), (2, None, False), (3, ..., False)):
        altered = dict(expected_erp(STATE)) | {"note": "by hand"} if erp is ... else erp
        found = verdict(erp=altered, refusals=(RefusedVersion(version),))
        assert (found.is_rejected, not found.mismatches) == (explains, explains), (version, erp)
    found = verdict(ledger=None, refusals=(RefusedEntry("x"),))
    assert found.is_rejected and not found.mismatches
    assert not verdict(refusals=(RefusedEntry("x"), RefusedFacts(None, accepted + 1))).is_rejected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("12.5000"), "12.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.00"), "0"),
        (Decimal("0.000001"), "0.000001"),
        (12, "12"),
        (True, "true"),
        (date(2026, 11, 21), "2026-11-21"),
        (datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=2))), "2026-11-21T10:00:00.000000+00:00"),
        ("text", "text"),
    ],
)
def test_a_value_has_one_text(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_attributes_have_the_path_of_their_model_and_leave_out_null() -> None:
    assert STATE.order is not None
    attributes = model_attributes(STATE.order)
    assert attributes["order_lines[2].line_id"] == "2"
    assert attributes["delivery_address.country_code"] == "DE"
    assert "note" not in attributes
    names = Elements("lines")
    assert [names.next("a"), names.next("a"), names.next("b")] == ["lines[a].", "lines[a#2].", "lines[b]."]
    found: dict[str, str] = {}
    put(found, "x.", ("a", "b"), (1, None))
    assert found == {"x.a": "1"}


def test_a_digest_knows_no_order_but_every_value() -> None:
    assert digest_of({"a": "1", "b": "2"}) == digest_of({"b": "2", "a": "1"})
    assert digest_of({"a": "1"}) != digest_of({"a": "2"})
    assert digest_of({"a": "1"}) != digest_of({"b": "1"})
    assert digest_of({}) != digest_of({"a": ""})


def test_facts_have_the_digest_of_their_value_not_of_their_form() -> None:
    digest = FactsDigest()
    assert STATE.order is not None
    total = STATE.order.payable_amount
    padded = STATE.order.model_copy(update={"payable_amount": total.quantize(Decimal("0.0001"))})
    other = STATE.order.model_copy(update={"payable_amount": total + Decimal("0.01")})
    # More decimals than the wire holds: no event can carry it, so it agrees with no state.
    unwritable = STATE.order.model_copy(update={"payable_amount": Decimal("0.00001")})
    found = [digest.of(Section.ORDER, order) for order in (STATE.order, padded, other, unwritable)]
    assert found[0] == found[1]
    assert len(set(found)) == 3
    assert digest.of(Section.ORDER, None) == found[3]
    assert isinstance(STATE.order, SalesOrder)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.binary(min_size=16, max_size=16), max_size=30), st.randoms())
def test_checksums_do_not_depend_on_the_order_and_see_every_change(digests: dict[str, bytes], random: Any) -> None:
    first, second = Checksums(), Checksums()
    for order_id, digest in digests.items():
        first.add(order_id, digest)
    shuffled = list(digests.items())
    random.shuffle(shuffled)
    for order_id, digest in shuffled:
        second.add(order_id, digest)
    assert first.differing(second) == frozenset()
    for order_id in digests:
        third = Checksums()
        for other, digest in digests.items():
            third.add(other, bytes(16) if other == order_id else digest)
        expected = frozenset() if digests[order_id] == bytes(16) else {bucket_of(order_id)}
        assert first.differing(third) == expected
    second.add("one more", bytes(16))
    assert first.differing(second) == {bucket_of("one more")}
    assert all(0 <= bucket_of(order_id) < BUCKETS for order_id in digests)


def test_a_report_agrees_only_if_nothing_is_left_open() -> None:
    def report(**values: Any) -> Report:
        given: dict[str, Any] = {
            "started_at": NOW, "seconds": 1.0, "orders": {"source": 1}, "mismatches": [], "parked": [], "rejected": [],
            "on_the_way": [], "rejections": 0, "ledger_imbalance": {}, "functional_ledger_imbalance": {},
        }  # fmt: skip
        return Report(**(given | values))

    assert report().exit_code == 0
    assert report(parked=["a"], rejected=["b"], rejections=3).exit_code == 0
    assert report(on_the_way=["a"]).exit_code == 1
    assert report(ledger_imbalance={"EUR": Decimal("0.01")}).exit_code == 1
    assert report(functional_ledger_imbalance={"EUR": Decimal(-1)}).exit_code == 1
    assert report(mismatches=verdict(None).mismatches).exit_code == 1
    assert report(mismatches=verdict(None).mismatches).counts == {"state": {"missing": 1, "extra": 0, "different": 0}}
    assert report(ledger_imbalance={"EUR": Decimal("0.00")}).as_json()["ledger_imbalance"] == {"EUR": "0"}
    assert report().summary().startswith("All systems agree")

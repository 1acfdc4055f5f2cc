"""What two versions of an order differ in, path by path."""

from __future__ import annotations

from decimal import Decimal

from deploy.state_changes import Change, changes, fields_of
from schemas.models import OrderState
from tests.unit.order_samples import order_state


def with_order(state: OrderState, **update: object) -> OrderState:
    assert state.order is not None
    return state.model_copy(update={"order": state.order.model_copy(update=update)})


def test_bookkeeping_and_equal_facts_are_no_changes() -> None:
    state = order_state()
    assert changes(state, state.model_copy(update={"version": 4, "event_id": "other"})) == []


def test_lines_are_compared_by_their_number_not_their_place() -> None:
    before = order_state()
    assert before.order is not None
    first, second, third = before.order.order_lines
    dearer = second.model_copy(update={"price_amount": Decimal("1.5")})
    found = changes(before, with_order(before, order_lines=[third, dearer, first]))
    assert found == [Change("order.order_lines[2].price_amount", second.price_amount, Decimal("1.5"))]


def test_line_that_goes_and_one_that_comes_are_told_field_by_field() -> None:
    before = order_state()
    assert before.order is not None
    first, second, third = before.order.order_lines
    found = changes(before, with_order(before, order_lines=[first, second, third.model_copy(update={"line_id": "9"})]))
    gone = {change.path for change in found if change.after is None}
    come = {change.path for change in found if change.before is None}
    assert {"order.order_lines[3].quantity", "order.order_lines[3].line_id"} <= gone
    assert {"order.order_lines[9].quantity", "order.order_lines[9].line_id"} <= come


def test_two_members_of_one_identity_are_both_compared() -> None:
    before = order_state()
    assert before.order is not None
    lines = before.order.order_lines
    doubled = with_order(before, order_lines=[*lines, lines[0].model_copy(update={"quantity": Decimal(77)})])
    paths = {change.path: change.after for change in changes(before, doubled)}
    assert paths["order.order_lines[1#2].quantity"] == Decimal(77)


def test_section_that_comes_says_nothing_of_what_is_empty_in_it() -> None:
    after = order_state()
    found = changes(after.model_copy(update={"fulfilment": None}), after)
    assert found and all(change.before is None and change.after not in (None, []) for change in found)


def test_fields_of_a_state_are_those_that_are_set() -> None:
    found = dict(fields_of(order_state()))
    assert found["order.delivery_address.city_name"] == "Hamburg" and found["version"] == 3
    assert not any(value in (None, []) for value in found.values())

"""Rules between systems: each is found broken by its own numbers, and none in an order that is right."""

from __future__ import annotations

from decimal import Decimal

import pytest

from consumers.reconcile.causes import Evidence, with_cause
from consumers.reconcile.comparison import OrderContent, compare
from consumers.reconcile.cross_checks import broken_rules
from consumers.reconcile.erp_image import expected_erp
from consumers.reconcile.facts import facts_of
from consumers.reconcile.invariants import expected_ledger
from schemas.models import OrderState
from tests.unit.order_samples import order_state
from tests.unit.test_reconcile_comparison import NOW

STATE = order_state(7)


def wrong_header() -> OrderState:
    assert STATE.order is not None
    order = STATE.order.model_copy(update={"payable_amount": STATE.order.payable_amount + 1})
    return STATE.model_copy(update={"order": order})


@pytest.mark.parametrize("number", range(1, 30))
def test_an_order_that_is_right_breaks_none(number: int) -> None:
    state = order_state(number)
    assert list(broken_rules(state, expected_erp(state), expected_ledger(state) or None)) == []


def test_a_header_that_is_not_its_lines_and_tax_is_named_where_all_systems_say_the_same() -> None:
    state = wrong_header()
    content = OrderContent(state.order_id, facts_of(state), state, expected_erp(state), expected_ledger(state) or None)
    found = [one for one in compare(content, NOW).mismatches if one.kind == "invariant"]
    (mismatch,) = found
    assert (mismatch.system, mismatch.field, mismatch.amount) == ("state", "payable_equals_lines_charges_and_tax", 1)
    assert mismatch.currency_code == "EUR"
    caused = with_cause(mismatch, Evidence(state.version, content.erp, {}, frozenset()))
    assert (caused.cause, caused.remedy) == ("unknown", None)


def test_revenue_beyond_what_was_shipped_and_another_receivable_than_the_erp_shows() -> None:
    assert STATE.order is not None
    currency = STATE.order.document_currency_code
    ledger = dict(expected_ledger(STATE))
    ledger[f"revenue_amount[{currency}]"] = str(STATE.order.payable_amount * 2)
    erp = dict(expected_erp(STATE))
    erp["invoiced_amount"] = str(Decimal(erp["invoiced_amount"]) + Decimal(erp["paid_amount"]) + 3)
    found = {one.name: one for one in broken_rules(STATE, erp, ledger)}
    assert found.keys() == {"revenue_within_shipped", "receivable_equals_erp_open"}
    assert found["revenue_within_shipped"].actual == STATE.order.payable_amount * 2
    # Where one of them does not hold the order, that is the difference.
    assert list(broken_rules(STATE, erp, None)) == []
    assert [one.name for one in broken_rules(STATE, None, ledger)] == ["revenue_within_shipped"]

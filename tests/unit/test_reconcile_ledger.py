"""What the reconciliation expects of the ledger: by hand, and against the accounting over random lives of orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from hypothesis import given, settings

from consumers.reconcile.invariants import Balance, Measure, attributes_of, expected_ledger
from schemas.models import JournalEntry, OrderState
from tests.unit.order_lives import ORDER_ID, Life, goods_return, invoice, order, payment, shipment
from tests.unit.order_scripts import Script, scripts
from tests.unit.processing_desk import Desk

FREIGHT_ORDER = order(charges="10.00", charges_tax="1.90")
ALL = {"1": "3", "2": "10"}
_ACCOUNTS = {
    "4000": (Measure.REVENUE, -1),
    "4100": (Measure.SHIPPING_REVENUE, -1),
    "2200": (Measure.TAX_PAYABLE, -1),
    "1000": (Measure.CASH, 1),
    "1200": (Measure.CUSTOMER, 1),
    "1250": (Measure.CUSTOMER, 1),
    "2100": (Measure.CUSTOMER, 1),
    "5000": (Measure.COST_OF_GOODS_SOLD, 1),
}


def measured(entries: Iterable[JournalEntry]) -> dict[str, str]:
    """What the ledger shows after these entries, as `LedgerReader` reads it."""
    found: dict[Balance, Decimal] = defaultdict(Decimal)
    liabilities: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        for line in entry.lines:
            amount = line.debit_amount - line.credit_amount
            if line.account_code in _ACCOUNTS:
                measure, sign = _ACCOUNTS[line.account_code]
                found[Balance(measure, entry.currency_code)] += sign * amount
            if line.account_code == "1200":
                found[Balance(Measure.RECEIVABLE, entry.currency_code)] += amount
            if line.account_code == "2100":
                liabilities[entry.currency_code] += amount
            found[Balance(Measure.IMBALANCE, entry.currency_code)] += amount
            functional = line.functional_debit_amount - line.functional_credit_amount
            found[Balance(Measure.FUNCTIONAL_IMBALANCE, entry.functional_currency_code)] += functional
    for currency, amount in liabilities.items():
        found[Balance(Measure.OVERDRAWN, currency)] = max(amount, Decimal(0))
    return dict(attributes_of(found))


def state_of(desk: Desk) -> OrderState:
    state = desk.state(ORDER_ID)
    assert state is not None
    return state


def test_an_order_alone_is_nothing_to_the_ledger() -> None:
    desk = Desk()
    desk.take(Life().ordered(order()))
    assert expected_ledger(state_of(desk)) == {}


def test_a_partly_shipped_prepaid_order_by_hand() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(FREIGHT_ORDER), life.settled(payment(1, "285.56")))
    desk.take(life.handled(shipment(1, {"1": "1", "2": "5"})))
    # 29.97 / 3 + 200.00 / 2; freight 10.00 x 109.99 / 229.97; taxes 1.90 + 19.00 + 0.91; cost 4.00 + 36.67
    assert expected_ledger(state_of(desk)) == {
        "revenue_amount[EUR]": "109.99",
        "shipping_revenue_amount[EUR]": "4.78",
        "tax_payable_amount[EUR]": "21.81",
        "cash_amount[EUR]": "285.56",
        "customer_balance_amount[EUR]": "-148.98",
        "cost_of_goods_sold_amount[EUR]": "40.67",
    }


def test_goods_that_came_back_leave_only_the_freight() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(FREIGHT_ORDER), life.handled(shipment(1, ALL), goods_return(1, ALL)))
    assert expected_ledger(state_of(desk)) == {
        "shipping_revenue_amount[EUR]": "10",
        "tax_payable_amount[EUR]": "1.9",
        "customer_balance_amount[EUR]": "11.9",
    }


def test_a_credit_note_for_everything_leaves_nothing() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(FREIGHT_ORDER), life.handled(shipment(1, ALL), goods_return(1, ALL)))
    desk.take(life.settled(invoice(1, "285.56"), invoice(2, "285.56", code="381")))
    assert expected_ledger(state_of(desk)) == {}


def test_refunds_beyond_receipts_are_owed_by_the_customer_and_overdraw_no_liability() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.settled(payment(1, "20.00", kind="refund")))
    assert expected_ledger(state_of(desk)) == {
        "cash_amount[EUR]": "-20",
        "customer_balance_amount[EUR]": "20",
        "receivable_amount[EUR]": "20",
    }


@settings(max_examples=150, deadline=None)
@given(scripts())
def test_the_accounting_arrives_where_the_facts_say_whatever_the_life(script: Script) -> None:
    desk = Desk()
    for event in script.events:
        desk.take(event)
        assert measured(desk.entries()) == expected_ledger(state_of(desk))

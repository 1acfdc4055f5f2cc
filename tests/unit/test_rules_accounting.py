"""Journal entries: examples reckoned by hand, and what must hold over every life of an order."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given, settings

from schemas.models import Invoice, JournalEntry, Payment
from streams.rules.accounting import positions
from streams.rules.accounting.accounts import (
    CASH,
    CONTRACT_ASSETS,
    CONTRACT_LIABILITIES,
    COST_OF_GOODS_SOLD,
    INVENTORY,
    REVENUE,
    SHIPPING_REVENUE,
    TAX_PAYABLE,
    TRADE_RECEIVABLES,
)
from streams.rules.accounting.posts import Post
from tests.unit.order_lives import (
    TWO_LINES,
    Item,
    Life,
    fx_rate,
    goods_return,
    invoice,
    order,
    payment,
    product,
    shipment,
)
from tests.unit.order_scripts import Script, scripts
from tests.unit.processing_desk import Desk, balances

D = Decimal
LIVES = settings(max_examples=100, deadline=None)
OPEN_ACCOUNTS = (TRADE_RECEIVABLES, CONTRACT_ASSETS, CONTRACT_LIABILITIES)
# 3 x 9.99 = 29.97, 19 % of it 5.69 (5.6943); 10 x 20.00 = 200.00, 19 % of it 38.00
# net 229.97 + freight 10.00, tax 43.69 + 1.90 on the freight: 285.56
FREIGHT_ORDER = order(charges="10.00", charges_tax="1.90")
ALL = {"1": "3", "2": "10"}


def test_order_alone_moves_no_account() -> None:
    desk = Desk()
    desk.take(Life().ordered(order()))
    assert desk.entries() == []


def test_life_in_the_ledgers_own_currency_by_hand() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(FREIGHT_ORDER))

    # Paid in advance: 285.56 owed in goods.
    desk.take(life.settled(payment(1, "285.56")))
    assert balances(desk.entries(), functional=False) == {CASH: D("285.56"), CONTRACT_LIABILITIES: D("-285.56")}

    # 1 of 3 and 5 of 10 leave: 29.97/3 = 9.99, 200.00/2 = 100.00; tax 5.69/3 = 1.90 (1.8966), 38.00/2 = 19.00
    # freight 10.00 x 109.99/229.97 = 4.78 (4.7828), its tax 1.90 x 109.99/229.97 = 0.91 (0.9087)
    # 109.99 + 4.78 + 1.90 + 19.00 + 0.91 = 136.58 of what was paid is earned: 285.56 - 136.58 = 148.98 stay owed
    # cost 1 x 4.00 + 5 x 7.333333 = 4.00 + 36.67 = 40.67
    desk.take(life.handled(shipment(1, {"1": "1", "2": "5"})))
    assert balances(desk.entries(), functional=False) == {
        CASH: D("285.56"),
        CONTRACT_LIABILITIES: D("-148.98"),
        REVENUE: D("-109.99"),
        SHIPPING_REVENUE: D("-4.78"),
        TAX_PAYABLE: D("-21.81"),
        COST_OF_GOODS_SOLD: D("40.67"),
        INVENTORY: D("-40.67"),
    }

    # The rest leaves and all is billed: nothing is open; 3 x 4.00 + 10 x 7.333333 = 12.00 + 73.33 = 85.33
    desk.take(
        life.handled(shipment(1, {"1": "1", "2": "5"}), shipment(2, {"1": "2", "2": "5"})),
        life.settled(payment(1, "285.56"), invoice(1, "285.56")),
    )
    complete = {
        CASH: D("285.56"),
        REVENUE: D("-229.97"),
        SHIPPING_REVENUE: D("-10.00"),
        TAX_PAYABLE: D("-45.59"),
        COST_OF_GOODS_SOLD: D("85.33"),
        INVENTORY: D("-85.33"),
    }
    assert balances(desk.entries(), functional=False) == complete
    assert balances(desk.entries(), functional=True) == complete


def test_invoice_before_shipment_is_a_receivable_and_a_contract_liability() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.settled(invoice(1, "273.66")))
    # IFRS 15.108: what is due without condition; nothing is earned yet.
    assert balances(desk.entries(), functional=False) == {
        TRADE_RECEIVABLES: D("273.66"),
        CONTRACT_LIABILITIES: D("-273.66"),
    }
    # Line 2 alone: 200.00 + 38.00; 273.66 - 238.00 = 35.66 stay to be earned
    desk.take(life.handled(shipment(1, {"2": "10"})))
    assert balances(desk.entries(), functional=False) == {
        TRADE_RECEIVABLES: D("273.66"),
        CONTRACT_LIABILITIES: D("-35.66"),
        REVENUE: D("-200.00"),
        TAX_PAYABLE: D("-38.00"),
        COST_OF_GOODS_SOLD: D("73.33"),
        INVENTORY: D("-73.33"),
    }


def test_shipped_and_not_billed_is_a_contract_asset() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.handled(shipment(1, {"2": "10"})), life.settled(payment(1, "38.00")))
    assert balances(desk.entries(), functional=False)[CONTRACT_ASSETS] == D("200.00")


def test_return_reverses_revenue_tax_and_cost_and_keeps_the_freight() -> None:
    life, desk = Life(), Desk()
    desk.take(
        life.ordered(FREIGHT_ORDER),
        life.handled(shipment(1, ALL)),
        life.settled(invoice(1, "285.56"), payment(1, "285.56")),
        # One of three back: 29.97/3 = 9.99, its tax 5.69/3 = 1.90; 2 x 4.00 = 8.00 stay with the customer
        life.handled(shipment(1, ALL), goods_return(1, {"1": "1"})),
        # 9.99 + 1.90 = 11.89 credited and paid back
        life.settled(invoice(1, "285.56"), payment(1, "285.56"), invoice(2, "11.89", code="381")),
        life.settled(
            invoice(1, "285.56"),
            payment(1, "285.56"),
            invoice(2, "11.89", code="381"),
            payment(2, "11.89", kind="refund"),
        ),
    )
    assert balances(desk.entries(), functional=False) == {
        CASH: D("273.67"),
        REVENUE: D("-219.98"),
        SHIPPING_REVENUE: D("-10.00"),
        TAX_PAYABLE: D("-43.69"),
        COST_OF_GOODS_SOLD: D("81.33"),
        INVENTORY: D("-81.33"),
    }


def test_credit_of_everything_with_the_freight_leaves_nothing() -> None:
    life, desk = Life(), Desk()
    papers: list[Invoice | Payment] = [invoice(1, "285.56"), payment(1, "285.56"), invoice(2, "285.56", code="381")]
    desk.take(
        life.ordered(FREIGHT_ORDER),
        life.handled(shipment(1, ALL)),
        life.settled(*papers[:2]),
        life.handled(shipment(1, ALL), goods_return(1, ALL)),
        life.settled(*papers, payment(2, "285.56", kind="refund")),
    )
    assert balances(desk.entries(), functional=False) == {}


def test_credit_without_return_lowers_the_price() -> None:
    life, desk = Life(), Desk()
    desk.take(
        life.ordered(order([Item("1", "P1", "1", "100")])),
        life.handled(shipment(1, {"1": "1"})),
        # 119.00 billed, 11.90 of it credited: 107.10 = 90.00 + 17.10 tax
        life.settled(invoice(1, "119"), invoice(2, "11.90", code="381"), payment(1, "107.10")),
    )
    found = balances(desk.entries(), functional=False)
    assert (found[REVENUE], found[TAX_PAYABLE]) == (D("-90.00"), D("-17.10"))
    assert not set(OPEN_ACCOUNTS) & set(found)


def test_invoice_corrected_by_credit_and_a_new_invoice_changes_no_price() -> None:
    life, desk = Life(), Desk()
    desk.take(
        life.ordered(order([Item("1", "P1", "1", "100")])),
        life.handled(shipment(1, {"1": "1"})),
        life.settled(invoice(1, "119"), invoice(2, "119", code="381"), invoice(3, "119"), payment(1, "119")),
    )
    found = balances(desk.entries(), functional=False)
    assert found[REVENUE] == D("-100.00")
    assert not set(OPEN_ACCOUNTS) & set(found)


def test_goods_sent_beyond_the_order_and_returned_are_nobodys_revenue() -> None:
    life, desk = Life(), Desk()
    # 4 sent of 3 ordered, 1 back: the customer keeps what was ordered
    desk.take(
        life.ordered(order()),
        life.handled(shipment(1, {"1": "4"})),
        life.handled(shipment(1, {"1": "4"}), goods_return(1, {"1": "1"})),
    )
    assert balances(desk.entries(), functional=False)[REVENUE] == D("-29.97")


def test_cancelled_and_refunded_ends_at_zero() -> None:
    life, desk = Life(), Desk()
    desk.take(
        life.ordered(order()),
        life.settled(payment(1, "273.66")),
        life.ordered(order(status="cancelled")),
        life.settled(payment(1, "273.66"), payment(2, "273.66", kind="refund")),
    )
    assert len(desk.entries()) == 2
    assert balances(desk.entries(), functional=False) == {}


def test_odd_parts_lose_no_cent() -> None:
    life, desk = Life(), Desk()
    # 10.00 in three parts: 3.33, 6.67 and 10.00 so far, that is 3.33 + 3.34 + 3.33
    desk.take(life.ordered(order([Item("1", "P1", "3", "3.333333")])))
    parts = [shipment(number, {"1": "1"}) for number in (1, 2, 3)]
    desk.take(*(life.handled(*parts[: number + 1]) for number in range(3)))
    revenue = [line.credit_amount for entry in desk.entries() for line in entry.lines if line.account_code == REVENUE]
    assert revenue == [D("3.33"), D("3.34"), D("3.33")]


@pytest.mark.parametrize(
    ("currency", "price", "payable", "functional_cash"),
    [
        # 7 x 1.5 = 10.50, tax 1.995 -> 2.00: 12.50 x 0.9 = 11.25
        ("USD", "1.5", "12.50", "11.25"),
        # 7 x 111.5 = 780.5 -> 781, tax 148.39 -> 148: 929 x 0.0061234 = 5.6886 -> 5.69
        ("JPY", "111.5", "929", "5.69"),
        # 7 x 1.5005 = 10.5035 -> 10.504, tax 1.99576 -> 1.996: 12.500 x 3.0101 = 37.62625 -> 37.63
        ("KWD", "1.5005", "12.500", "37.63"),
    ],
)
def test_foreign_currencies_by_hand(currency: str, price: str, payable: str, functional_cash: str) -> None:
    life, desk = Life(), Desk()
    facts = order([Item("1", "P1", "7", price)], currency=currency)
    assert facts.payable_amount == D(payable)
    desk.take(
        life.ordered(facts),
        life.handled(shipment(1, {"1": "5"})),
        life.handled(shipment(1, {"1": "5"}), shipment(2, {"1": "2"})),
        life.settled(invoice(1, payable, currency=currency)),
        life.settled(invoice(1, payable, currency=currency), payment(1, payable, currency=currency)),
    )
    in_euros = balances(desk.entries(), functional=True)
    assert in_euros[CASH] == D(functional_cash)
    assert not set(OPEN_ACCOUNTS) & set(in_euros)
    assert in_euros[COST_OF_GOODS_SOLD] == D("28.00"), "7 x 4.00, in the ledger's currency whatever the order's is"


def test_order_keeps_the_rate_and_the_costs_that_it_began_with() -> None:
    life, desk = Life(), Desk()
    dollars = order([Item("1", "P1", "1", "100")], currency="USD")
    desk.take(life.ordered(dollars), life.handled(shipment(1, {"1": "1"})))
    desk.arrive(fx_rate("USD", "0.8").model_copy(update={"rate_date": dollars.issue_date}), product("P1", cost="5.00"))
    more = order([Item("1", "P1", "1", "100"), Item("2", "P1", "1", "10")], currency="USD", note="one line more")
    desk.take(life.ordered(more), life.handled(shipment(1, {"1": "1", "2": "1"})))
    state = desk.state()
    assert state is not None and state.enrichment is not None
    assert state.enrichment.exchange_rate == D("0.9")
    assert [line.standard_cost_amount for line in state.enrichment.lines] == [D("4"), D("5")]
    # 110 x 0.9 = 99.00 and not 98.00; 4.00 + 5.00
    found = balances(desk.entries(), functional=True)
    assert (found[REVENUE], found[COST_OF_GOODS_SOLD]) == (D("-99.00"), D("9.00"))


def test_amount_that_the_ledger_cannot_hold_refuses_the_event_only() -> None:
    life, desk = Life(), Desk()
    desk.arrive(fx_rate("USD", "999999999").model_copy(update={"rate_date": order().issue_date}))
    huge = order([Item("1", "P1", "1", "90000000000")], currency="USD")
    desk.take(life.ordered(huge.model_copy(update={"approved_by": "head of sales"})))
    desk.take(life.handled(shipment(1, {"1": "1"})), life.settled(payment(1, "0", currency="USD")))
    assert [len(rules) for rules in desk.refused_rules()] == [1]
    assert desk.versions() == [(1, "OrderPlaced"), (2, "OrderPaid")]
    assert desk.entries() == []


@LIVES
@given(scripts())
def test_ledger_of_any_life_balances_and_is_what_its_facts_say(script: Script) -> None:
    desk = Desk()
    desk.take(*script.events)
    entries, state = desk.entries(), desk.state()
    assert state is not None and desk.rejections() == []
    for entry in entries:
        assert_balanced(entry)
    sums: defaultdict[str, defaultdict[Post, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for entry in entries:
        for line in entry.lines:
            sums[entry.rule][Post(line.account_code, line.line_id or "")] += line.debit_amount - line.credit_amount
    expected = {
        rule.name: {post: amount for post, amount in position.balances.items() if amount}
        for rule, position in positions(state).items()
    }
    for name, accounts in expected.items():
        assert {post: amount for post, amount in sums[name].items() if amount} == accounts
    again = Desk()
    again.take(*script.events)
    assert [entry.entry_id for entry in entries] == [entry.entry_id for entry in again.entries()]
    assert len({entry.entry_id for entry in entries}) == len(entries)


@LIVES
@given(scripts())
def test_receivable_is_invoiced_less_paid_and_no_liability_is_negative(script: Script) -> None:
    desk = Desk()
    desk.take(*script.events)
    found = balances(desk.entries(), functional=False)
    invoices = [paper for paper in script.papers if isinstance(paper, Invoice)]
    payments = [paper for paper in script.papers if isinstance(paper, Payment)]
    due = sum((one.payable_amount * (1 if one.invoice_type_code == "380" else -1) for one in invoices), D(0))
    paid = sum((one.paid_amount * (1 if one.payment_type_code == "receipt" else -1) for one in payments), D(0))
    assert found.get(TRADE_RECEIVABLES, D(0)) == max(max(due, D(0)) - paid, D(0))
    assert found.get(CONTRACT_LIABILITIES, D(0)) <= 0
    assert found.get(CONTRACT_ASSETS, D(0)) >= 0


@LIVES
@given(scripts())
def test_completed_life_leaves_nothing_open(script: Script) -> None:
    desk = Desk()
    desk.take(*script.events, *script.completion())
    state = desk.state()
    assert state is not None and state.order is not None
    assert state.fulfilment_status == "fulfilled"
    assert state.payment_status == ("paid" if state.order.payable_amount else "unpaid")
    for functional in (False, True):
        assert not set(OPEN_ACCOUNTS) & set(balances(desk.entries(), functional=functional))
    found = balances([entry for entry in desk.entries() if entry.rule != "cost_of_sales"], functional=False)
    assert found.get(CASH, D(0)) == state.order.payable_amount
    assert -found.get(REVENUE, D(0)) == state.order.line_extension_amount
    assert -found.get(SHIPPING_REVENUE, D(0)) == state.order.charge_total_amount
    assert -found.get(TAX_PAYABLE, D(0)) == state.order.tax_amount


@LIVES
@given(scripts())
def test_life_that_is_undone_ends_at_zero(script: Script) -> None:
    desk = Desk()
    desk.take(*script.events, *script.undoing())
    state = desk.state()
    assert state is not None and state.order_status == "cancelled"
    for functional in (False, True):
        assert balances(desk.entries(), functional=functional) == {}


def assert_balanced(entry: JournalEntry) -> None:
    """Debits equal credits in both currencies; no line is negative, empty, or on both sides."""
    assert len(entry.lines) >= 2
    for debit, credit in (
        ("debit_amount", "credit_amount"),
        ("functional_debit_amount", "functional_credit_amount"),
    ):
        assert sum(getattr(line, debit) - getattr(line, credit) for line in entry.lines) == 0
        for line in entry.lines:
            assert min(getattr(line, debit), getattr(line, credit)) == 0
    for line in entry.lines:
        assert line.debit_amount + line.credit_amount + line.functional_debit_amount + line.functional_credit_amount > 0


def test_two_lines_are_the_order_that_the_examples_reckon_with() -> None:
    assert order(TWO_LINES).payable_amount == D("273.66")

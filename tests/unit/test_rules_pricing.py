"""The table of cases of the rules about quantities, prices, days and approvals."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.order_lives import Item, Life, line, order
from tests.unit.rule_cases import RuleCase, Story, assert_row, changed, knowing, only, totalled, with_line
from tests.unit.test_rules_commercial import SOUND

D = Decimal


def _line(**facts: Any) -> Story:
    return only(with_line(**facts))


def _bought(quantity: str, price: str = "9.99", **facts: Any) -> Story:
    return only(totalled([line(Item("1", "P1", quantity, price)).model_copy(update=facts)]))


def _freight(charges: str) -> Story:
    return only(order([Item("1", "P1", "1", "10")], charges=charges))


def _snapshot(life: Life) -> list:  # type: ignore[type-arg]
    event = life.ordered(changed(issue_date=date(2025, 11, 20)))
    return [event.model_copy(update={"operation": "snapshot"})]


LARGE = totalled([line(Item("1", "P1", "1", "900000"))])  # 1,071,000 with tax

CASES = [
    RuleCase(
        "line.discontinued",
        "a new order",
        SOUND,
        lambda life: [life.ordered(order()), life.ordered(order(note="changed"))],
        prepare=knowing(product={"is_discontinued": True}),
    ),
    RuleCase("line.unit_of_product", "kilograms", _line(unit_code="KGM"), _line(unit_code="C62")),
    RuleCase("line.whole_units", "half a piece", _bought("0.5"), _bought("0.5", unit_code="KGM")),
    RuleCase("line.quantity_plausible", "over a million", _bought("1000001", "0.01"), _bought("1000000", "0.01")),
    RuleCase(
        "line.stock",
        "one too many",
        _bought("6"),
        _bought("5"),
        prepare=knowing(product={"available_quantity": D(5)}),
    ),
    RuleCase(
        "price.allowance",
        "more than the line",
        _line(allowance_total_amount=D("29.98"), line_extension_amount=D("-0.01"), tax_amount=D(0)),
        _line(allowance_total_amount=D("29.97"), line_extension_amount=D(0), tax_amount=D(0)),
    ),
    RuleCase(
        "price.discount_limit",
        "over the half",
        # 3 x 9.99 = 29.97
        _line(allowance_total_amount=D("14.99"), line_extension_amount=D("14.98"), tax_amount=D("2.85")),
        _line(allowance_total_amount=D("14.98"), line_extension_amount=D("14.99"), tax_amount=D("2.85")),
    ),
    RuleCase(
        "price.list_tolerance",
        "over a quarter more",
        _bought("1", "10.01"),
        _bought("1", "10.00"),
        prepare=knowing(product={"list_price_amount": D(8), "currency_code": "EUR"}),
    ),
    RuleCase(
        "price.list_tolerance",
        "over a quarter less",
        _bought("1", "7.49"),
        _bought("1", "7.50"),
        prepare=knowing(product={"list_price_amount": D(10), "currency_code": "EUR"}),
    ),
    # P1 costs 4.00 euros
    RuleCase("price.minimum_margin", "below cost", _bought("2", "3.99"), _bought("2", "4.00")),
    RuleCase(
        "price.minimum_margin",
        "below cost in dollars",
        # at 0.9: 4.44 dollars are 3.996 euros
        only(order([Item("1", "P1", "1", "4.44")], currency="USD")),
        only(order([Item("1", "P1", "1", "4.45")], currency="USD")),
    ),
    RuleCase(
        "price.cost_known",
        "no cost",
        SOUND,
        only(order([Item("1", "P2", "1", "10")])),
        prepare=knowing(product={"standard_cost_amount": None}),
    ),
    RuleCase(
        "order.charges_not_negative", "a rebate", _freight("-1"), _freight("0"), also=frozenset({"order.tax_total"})
    ),
    RuleCase("order.charges_plausible", "more than the goods", _freight("10.01"), _freight("10.00")),
    RuleCase(
        "order.payable_not_negative",
        "money back",
        only(order([Item("1", "P1", "1", "1")], charges="-2")),
        only(order([Item("1", "P1", "1", "0")])),
        also=frozenset({"order.charges_not_negative", "order.tax_total"}),
    ),
    RuleCase(
        "order.line_count",
        "1,001 lines",
        only(order([Item(str(number), "P1", "1", "10") for number in range(1001)])),
        only(order([Item(str(number), "P1", "1", "10") for number in range(1000)])),
    ),
    RuleCase("line.id_present", "only a blank", _line(line_id=" "), _line(line_id="ü")),
    RuleCase(
        "order.delivery_date",
        "wanted yesterday",
        only(changed(requested_delivery_date=date(2026, 11, 20))),
        only(changed(requested_delivery_date=date(2026, 11, 21))),
    ),
    RuleCase(
        "order.delivery_date",
        "still wanted yesterday after a shipment",
        lambda life: [life.ordered(changed(requested_delivery_date=date(2026, 11, 20))), life.handled()],
        lambda life: [life.ordered(order()), life.handled()],
    ),
    RuleCase(
        "line.delivery_date",
        "wanted yesterday",
        _line(requested_delivery_date=date(2026, 11, 20)),
        _line(requested_delivery_date=date(2026, 11, 21)),
    ),
    RuleCase(
        "order.delivery_horizon",
        "in more than two years",
        only(changed(requested_delivery_date=date(2028, 11, 21))),
        only(changed(requested_delivery_date=date(2028, 11, 20))),
    ),
    # entered on 2026-11-21
    RuleCase(
        "order.issued_in_future",
        "two days ahead",
        only(changed(issue_date=date(2026, 11, 23))),
        only(changed(issue_date=date(2026, 11, 22))),
    ),
    RuleCase(
        "order.issued_long_ago",
        "over a year",
        only(changed(issue_date=date(2025, 11, 20))),
        only(changed(issue_date=date(2025, 11, 21))),
    ),
    RuleCase("order.issued_long_ago", "not in a snapshot", only(changed(issue_date=date(2025, 11, 20))), _snapshot),
    RuleCase(
        "approval.required",
        "over a million",
        only(LARGE),
        only(LARGE.model_copy(update={"approved_by": "head of sales"})),
    ),
    RuleCase(
        "approval.required",
        "over a million in euros, not in yen",
        only(order([Item("1", "P1", "1", "900000")], currency="KWD")),
        only(order([Item("1", "P1", "1", "9000000")], currency="JPY")),
    ),
    RuleCase(
        "approval.segregation",
        "by the same",
        only(changed(created_by="ada", approved_by="ada")),
        only(changed(created_by="ada", approved_by="bob")),
    ),
    RuleCase(
        "approval.not_by_seller",
        "by the seller",
        only(changed(salesperson_id="ada", approved_by="ada")),
        only(changed(salesperson_id="ada", approved_by="bob")),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: RuleCase) -> None:
    assert_row(case)

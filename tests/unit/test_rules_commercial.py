"""The table of cases of the rules about commercial facts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.attributes import OrderId
from schemas.models import Address
from tests.unit.order_lives import TWO_LINES, Item, Life, line, order
from tests.unit.rule_cases import RuleCase, assert_row, changed, only, totalled, with_line

D = Decimal
SOUND = only(order())


def _of_another_system(life: Life) -> list:  # type: ignore[type-arg]
    return [Life(systems=("shop", "inventory", "finance")).ordered(order())]


CASES = [
    RuleCase("order.identity", "facts of another order", only(order(order_id=OrderId("crm:SO-2"))), SOUND),
    RuleCase("order.identity", "a system that does not own the order", _of_another_system, SOUND),
    RuleCase("order.lines_present", "no lines", only(totalled([])), SOUND),
    RuleCase(
        "order.line_ids_unique",
        "line 1 twice",
        only(totalled([line(TWO_LINES[0]), line(Item("1", "P2", "1", "5"))])),
        only(totalled([line(TWO_LINES[0]), line(Item("01", "P2", "1", "5"))])),
    ),
    RuleCase("order.status_known", "a status that nobody knows", only(order(status="open")), SOUND),
    RuleCase("order.status_known", "capitals", only(order(status="Placed")), only(order(status="cancelled"))),
    RuleCase("order.currency_known", "no such currency", only(changed(document_currency_code="ZZZ")), only(order())),
    RuleCase(
        "order.currency_known",
        "a code without a smallest coin",
        only(changed(document_currency_code="XAU")),
        only(order([Item("1", "P1", "2", "500")], currency="JPY")),
    ),
    RuleCase(
        "order.amount_exponent",
        "a third decimal of tax in euros",
        only(with_line(tax_amount=D("5.694"))),
        only(with_line(tax_amount=D("5.690"))),
    ),
    RuleCase(
        "order.amount_exponent",
        "half a yen of charges",
        # 2 x 500 = 1000, tax 190; 0.5 of charges are more than a yen can show.
        only(order([Item("1", "P1", "2", "500")], currency="JPY", charges="0.5")),
        only(order([Item("1", "P1", "2", "500")], currency="JPY", charges="1")),
    ),
    RuleCase(
        "order.amount_exponent",
        "four decimals in dinars",
        # 3 x 1.2345 = 3.7035, which a dinar of 1000 fils shows as 3.704.
        only(
            totalled(
                [line(Item("1", "P1", "1", "3"), "KWD")],
                document_currency_code="KWD",
                charge_total_amount=D("0.0001"),
                tax_exclusive_amount=D("3.0001"),
                payable_amount=D("3.5701"),
            )
        ),
        only(order([Item("1", "P1", "3", "1.2345")], currency="KWD", charges="0.001")),
    ),
    RuleCase(
        "line.quantity_positive",
        "nothing ordered",
        only(with_line(quantity=D(0), line_extension_amount=D(0), tax_amount=D(0))),
        only(
            with_line(quantity=D("0.000001"), price_amount=D("5000"), line_extension_amount=D("0.01"), tax_amount=D(0))
        ),
    ),
    RuleCase(
        "line.quantity_positive",
        "a negative price",
        only(totalled([line(Item("1", "P1", "1", "-5")), line(TWO_LINES[1])])),
        only(totalled([line(Item("1", "P1", "1", "0")), line(TWO_LINES[1])])),
    ),
    RuleCase(
        "line.quantity_positive",
        "a negative discount",
        only(with_line(allowance_total_amount=D("-1"), line_extension_amount=D("30.97"))),
        # 3 x 9.99 - 1 = 28.97
        only(with_line(allowance_total_amount=D("1"), line_extension_amount=D("28.97"))),
    ),
    RuleCase(
        "line.amount",
        "a cent too much",
        # 3 x 9.99 = 29.97
        only(with_line(line_extension_amount=D("29.98"))),
        only(with_line(line_extension_amount=D("29.970"))),
    ),
    RuleCase(
        "line.amount",
        "rounded down instead of half up",
        # 3 x 0.335 = 1.005, half up 1.01
        only(with_line(price_amount=D("0.335"), line_extension_amount=D("1.00"), tax_amount=D("0.19"))),
        only(with_line(price_amount=D("0.335"), line_extension_amount=D("1.01"), tax_amount=D("0.19"))),
    ),
    RuleCase(
        "order.line_total",
        "a cent less than the lines",
        # 29.97 + 200.00 = 229.97
        only(changed(line_extension_amount=D("229.96"), tax_exclusive_amount=D("229.96"), payable_amount=D("273.65"))),
        SOUND,
    ),
    RuleCase(
        "order.exclusive_total",
        "charges left out",
        only(changed(charge_total_amount=D("5.00"))),
        only(order(charges="5.00")),
    ),
    RuleCase(
        "order.tax_total",
        "less than on the lines",
        # 5.69 + 38.00 = 43.69
        only(changed(tax_amount=D("43.68"), payable_amount=D("273.65"))),
        SOUND,
    ),
    RuleCase(
        "order.tax_total",
        "more on the charges than the charges are",
        only(order(charges="5.00", charges_tax="5.01")),
        only(order(charges="5.00", charges_tax="0.95")),
    ),
    RuleCase(
        "order.payable_total",
        "a wrong total",
        # 229.97 + 43.69 = 273.66
        only(changed(payable_amount=D("273.67"))),
        SOUND,
    ),
    RuleCase("line.unit_code", "a word", only(with_line(unit_code="pcs")), only(with_line(unit_code="KGM"))),
    RuleCase(
        "line.unit_code", "a line feed at the end", only(with_line(unit_code="KG\n")), only(with_line(unit_code="XBX"))
    ),
    RuleCase("line.unit_code", "no such code", only(with_line(unit_code="QQQ")), only(with_line(unit_code="H87"))),
    RuleCase(
        "order.country_code",
        "no such country",
        only(changed(delivery_address=Address(country_code="QQ"))),
        only(changed(delivery_address=Address(country_code="CH"))),
    ),
    RuleCase(
        "order.country_code",
        "three letters",
        only(changed(delivery_address=Address(country_code="DEU"))),
        only(changed(delivery_address=Address(country_code="DE"))),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: RuleCase) -> None:
    assert_row(case)

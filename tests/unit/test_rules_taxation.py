"""The table of cases of the rules about tax."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from schemas.models import Address
from tests.unit.rule_cases import RuleCase, Story, assert_row, changed, knowing, only, totalled, with_line
from tests.unit.test_rules_commercial import SOUND

D = Decimal
UNTAXED: dict[str, Any] = {"tax_percent": D(0), "tax_amount": D(0)}


def _line(**facts: Any) -> Story:
    return only(with_line(**facts))


def _all_lines(country: str | None, **facts: Any) -> Story:
    lines = [line.model_copy(update=facts) for line in changed().order_lines]
    address = None if country is None else Address(country_code=country)
    return only(totalled(lines, delivery_address=address))


CASES = [
    RuleCase("tax.category_known", "no such code", _line(tax_category_code="XX"), _line(tax_category_code="AA")),
    RuleCase(
        "tax.percent_range",
        "a negative rate",
        _line(tax_percent=D(-1), tax_amount=D(0)),
        _line(tax_percent=D(0), tax_amount=D(0)),
    ),
    RuleCase(
        "tax.percent_range",
        "more than all",
        _line(tax_percent=D("100.0001"), tax_amount=D("29.97")),
        _line(tax_percent=D(100), tax_amount=D("29.97")),
    ),
    *(
        RuleCase(
            "tax.zero_rated",
            f"category {code} with a rate",
            _line(tax_category_code=code),
            _line(tax_category_code=code, **UNTAXED),
        )
        for code in ("Z", "E")
    ),
    RuleCase(
        "tax.standard_rated",
        "category S without a rate",
        _line(tax_category_code="S", **UNTAXED),
        _line(tax_category_code="S"),
    ),
    RuleCase(
        "tax.line_amount",
        "more than a euro too much",
        # 19 % of 29.97 are 5.69
        _line(tax_amount=D("6.70")),
        _line(tax_amount=D("6.69")),
    ),
    RuleCase(
        "tax.not_subject_alone",
        "category O beside another",
        _line(tax_category_code="O", **UNTAXED),
        _all_lines(None, tax_category_code="O", **UNTAXED),
    ),
    RuleCase(
        "tax.intra_community_country",
        "to Switzerland",
        _all_lines("CH", tax_category_code="K", **UNTAXED),
        _all_lines("FR", tax_category_code="K", **UNTAXED),
        prepare=knowing(customer={"tax_id": "DE136695976"}),
    ),
    RuleCase(
        "tax.export_country",
        "to France",
        _all_lines("FR", tax_category_code="G", **UNTAXED),
        _all_lines("CH", tax_category_code="G", **UNTAXED),
    ),
    RuleCase("tax.buyer_identifier", "reverse charge", _all_lines("DE", tax_category_code="AE", **UNTAXED), SOUND),
    RuleCase(
        "tax.usual_rate",
        "another rate than the product's",
        SOUND,
        _line(tax_percent=D(7), tax_amount=D("2.10")),
        prepare=knowing(product={"tax_percent": D(7)}),
    ),
    RuleCase(
        "tax.charges_rate",
        "half of the charges",
        only(
            changed(
                charge_total_amount=D(10),
                tax_exclusive_amount=D("239.97"),
                tax_amount=D("46.70"),
                payable_amount=D("286.67"),
            )
        ),
        # 43.69 on the lines, 3.00 of 10.00 on the charges
        only(
            changed(
                charge_total_amount=D(10),
                tax_exclusive_amount=D("239.97"),
                tax_amount=D("46.69"),
                payable_amount=D("286.66"),
            )
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: RuleCase) -> None:
    assert_row(case)

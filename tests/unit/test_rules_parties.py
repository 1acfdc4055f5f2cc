"""The table of cases of the rules about customers and addresses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from schemas.models import Address
from schemas.topics import CUSTOMERS
from streams.rules.parties import is_tax_number, listing_keys
from tests.unit.order_lives import customer, order
from tests.unit.processing_desk import Desk
from tests.unit.rule_cases import RuleCase, Story, assert_row, changed, knowing, only
from tests.unit.test_rules_commercial import SOUND

D = Decimal


def _customers(odd: dict[str, Any], sound: dict[str, Any]) -> dict[str, Any]:
    """A row about two customers that differ."""

    def prepare(desk: Desk) -> None:
        desk.master.put(CUSTOMERS, customer("ODD").model_copy(update=odd))
        desk.master.put(CUSTOMERS, customer("SOUND").model_copy(update=sound))

    return {
        "violating": only(order(customer="ODD")),
        "passing": only(order(customer="SOUND")),
        "prepare": prepare,
    }


def _to(country: str | None) -> Story:
    return only(changed(delivery_address=Address(city_name="Graz", country_code=country)))


CASES = [
    RuleCase("customer.blocked", "a new order", **_customers({"is_blocked": True}, {})),
    RuleCase("customer.name_present", "no name", **_customers({"name": ""}, {"name": "x"})),
    RuleCase("customer.country_code", "a name", **_customers({"country_code": "Austria"}, {"country_code": "AT"})),
    RuleCase(
        "customer.tax_id",
        "a wrong check digit",
        **_customers(
            {"country_code": "DE", "tax_id": "DE136695977"}, {"country_code": "DE", "tax_id": "DE 136 695 976"}
        ),
    ),
    RuleCase(
        "customer.tax_id",
        "of a country outside the Union",
        **_customers(
            {"country_code": "CH", "tax_id": "CHE-107.787.578 MWST"},
            {"country_code": "CH", "tax_id": "CHE-107.787.577 MWST"},
        ),
    ),
    RuleCase(
        "customer.tax_id_country",
        "an Austrian number in Germany",
        **_customers({"country_code": "DE", "tax_id": "ATU13585627"}, {"country_code": "AT", "tax_id": "ATU13585627"}),
    ),
    RuleCase(
        "customer.sanctioned",
        "listed, words turned round",
        **_customers({"name": "Party (Sanctioned) Specimen GmbH"}, {"name": "Sanctioned Specimen"}),
    ),
    RuleCase("delivery.embargo", "to North Korea", _to("KP"), _to("KR")),
    RuleCase("delivery.embargo", "for North Korea", **_customers({"country_code": "KP"}, {"country_code": "KR"})),
    RuleCase("delivery.country_present", "a town only", _to(None), _to("AT")),
    RuleCase("delivery.country_present", "an empty country", _to(""), only(changed(delivery_address=None))),
    RuleCase("customer.currency", "dollars", **_customers({"currency_code": "USD"}, {"currency_code": "EUR"})),
    RuleCase(
        "customer.credit_limit",
        "a cent too much",
        # 273.66 are ordered
        **_customers(
            {"currency_code": "EUR", "credit_limit_amount": D("273.65")},
            {"currency_code": "EUR", "credit_limit_amount": D("273.66")},
        ),
    ),
    RuleCase(
        "customer.reference_required",
        "a public buyer",
        SOUND,
        only(changed(customer_reference="4711")),
        prepare=knowing(customer={"segment": "public"}),
    ),
    RuleCase(
        "order.reference_length",
        "71 characters",
        only(changed(customer_reference="ü" * 71)),
        only(changed(customer_reference="ü" * 70)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule(case: RuleCase) -> None:
    assert_row(case)


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("EL 094259216", "GR", True),
        ("094259216", "GR", True),
        ("FR40303265045", "FR", True),
        ("FR40303265046", "FR", False),
        ("ATU13585627", None, True),
        ("ATU13585628", None, False),
        ("anything", "XX", True),
        ("anything", "Germany", True),
        ("anything", "", True),
    ],
)
def test_tax_numbers(number: str, country: str | None, expected: bool) -> None:
    assert is_tax_number(number, country) is expected


def test_names_are_compared_without_accents_forms_and_order() -> None:
    assert listing_keys("Café Müller GmbH & Co. KG") == listing_keys("MULLER, CAFE")
    assert listing_keys("GmbH") == frozenset()

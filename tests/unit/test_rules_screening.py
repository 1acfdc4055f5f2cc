"""The quick look never clears an order that a rule has anything to say about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.attributes import OrderId
from schemas.models import OrderState, SalesOrder
from streams.rules.enrichment import EnrichmentPolicy, missing_records
from streams.rules.facts import Candidate, Section
from streams.rules.merging import merge
from streams.rules.ruleset import builtin_rules
from tests.unit.order_lives import Item, Life, order
from tests.unit.processing_desk import Desk, known_master
from tests.unit.rule_cases import RuleCase
from tests.unit.rule_tables import ALL_CASES

[EDITION] = builtin_rules().editions
FAULTS: list[dict[str, Any]] = [
    {},
    {"order_status": "open"},
    {"order_status": "confirmed"},
    {"document_currency_code": "ZZZ"},
    {"document_currency_code": "JPY"},
    {"payable_amount": Decimal("0.01")},
    {"tax_amount": Decimal("43.70"), "payable_amount": Decimal("273.67")},
    {"charge_total_amount": Decimal("-1")},
    {"line_extension_amount": Decimal("229.98")},
    {"order_id": OrderId("crm:other")},
    {"order_lines": []},
]
LINE_FAULTS: list[dict[str, Any]] = [
    {},
    {"line_id": "2"},
    {"quantity": Decimal(0)},
    {"quantity": Decimal("-3")},
    {"price_amount": Decimal("-9.99")},
    {"price_amount": Decimal("9.991")},
    {"allowance_total_amount": Decimal("-0.01")},
    {"line_extension_amount": Decimal("29.98")},
    {"line_extension_amount": Decimal("29.971")},
    {"tax_amount": Decimal("5.691")},
    {"unit_code": "piece"},
]


def findings(candidate: Candidate) -> list[str]:
    """Every rule that has something to say about a change of the commercial facts."""
    asked = EDITION.by_section[Section.ORDER]
    return [f"{one.rule.code}: {found.message}" for one in asked for found in one.findings(candidate)]


def candidate_of(facts: SalesOrder, previous: OrderState | None = None) -> Candidate:
    """The order as the rules see it."""
    made = merge(Section.ORDER, Life().ordered(facts), previous)
    missing_records(made, known_master(), EnrichmentPolicy("EUR"))
    return made


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FAULTS), st.sampled_from(FAULTS), st.sampled_from(LINE_FAULTS), st.booleans())
def test_order_that_passes_the_quick_look_violates_no_rule(
    fault: dict[str, Any], another: dict[str, Any], line_fault: dict[str, Any], is_change: bool
) -> None:
    facts = order()
    first = facts.order_lines[0].model_copy(update=line_fault)
    facts = facts.model_copy(update={"order_lines": [first, *facts.order_lines[1:]]} | fault | another)
    desk = Desk()
    if is_change:
        desk.take(Life().ordered(order()))
    candidate = candidate_of(facts, desk.state())
    assert not (EDITION.screening.is_plain(candidate) and findings(candidate))


@pytest.mark.parametrize("case", ALL_CASES, ids=str)
def test_no_row_of_a_rules_table_passes_the_quick_look(case: RuleCase) -> None:
    desk = Desk(master=known_master())
    case.prepare(desk)
    *before, judged = case.violating(Life())
    desk.take(*before)
    section = next(section for section in Section if section.value == desk.record(judged).topic)
    candidate = merge(section, judged, desk.state())
    missing_records(candidate, desk.master, EnrichmentPolicy("EUR"))
    assert section is not Section.ORDER or not EDITION.screening.is_plain(candidate)


def test_sound_orders_pass_the_quick_look() -> None:
    for facts in (order(), order(charges="5", charges_tax="1"), order([Item("1", "P1", "2", "2000")], currency="JPY")):
        assert EDITION.screening.is_plain(candidate_of(facts))
        assert findings(candidate_of(facts)) == []

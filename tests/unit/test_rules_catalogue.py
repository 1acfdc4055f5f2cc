"""What holds for every declared rule."""

from __future__ import annotations

from decimal import Decimal

import pytest

from streams.rules.catalogue import Finding, Rule, RuleDeclarations, Severity
from streams.rules.facts import Candidate
from streams.rules.ruleset import declared_rules
from tests.unit.order_lives import TWO_LINES, Life, line, order, payment, shipment
from tests.unit.processing_desk import Desk
from tests.unit.rule_cases import changed
from tests.unit.rule_tables import ALL_CASES

ALL_RULES = pytest.mark.parametrize("declared", declared_rules().values(), ids=lambda declared: declared.code)


def test_there_are_many_rules_of_both_severities() -> None:
    assert len(declared_rules()) >= 60
    assert {declared.severity for declared in declared_rules().values()} == set(Severity)


@ALL_RULES
def test_every_rule_has_a_row_in_a_table(declared: Rule) -> None:
    assert declared.code in {case.code for case in ALL_CASES}


@ALL_RULES
def test_every_rule_says_what_it_demands_and_why(declared: Rule) -> None:
    assert declared.statement.endswith(".")
    assert declared.source and declared.owner and declared.since


def test_all_violations_of_an_order_are_reported_at_once() -> None:
    first = line(TWO_LINES[0]).model_copy(update={"unit_code": "pieces"})
    facts = changed(
        order_status="open", order_lines=[first, first], payable_amount=Decimal(1), buyer_customer_party_id="nobody"
    )
    desk = Desk()
    desk.take(Life().ordered(facts))
    [rejection] = desk.rejections()
    assert [violation.rule for violation in rejection.violations] == [
        "order.line_ids_unique",
        "order.status_known",
        "order.line_total",
        "order.tax_total",
        "order.payable_total",
        "line.unit_code",
        "line.unit_code",
    ]
    assert all(violation.message and violation.field for violation in rejection.violations)
    assert desk.parked() is None, "what is refused does not wait for its customer"


def test_warnings_of_several_kinds_accept_the_version_that_names_them() -> None:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.handled(shipment(1, {"1": "4"})), life.ordered(order(status="cancelled")))
    state = desk.state()
    assert state is not None and state.version == 3
    assert [(warning.rule, warning.message) for warning in state.warnings] == [
        ("lifecycle.cancelled_but_shipped", "line 1: 4 of a cancelled order are with the customer"),
        ("fulfilment.shipped_quantity", "line 1: 4 shipped of 3 ordered"),
    ]
    desk.take(life.settled(payment(1, "1")))
    state = desk.state()
    assert state is not None
    assert [warning.rule for warning in state.warnings] == [
        "lifecycle.cancelled_but_shipped",
        "fulfilment.shipped_quantity",
        "lifecycle.cancelled_but_paid",
    ]


def test_rule_without_words_or_declared_twice_is_refused() -> None:
    def silent(candidate: Candidate) -> list[Finding]:
        return []

    declarations = RuleDeclarations()
    with pytest.raises(ValueError, match="says nothing"):
        declarations.rule("test.silent", source="test", owner="test")(silent)  # type: ignore[arg-type]
    silent.__doc__ = "Something."
    declarations.rule("test.silent", source="test", owner="test")(silent)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="declared twice"):
        declarations.rule("test.silent", source="test", owner="test")(silent)  # type: ignore[arg-type]

"""The tables of cases of all rules."""

from __future__ import annotations

from tests.unit import (
    test_rules_answers,
    test_rules_commercial,
    test_rules_lifecycle,
    test_rules_parties,
    test_rules_pricing,
    test_rules_settling,
    test_rules_taxation,
)
from tests.unit.rule_cases import RuleCase

ALL_CASES: list[RuleCase] = [
    *test_rules_commercial.CASES,
    *test_rules_taxation.CASES,
    *test_rules_parties.CASES,
    *test_rules_pricing.CASES,
    *test_rules_lifecycle.CASES,
    *test_rules_settling.CASES,
    *test_rules_answers.CASES,
]

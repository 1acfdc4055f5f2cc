"""Conditions on canonical records as text, evaluated in Python or, on encoded records, by the native fast path."""

from schemas.conditions.language import ITEM_FUNCTIONS, Condition, Vocabulary, parse_conditions
from schemas.conditions.predicates import Judgement, Predicate, compile_judgement, compile_predicate

__all__ = [
    "ITEM_FUNCTIONS",
    "Condition",
    "Judgement",
    "Predicate",
    "Vocabulary",
    "compile_judgement",
    "compile_predicate",
    "parse_conditions",
]

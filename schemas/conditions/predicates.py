"""Compiles conditions to one Python function."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from schemas.conditions.language import ITEM_FUNCTIONS, Condition, Vocabulary, pattern_of

Predicate = Callable[..., bool]
"""Takes the records that it was compiled for, in their order; the items as lists."""
Judgement = Callable[..., tuple[bool, list[bool]]]
"""Takes what a predicate takes; whether the conditions hold that speak of no item, and for each item the others."""


def compile_predicate(
    conditions: Iterable[Condition], records: tuple[str, ...], items: tuple[str, ...], vocabulary: Vocabulary
) -> Predicate:
    """A function of `records` (in their order) that says whether all conditions hold.

    `items` are those records that stand for one of many: they take lists of one length, and what speaks of one of
    them has to hold for each. `total` and its like go over the first of them.
    """
    once, each = _translated(conditions, items)
    if each:
        lists = ", ".join(f"{name}_list" for name in items)
        once.append(f"all([{' and '.join(each)} for {', '.join(items)}, in zip({lists}, strict=True)])")
    parameters = ", ".join(f"{name}_list" if name in items else name for name in records)
    source = f"""
def holds({parameters}):
    try:
        return bool({" and ".join(once) or "True"})
    except ({_NOT_EVALUATED}):
        return False
"""
    return cast(Predicate, _executed(source, vocabulary)["holds"])


def compile_judgement(
    conditions: Iterable[Condition], records: tuple[str, ...], items: tuple[str, ...], vocabulary: Vocabulary
) -> Judgement:
    """As `compile_predicate`, but tells apart what holds once and what holds for each item."""
    once, each = _translated(conditions, items)
    lists = ", ".join(f"{name}_list" for name in items)
    parameters = ", ".join(f"{name}_list" if name in items else name for name in records)
    source = f"""
def judged({parameters}):
    def once():
        try:
            return bool({" and ".join(once) or "True"})
        except ({_NOT_EVALUATED}):
            return False
    def each({", ".join(items)}):
        try:
            return bool({" and ".join(each) or "True"})
        except ({_NOT_EVALUATED}):
            return False
    return once(), [each(*row) for row in zip({lists}, strict=True)]
"""
    return cast(Judgement, _executed(source, vocabulary)["judged"])


_NOT_EVALUATED = "TypeError, AttributeError, KeyError, ArithmeticError, ValueError"


def _translated(conditions: Iterable[Condition], items: tuple[str, ...]) -> tuple[list[str], list[str]]:
    translation = _Translation(items[0])
    once: list[str] = []
    each: list[str] = []
    for condition in conditions:
        code = ast.unparse(translation.visit(ast.parse(condition.text, mode="eval").body))
        (each if condition.names & set(items) else once).append(f"({code})")
    return once, each


def _executed(source: str, vocabulary: Vocabulary) -> dict[str, Any]:
    scope: dict[str, Any] = dict(vocabulary) | {
        "Decimal": Decimal,
        "matches": _matches,
        "before": lambda text, mark: text.partition(mark)[0],
        "whole": lambda number, decimals: not number % _coin(decimals),
        "day": date.fromisoformat,
        "later": lambda day, days: day + timedelta(int(days)),
        "midnight": lambda day: datetime(day.year, day.month, day.day, tzinfo=UTC),
    }
    exec(source, scope)  # only checked expressions and our own names
    return scope


class _Translation(ast.NodeTransformer):
    """Functions over items become comprehensions, decimal literals Decimals."""

    def __init__(self, items: str) -> None:
        self._items = items

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = cast(ast.Name, node.func).id
        self.generic_visit(node)
        if name == "matches":
            allowed, least, most = pattern_of(node.args[1], "")
            node.args[1] = ast.Constant(f"[{re.escape(allowed)}]{{{least},{most}}}")
        if name not in ITEM_FUNCTIONS:
            return node
        listed = f"{self._items}_list"
        value = ast.unparse(node.args[0])
        sources = {
            "count": f"len({listed})",
            "total": f"sum([{value} for {self._items} in {listed}], Decimal(0))",
            "unique": f"len({{{value} for {self._items} in {listed}}}) == len({listed})",
        }
        return ast.parse(sources[name], mode="eval").body

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, float):
            return ast.parse(f"Decimal({str(node.value)!r})", mode="eval").body
        return node


_COINS = tuple(Decimal(1).scaleb(-decimals) for decimals in range(20))
_patterns: dict[str, re.Pattern[str]] = {}


def _coin(decimals: int) -> Decimal:
    return _COINS[decimals]


def _matches(text: str, pattern: str) -> bool:
    try:
        compiled = _patterns[pattern]
    except KeyError:
        compiled = _patterns[pattern] = re.compile(pattern)
    return compiled.fullmatch(text) is not None

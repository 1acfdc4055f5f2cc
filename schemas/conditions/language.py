"""The language of conditions: a small, checked part of Python's expressions.

| Form | Meaning |
|---|---|
| `order.order_status`, `line.quantity` | an attribute of a record; `line` stands for each item of the record's list |
| `a + b`, `a - b`, `a * b`, `-a` | exact decimal arithmetic |
| `a == b`, `a != b`, `a < b`, `0 <= a < b` | comparison of numbers, days, instants; texts only with == and != |
| `a is None`, `a is not None`, `and`, `or`, `not` | as in Python |
| `a in NAMES`, `a in {'S', 'Z'}` | whether a text is one of a vocabulary, or of those listed |
| `NUMBERS[a]` | the number that a vocabulary has for a text |
| `LIMIT` | a parameter of the rule: a number, or a vocabulary |
| `matches(a, "[A-Z0-9]{2,3}")` | whether a text is made of so many of these characters |
| `before(a, ":")` | the text up to the first colon, the whole text where there is none |
| `whole(a, DECIMALS[b])` | whether a number has no more decimals than the vocabulary has for `b` |
| `day('2026-11-21')`, `later(a, 30)`, `midnight(a)` | a day; a day so many days later; the instant that a day begins |
| `total(line.tax_amount)`, `count(line)`, `unique(line.line_id)` | over all items |

A condition that cannot be evaluated (a null is compared, a text is not in a vocabulary) does not hold.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from schemas.errors import ConfigurationError

Vocabulary = Mapping[str, Mapping[str, int]]
"""Names of sets of texts; each text with its number (decimals of a currency), 0 where it has none."""

Constants = Mapping[str, Decimal | frozenset[str]]
"""Names of numbers, and of sets of texts; an empty one is the vocabulary NOTHING."""

ITEM_FUNCTIONS = ("total", "count", "unique")
_ARITY = {
    "matches": 2,
    "before": 2,
    "whole": 2,
    "day": 1,
    "later": 2,
    "midnight": 1,
    "total": 1,
    "count": 1,
    "unique": 1,
}
_PATTERN = re.compile(r"\[([^\]\\^]+)\]\{(\d+)(?:,(\d+))?\}")
_NODES = (
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.Is,
    ast.IsNot,
    ast.In,
    ast.NotIn,
    ast.Call,
    ast.Attribute,
    ast.Subscript,
    ast.Set,
    ast.Name,
    ast.Load,
    ast.Constant,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `names` are the records that it speaks of, those inside `total` and its like left out."""

    text: str
    tree: ast.expr
    names: frozenset[str]


def parse_conditions(
    text: str,
    records: Collection[str],
    vocabulary: Vocabulary,
    where: str,
    constants: Constants | None = None,
) -> list[Condition]:
    """The conditions that `text` joins by `and`, checked: called when rules are declared or a rule file is read.

    `constants` are names of numbers and sets of texts, put in their places.

    Raises:
        ConfigurationError: not in the language, or of a record or vocabulary that there is not; names `where`.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as exc:
        raise ConfigurationError(f"{where}: {text!r} is no condition: {exc.msg}") from exc
    tree = _Constants(constants or {}).visit(tree)
    for node in ast.walk(tree):
        _check(node, records, vocabulary, f"{where}: {text!r}")
    parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
    return [Condition(ast.unparse(part), part, frozenset(_names(part)) & frozenset(records)) for part in parts]


def listed_texts(node: ast.expr) -> list[str] | None:
    """The texts of a set like `{'S', 'Z'}`; None for anything else."""
    if not isinstance(node, ast.Set):
        return None
    values = [part.value for part in node.elts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return values if len(values) == len(node.elts) else None


def day_of(node: ast.expr) -> date | None:
    """The day that a text like `'2026-11-21'` writes; None for anything else."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return None
    try:
        return date.fromisoformat(node.value)
    except ValueError:
        return None


class _Constants(ast.NodeTransformer):
    """Puts numbers and sets in the places of their names."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self._constants.get(node.id)
        if value is None:
            return node
        if isinstance(value, frozenset):
            # Python has no way to write an empty set.
            return ast.Set([ast.Constant(text) for text in sorted(value)]) if value else ast.Name("NOTHING")
        number = ast.Constant(int(abs(value)) if value == int(value) else float(abs(value)))
        return number if value >= 0 else ast.UnaryOp(ast.USub(), number)


def pattern_of(node: ast.expr, where: str) -> tuple[str, int, int]:
    """The characters of a pattern like `[A-Z0-9]{2,3}`, and the least and most of them.

    Raises:
        ConfigurationError: another kind of pattern.
    """
    found = _PATTERN.fullmatch(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
    if found is None:
        raise ConfigurationError(f"{where}: a pattern is a set of characters and a count, as in '[A-Z0-9]{{2,3}}'")
    characters, least, most = found.groups()
    allowed = [chr(code) for code in range(128) if re.fullmatch(f"[{characters}]", chr(code))]
    return "".join(allowed), int(least), int(most or least)


def _check(node: ast.AST, records: Collection[str], vocabulary: Vocabulary, where: str) -> None:
    if not isinstance(node, _NODES):
        raise ConfigurationError(f"{where}: {type(node).__name__} is not part of the language of conditions")
    if isinstance(node, ast.Name) and node.id not in {*records, *vocabulary, *_ARITY}:
        raise ConfigurationError(f"{where}: {node.id!r} is unknown; there are {', '.join(sorted(records))}")
    if isinstance(node, ast.Constant) and not isinstance(node.value, str | int | float | None):
        raise ConfigurationError(f"{where}: {node.value!r} is no text or number")
    if isinstance(node, ast.Subscript) and not (isinstance(node.value, ast.Name) and node.value.id in vocabulary):
        raise ConfigurationError(f"{where}: only a vocabulary ({', '.join(sorted(vocabulary))}) is looked up by []")
    if isinstance(node, ast.Set) and listed_texts(node) is None:
        raise ConfigurationError(f"{where}: a set lists texts, as in {{'S', 'Z'}}")
    if isinstance(node, ast.Call):
        _check_call(node, where)


def _check_call(node: ast.Call, where: str) -> None:
    if not isinstance(node.func, ast.Name) or node.func.id not in _ARITY:
        raise ConfigurationError(f"{where}: there are the functions {', '.join(_ARITY)}")
    name = node.func.id
    if node.keywords or len(node.args) != _ARITY[name]:
        raise ConfigurationError(f"{where}: {name} takes {_ARITY[name]} values")
    if name == "matches":
        pattern_of(node.args[1], where)
    if name == "day" and day_of(node.args[0]) is None:
        raise ConfigurationError(f"{where}: a day is written day('2026-11-21')")
    if name == "before":
        mark = node.args[1]
        if not (isinstance(mark, ast.Constant) and isinstance(mark.value, str) and len(mark.value.encode()) == 1):
            raise ConfigurationError(f"{where}: before takes a text and one character")


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ITEM_FUNCTIONS:
        return
    if isinstance(node, ast.Name):
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from _names(child)

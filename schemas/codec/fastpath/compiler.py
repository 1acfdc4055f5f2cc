"""Compiles conditions to nodes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple, cast

from schemas.codec.fastpath.nodes import Kind, Node, NodeTable, Operation, Value
from schemas.codec.fastpath.slots import SlotPlace
from schemas.conditions import ITEM_FUNCTIONS, Condition, Vocabulary
from schemas.conditions.language import day_of, listed_texts, pattern_of
from schemas.errors import ConfigurationError


class Scope(NamedTuple):
    """A scanned record: its number among the frames, its slots, and the path at which a name begins."""

    number: int
    slots: Mapping[str, SlotPlace]
    path: str = ""


_KINDS: dict[type, Kind] = {
    int: "number",
    Decimal: "number",
    str: "text",
    bool: "truth",
    date: "day",
    datetime: "instant",
}
_LARGEST_SCALE = 19
_LONGEST_ENTRY = 16
"""Octets of a text among others that `conditions.c` can look up."""
_EPOCH = date(1970, 1, 1)
_DAY_MICROS = 86_400_000_000
_DAY_FUNCTIONS = ("day", "later", "midnight")


class NodeCompiler:
    """Collects the nodes of several conditions.

    `scopes` are the names that conditions use; `absent` are names of records that are None on the fast path, and
    `optional` of those that are None where nothing was to be looked up.
    """

    def __init__(
        self,
        scopes: Mapping[str, Scope],
        items: str,
        absent: frozenset[str],
        optional: frozenset[str],
        vocabulary: Vocabulary,
    ) -> None:
        self._scopes = scopes
        self._items = items
        self._absent = absent
        self._optional = optional
        self._vocabulary = vocabulary
        self._where = ""
        self._table = NodeTable()

    @property
    def nodes(self) -> list[Node]:
        """Of everything compiled so far, as `conditions.c` takes them."""
        return self._table.nodes

    def compile(self, conditions: Iterable[Condition], per_item: frozenset[str]) -> tuple[int, int]:
        """The nodes that must hold once and for each item (for those that name one of `per_item`); -1 for none.

        Raises:
            ConfigurationError: the records have no such attribute, or the kinds of two values do not fit.
        """
        once, each = -1, -1
        for condition in conditions:
            self._where = condition.text
            value = self._truth(condition.tree)
            if value.constant is True:
                continue
            if condition.names & per_item:
                each = value.node if each < 0 else self._table.add(Operation.AND, each, value.node)
            else:
                once = value.node if once < 0 else self._table.add(Operation.AND, once, value.node)
        return once, each

    def compile_value(self, expression: str) -> tuple[Kind, int, int]:
        """Kind, node and scale of a value that is calculated.

        Raises:
            ConfigurationError: the records have no such attribute, or the kinds of two values do not fit.
        """
        self._where = expression
        value = self._value(ast.parse(expression, mode="eval").body)
        return value.kind, value.node, value.scale

    # -- truths ---------------------------------------------------------------------------------------------

    def _truth(self, node: ast.expr) -> Value:
        if isinstance(node, ast.BoolOp):
            return self._joined(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._truth(node.operand)
            if inner.constant is not None:
                return self._table.constant(not inner.constant)
            return Value("truth", self._table.add(Operation.NOT, inner.node))
        if isinstance(node, ast.Compare):
            return self._compared(node)
        if isinstance(node, ast.Call) and cast(ast.Name, node.func).id in ("matches", "whole", "unique"):
            return self._tested(node)
        value = self._value(node)
        if value.kind != "truth":
            raise self._wrong(node, "is not true or false")
        return Value("truth", self._table.add(Operation.TRUTH_SLOT, value.node))

    def _joined(self, node: ast.BoolOp) -> Value:
        is_and = isinstance(node.op, ast.And)
        operation = Operation.AND if is_and else Operation.OR
        joined = -1
        for part in node.values:
            value = self._truth(part)
            if value.constant is is_and:
                continue
            if value.constant is not None and joined < 0:
                return value
            joined = value.node if joined < 0 else self._table.add(operation, joined, value.node)
            if value.constant is not None:
                break
        return self._table.constant(is_and) if joined < 0 else Value("truth", joined)

    def _compared(self, node: ast.Compare) -> Value:
        joined, left = -1, node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            value = self._pair(left, operator, right)
            if value.constant is not None:
                return value
            joined = value.node if joined < 0 else self._table.add(Operation.AND, joined, value.node)
            left = right
        return Value("truth", joined)

    def _pair(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Value:
        if isinstance(operator, ast.Is | ast.IsNot):
            return self._null_test(left, right, is_null=isinstance(operator, ast.Is))
        if isinstance(operator, ast.In | ast.NotIn):
            found = self._among(left, right)
            return Value("truth", found if isinstance(operator, ast.In) else self._table.add(Operation.NOT, found))
        one, other = self._value(left), self._value(right)
        if one.kind != other.kind or one.kind == "truth":
            raise self._wrong(left, f"({one.kind}) is not compared with {ast.unparse(right)} ({other.kind})")
        if isinstance(operator, ast.Eq | ast.NotEq):
            if one.kind == "text":
                equal = self._table.add(Operation.SAME_TEXT, one.node, other.node)
            else:
                equal = self._table.add(Operation.EQUAL, *self._table.aligned(one, other)[:2])
            return Value("truth", equal if isinstance(operator, ast.Eq) else self._table.add(Operation.NOT, equal))
        if one.kind == "text":
            raise self._wrong(left, "is a text: texts are only equal or not")
        first, second, _ = self._table.aligned(one, other)
        if isinstance(operator, ast.Gt | ast.GtE):
            first, second = second, first
        operation = Operation.BELOW if isinstance(operator, ast.Lt | ast.Gt) else Operation.AT_MOST
        return Value("truth", self._table.add(operation, first, second))

    def _null_test(self, left: ast.expr, right: ast.expr, *, is_null: bool) -> Value:
        if not (isinstance(right, ast.Constant) and right.value is None):
            raise self._wrong(right, "is not None; compare values with ==")
        root, path = self._path(left)
        if root in self._absent:
            return self._table.constant(is_null)
        if root in self._optional and not path:
            # The first attribute of what was looked up is never null by itself.
            first = self._table.add(Operation.IS_NULL, scope=self._scopes[root].number)
            return Value("truth", first if is_null else self._table.add(Operation.NOT, first))
        if not path and not self._scopes[root].path:
            return self._table.constant(not is_null)
        scope, place = self._slot(root, path, left)
        found = self._table.add(Operation.IS_NULL, scope=scope, slot=place.number)
        return Value("truth", found if is_null else self._table.add(Operation.NOT, found))

    def _among(self, left: ast.expr, right: ast.expr) -> int:
        listed = listed_texts(right)
        if listed is not None:
            numbers = {text.encode(): 0 for text in listed}
        elif isinstance(right, ast.Name) and right.id in self._vocabulary:
            numbers = {text.encode(): number for text, number in self._vocabulary[right.id].items()}
        else:
            raise self._wrong(right, "is no vocabulary")
        text = self._text(left)
        short = {key: number for key, number in numbers.items() if len(key) <= _LONGEST_ENTRY}
        among = self._table.add(Operation.AMONG, text, entries=short)
        for key in sorted(numbers.keys() - short.keys()):
            same = self._table.add(Operation.SAME_TEXT, text, self._table.add(Operation.TEXT_CONSTANT, text=key))
            among = self._table.add(Operation.OR, among, same)
        return among

    def _tested(self, node: ast.Call) -> Value:
        name = cast(ast.Name, node.func).id
        if name == "matches":
            allowed, least, most = pattern_of(node.args[1], self._where)
            text = self._text(node.args[0])
            return Value(
                "truth", self._table.add(Operation.MATCHES, text, text=allowed.encode(), least=least, most=most)
            )
        if name == "unique":
            return Value("truth", self._table.add(Operation.UNIQUE, self._text(node.args[0])))
        value, decimals = self._value(node.args[0]), node.args[1]
        if not isinstance(decimals, ast.Subscript) or value.kind != "number":
            raise self._wrong(node, "takes a number and VOCABULARY[text]")
        known = self._known(decimals)
        coins = {text.encode(): 10 ** max(value.scale - number, 0) for text, number in known.items()}
        coin = self._table.add(Operation.LOOKED_UP, self._text(decimals.slice), entries=coins)
        return Value("truth", self._table.add(Operation.WHOLE, value.node, coin))

    # -- values ---------------------------------------------------------------------------------------------

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            return self._literal(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self._numeric(node.operand)
            known = self._table.known_number(value)
            if known is not None:
                return self._table.number(-known)
            zero = self._table.add(Operation.NUMBER_CONSTANT)
            return Value("number", self._table.add(Operation.SUBTRACT, zero, value.node), value.scale)
        if isinstance(node, ast.BinOp):
            return self._calculated(node)
        if isinstance(node, ast.Call):
            return self._called(node)
        if isinstance(node, ast.Subscript):
            numbers = {text.encode(): number for text, number in self._known(node).items()}
            return Value("number", self._table.add(Operation.LOOKED_UP, self._text(node.slice), entries=numbers))
        root, path = self._path(node)
        scope, place = self._slot(root, path, node)
        kind = _KINDS.get(place.shape.leaf)
        if kind is None or place.shape.is_list:
            raise self._wrong(node, "is no text, number, day, instant or truth")
        operation = Operation.TEXT_SLOT if kind == "text" else Operation.NUMBER_SLOT
        scale = place.shape.decimal.scale if place.shape.decimal is not None else 0
        return Value(kind, self._table.add(operation, scope=scope, slot=place.number), scale)

    def _literal(self, node: ast.Constant) -> Value:
        if isinstance(node.value, str):
            return Value("text", self._table.add(Operation.TEXT_CONSTANT, text=node.value.encode()))
        if node.value is None:
            raise self._wrong(node, "is not compared; say `is None`")
        return self._table.number(Decimal(str(node.value)))

    def _calculated(self, node: ast.BinOp) -> Value:
        left, right = self._numeric(node.left), self._numeric(node.right)
        known = self._table.folded(left, node.op, right)
        if known is not None:
            return known
        if isinstance(node.op, ast.Mult):
            scale = left.scale + right.scale
            if scale > _LARGEST_SCALE:
                raise self._wrong(node, f"has {scale} decimals; at most {_LARGEST_SCALE} are calculated with")
            return Value("number", self._table.add(Operation.MULTIPLY, left.node, right.node), scale)
        first, second, scale = self._table.aligned(left, right)
        operation = Operation.ADD if isinstance(node.op, ast.Add) else Operation.SUBTRACT
        return Value("number", self._table.add(operation, first, second), scale)

    def _called(self, node: ast.Call) -> Value:
        name = cast(ast.Name, node.func).id
        if name == "count":
            return Value("number", self._table.add(Operation.COUNT, scope=self._scopes[self._items].number))
        if name == "total":
            value = self._numeric(node.args[0])
            items = self._scopes[self._items].number
            return Value("number", self._table.add(Operation.TOTAL, value.node, scope=items), value.scale)
        if name == "before":
            mark = cast(str, cast(ast.Constant, node.args[1]).value).encode()[0]
            return Value("text", self._table.add(Operation.TEXT_BEFORE, self._text(node.args[0]), number=mark))
        if name in _DAY_FUNCTIONS:
            return self._dated(name, node)
        raise self._wrong(node, f"is no value; of {', '.join(ITEM_FUNCTIONS)} only total and count are")

    def _dated(self, name: str, node: ast.Call) -> Value:
        if name == "day":
            written = cast(date, day_of(node.args[0]))
            return Value("day", self._table.add(Operation.NUMBER_CONSTANT, number=(written - _EPOCH).days))
        day = self._value(node.args[0])
        if day.kind != "day":
            raise self._wrong(node, f"takes a day, not a {day.kind}")
        if name == "midnight":
            micros = self._table.add(Operation.NUMBER_CONSTANT, number=_DAY_MICROS)
            return Value("instant", self._table.add(Operation.MULTIPLY, day.node, micros))
        days = self._numeric(node.args[1])
        if days.scale:
            raise self._wrong(node, "takes a whole number of days")
        return Value("day", self._table.add(Operation.ADD, day.node, days.node))

    def _known(self, node: ast.Subscript) -> Mapping[str, int]:
        return self._vocabulary[cast(ast.Name, node.value).id]

    def _numeric(self, node: ast.expr) -> Value:
        value = self._value(node)
        if value.kind != "number":
            raise self._wrong(node, f"is no number but a {value.kind}")
        return value

    def _text(self, node: ast.expr) -> int:
        value = self._value(node)
        if value.kind != "text":
            raise self._wrong(node, f"is no text but a {value.kind}")
        return value.node

    # -- names ----------------------------------------------------------------------------------------------

    def _path(self, node: ast.expr) -> tuple[str, str]:
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            raise self._wrong(node, "is no attribute of a record")
        return node.id, ".".join(reversed(names))

    def _slot(self, root: str, path: str, node: ast.expr) -> tuple[int, SlotPlace]:
        if root in self._absent:
            raise self._wrong(node, "is never there on the fast path; ask `is None` first, with `or`")
        scope = self._scopes[root]
        full = ".".join(part for part in (scope.path, path) if part)
        if full not in scope.slots:
            raise self._wrong(node, "is no attribute")
        return scope.number, scope.slots[full]

    def _wrong(self, node: ast.expr, what: str) -> ConfigurationError:
        return ConfigurationError(f"condition {self._where!r}: {ast.unparse(node)} {what}")

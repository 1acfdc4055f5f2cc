"""The nodes that `conditions.c` evaluates on scanned records."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, auto
from typing import Literal, cast


class Operation(IntEnum):
    """As `enum Operation` in scan.h."""

    TRUTH_CONSTANT = 0
    TRUTH_SLOT = auto()
    AND = auto()
    OR = auto()
    NOT = auto()
    EQUAL = auto()
    BELOW = auto()
    AT_MOST = auto()
    SAME_TEXT = auto()
    AMONG = auto()
    MATCHES = auto()
    IS_NULL = auto()
    UNIQUE = auto()
    WHOLE = auto()
    NUMBER_CONSTANT = auto()
    NUMBER_SLOT = auto()
    ADD = auto()
    SUBTRACT = auto()
    MULTIPLY = auto()
    TOTAL = auto()
    COUNT = auto()
    LOOKED_UP = auto()
    TEXT_CONSTANT = auto()
    TEXT_SLOT = auto()
    TEXT_BEFORE = auto()


Node = tuple[int, int, int, int, int, int, bytes, dict[bytes, int], int, int]
Kind = Literal["number", "text", "truth", "day", "instant"]


@dataclass(frozen=True, slots=True)
class Value:
    """The node of a part; a number's value is its node's divided by 10 ** scale. `constant`: known beforehand."""

    kind: Kind
    node: int
    scale: int = 0
    constant: bool | None = None


class NodeTable:
    """The nodes of all conditions of a fast path: each is there once, however many conditions say it."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._places: dict[tuple[object, ...], int] = {}

    def add(
        self,
        operation: Operation,
        left: int = -1,
        right: int = -1,
        *,
        scope: int = 0,
        slot: int = 0,
        number: int = 0,
        text: bytes = b"",
        entries: dict[bytes, int] | None = None,
        least: int = 0,
        most: int = 0,
    ) -> int:
        """The number of the node that says this."""
        node = (operation, left, right, scope, slot, number, text, entries or {}, least, most)
        # What was said before is not said again: fewer nodes stay nearer to the processor.
        key = (*node[:7], tuple(sorted(node[7].items())), least, most)
        if key not in self._places:
            self._places[key] = len(self.nodes)
            self.nodes.append(node)
        return self._places[key]

    def constant(self, value: bool) -> Value:
        """A truth that does not depend on a record."""
        return Value("truth", self.add(Operation.TRUTH_CONSTANT, number=int(value)), constant=value)

    def number(self, value: Decimal) -> Value:
        """A number that does not depend on a record, at the scale in which it is written."""
        scale = max(0, -cast(int, value.as_tuple().exponent))
        return Value("number", self.add(Operation.NUMBER_CONSTANT, number=int(value.scaleb(scale))), scale)

    def known_number(self, value: Value) -> Decimal | None:
        """What a number is, where it does not depend on a record."""
        node = self.nodes[value.node]
        return Decimal(node[5]).scaleb(-value.scale) if node[0] == Operation.NUMBER_CONSTANT else None

    def folded(self, left: Value, operator: ast.operator, right: Value) -> Value | None:
        """The value of two constants, calculated beforehand."""
        one, other = self.known_number(left), self.known_number(right)
        if one is None or other is None:
            return None
        value = one * other if isinstance(operator, ast.Mult) else one + other
        if isinstance(operator, ast.Sub):
            value = one - other
        return self.number(value)

    def aligned(self, left: Value, right: Value) -> tuple[int, int, int]:
        """Both nodes at the larger of their scales, and that scale."""
        scale = max(left.scale, right.scale)
        return self._scaled(left, scale), self._scaled(right, scale), scale

    def _scaled(self, value: Value, scale: int) -> int:
        if value.scale == scale:
            return value.node
        known = self.known_number(value)
        if known is not None:
            return self.add(Operation.NUMBER_CONSTANT, number=int(known.scaleb(scale)))
        factor = self.add(Operation.NUMBER_CONSTANT, number=10 ** (scale - value.scale))
        return self.add(Operation.MULTIPLY, value.node, factor)

"""The small expression language of mapping files: columns, constants, arithmetic, conditions, a few functions.

It is a subset of Python's expressions, checked node by node before it is compiled: nothing can be imported, no
attribute but `root.COLUMN` and `parent.COLUMN` can be reached, and only the functions below can be called.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from schemas.currencies import exponent_of
from schemas.errors import ConfigurationError, InvalidValue

_ALLOWED = (
    ast.Expression,
    ast.Constant,
    ast.Name,
    ast.Load,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.UnaryOp,
    ast.USub,
    ast.Not,
    ast.BoolOp,
    ast.And,
    ast.Or,
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
    ast.Tuple,
    ast.IfExp,
    ast.Call,
    ast.Attribute,
)


def concat(*parts: Any) -> str | None:
    """All parts as one text; None if any part is None."""
    return None if any(part is None for part in parts) else "".join(map(str, parts))


def text(value: Any) -> str | None:
    """The value as text; None stays None."""
    return None if value is None else str(value)


def number(value: Any) -> Decimal | None:
    """The value as an exact decimal; None stays None."""
    if isinstance(value, float):
        raise InvalidValue(f"{value!r} is a binary float: its decimal value is a guess", rule="mapping")
    return None if value is None else Decimal(value)


def coalesce(*values: Any) -> Any:
    """The first value that is not None."""
    return next((value for value in values if value is not None), None)


def money(value: Decimal | int, currency: str) -> Decimal:
    """The value rounded half up to the currency's smallest coin (ISO 4217)."""
    return Decimal(value).quantize(Decimal(1).scaleb(-exponent_of(currency)), rounding=ROUND_HALF_UP)


def day(value: datetime | date | str | None) -> date | None:
    """The calendar day of a time, a date or an ISO 8601 text."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
    return value.date() if isinstance(value, datetime) else value


def instant(value: datetime | date | str | None) -> datetime | None:
    """The value as a time; a mere day begins at midnight UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value


def total(items: Iterable[Any], attribute: str) -> Decimal:
    """The sum of one attribute over a list built before, such as `total(order_lines, 'line_extension_amount')`."""
    return sum((getattr(item, attribute) for item in items), Decimal(0))


def _upper(value: str | None) -> str | None:
    return None if value is None else value.upper()


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def _strip(value: str | None) -> str | None:
    """Without surrounding blanks; an empty text is None."""
    return None if value is None else value.strip() or None


FUNCTIONS = {
    "concat": concat,
    "text": text,
    "number": number,
    "coalesce": coalesce,
    "money": money,
    "day": day,
    "instant": instant,
    "total": total,
    "upper": _upper,
    "lower": _lower,
    "strip": _strip,
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression: Python source over `row`, `root`, `parent`, and the columns that it reads."""

    source: str
    code: str
    columns: frozenset[str]
    root_columns: frozenset[str]
    parent_columns: frozenset[str]


def parse_expression(source: str, *, where: str, lookups: Mapping[str, Any], lists: frozenset[str]) -> Expression:
    """Check `source`; `lists` are the names of lists built before it, `where` names it in messages.

    Raises:
        ConfigurationError: a syntax error, or something that the language does not have.
    """
    try:
        tree = ast.parse(source.strip(), mode="eval")
    except SyntaxError as exc:
        raise ConfigurationError(f"{where}: {source!r} is not an expression: {exc.msg} (column {exc.offset})") from exc
    translation = _Translation(where, source, lookups, lists)
    code = ast.unparse(ast.fix_missing_locations(translation.visit(tree)))
    return Expression(
        source,
        code,
        frozenset(translation.columns["row"]),
        frozenset(translation.columns["root"]),
        frozenset(translation.columns["parent"]),
    )


class _Translation(ast.NodeTransformer):
    """Turns columns into look-ups in `row`, `root` and `parent`, and refuses what the language does not have."""

    def __init__(self, where: str, source: str, lookups: Mapping[str, Any], lists: frozenset[str]) -> None:
        self.columns: dict[str, set[str]] = {"row": set(), "root": set(), "parent": set()}
        self._where, self._source, self._lookups, self._lists = where, source, lookups, lists

    def visit(self, node: ast.AST) -> Any:
        if not isinstance(node, _ALLOWED):
            raise self._error(f"{type(node).__name__} is not part of the mapping language")
        return super().visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._lists:
            return ast.Subscript(ast.Name("lists", ast.Load()), ast.Constant(node.id), ast.Load())
        return self._column("row", node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if not isinstance(node.value, ast.Name) or node.value.id not in ("root", "parent"):
            raise self._error("only root.COLUMN and parent.COLUMN may have a dot")
        return self._column(node.value.id, node.attr)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, float):
            exact = ast.Constant(ast.get_source_segment(self._source.strip(), node) or repr(node.value))
            return ast.Call(ast.Name("number", ast.Load()), [exact], [])
        if node.value is None or isinstance(node.value, (str, int, bool)):
            return node
        raise self._error(f"constant {node.value!r}")

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self._error("a call is NAME(value, ...)")
        name = node.func.id
        arguments = [self.visit(argument) for argument in node.args]
        if name == "lookup":
            return self._lookup(node, arguments)
        if name not in FUNCTIONS:
            raise self._error(f"unknown function {name!r}; there are lookup, {', '.join(sorted(FUNCTIONS))}")
        return ast.Call(ast.Name(name, ast.Load()), arguments, [])

    def _lookup(self, node: ast.Call, arguments: list[ast.expr]) -> ast.expr:
        table = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if len(arguments) != 2 or table not in self._lookups:
            raise self._error(
                f"lookup('TABLE', value) needs a table from [lookups]: {', '.join(sorted(self._lookups)) or 'none'}"
            )
        return ast.Call(ast.Name("lookup", ast.Load()), arguments, [])

    def _column(self, scope: str, name: str) -> ast.expr:
        if name.startswith("_"):
            raise self._error(f"{name!r} is no column name")
        self.columns[scope].add(name)
        return ast.Subscript(ast.Name(scope, ast.Load()), ast.Constant(name), ast.Load())

    def _error(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._where}: {self._source!r}: {problem}")

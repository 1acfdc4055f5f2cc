"""The small expression language of mapping files: columns, constants, arithmetic, conditions, a few functions.

It is a subset of Python's expressions, checked node by node before it is compiled: nothing can be imported, no
attribute but `root.COLUMN` and `parent.COLUMN` can be reached, and only the functions of `schemas.mapping.functions`
can be called. A column whose name is no Python name is written `column('the name')`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.attributes import CanonicalModel
from schemas.avro import shapes_of
from schemas.errors import ConfigurationError
from schemas.mapping.functions import SIGNATURES

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


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression: Python source over `row`, `root`, `parent`, and the columns that it reads."""

    source: str
    code: str
    columns: frozenset[str]
    root_columns: frozenset[str]
    parent_columns: frozenset[str]


ListModels = Mapping[str, type[CanonicalModel]]
"""The lists that an expression may total, by name."""


def parse_expression(source: str, *, where: str, lookups: Mapping[str, Any], lists: ListModels) -> Expression:
    """Check `source`; `lists` are the lists built before it, `where` names it in messages.

    Raises:
        ConfigurationError: a syntax error, or something that the language does not have.
    """
    stripped = source.strip()
    try:
        tree = ast.parse(stripped, mode="eval")
        translation = _Translation(where, stripped, lookups, lists)
        code = ast.unparse(ast.fix_missing_locations(translation.visit(tree)))
    except SyntaxError as exc:
        raise ConfigurationError(f"{where}: {source!r} is not an expression: {exc.msg} (column {exc.offset})") from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        raise ConfigurationError(f"{where}: {source[:80]!r} is not an expression: {exc}") from exc
    return Expression(
        source,
        code,
        frozenset(translation.columns["row"]),
        frozenset(translation.columns["root"]),
        frozenset(translation.columns["parent"]),
    )


class _Translation(ast.NodeTransformer):
    """Turns columns into look-ups in `row`, `root` and `parent`, and refuses what the language does not have."""

    def __init__(self, where: str, source: str, lookups: Mapping[str, Any], lists: ListModels) -> None:
        self.columns: dict[str, set[str]] = {"row": set(), "root": set(), "parent": set()}
        self._where, self._source, self._lookups, self._lists = where, source, lookups, lists

    def visit(self, node: ast.AST) -> Any:
        if not isinstance(node, _ALLOWED):
            raise self._error(f"{type(node).__name__} is not part of the mapping language")
        return super().visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._column("row", node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if not isinstance(node.value, ast.Name) or node.value.id not in ("root", "parent"):
            raise self._error("only root.COLUMN and parent.COLUMN may have a dot")
        return self._column(node.value.id, node.attr)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, float):
            exact = ast.Constant(ast.get_source_segment(self._source, node) or repr(node.value))
            return ast.Call(ast.Name("number", ast.Load()), [exact], [])
        if node.value is None or isinstance(node.value, (str, int, bool)):
            return node
        raise self._error(f"constant {node.value!r} is not part of the mapping language")

    def visit_Compare(self, node: ast.Compare) -> Any:
        for operator, operand in zip(node.ops, node.comparators, strict=True):
            is_none = isinstance(operand, ast.Constant) and operand.value is None
            if isinstance(operator, ast.Is | ast.IsNot) and not is_none:
                raise self._error("is compares with None only; use ==")
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        if isinstance(node.op, ast.Div):
            # Python divides two integers into a binary float.
            return ast.Call(ast.Name("divide", ast.Load()), [self.visit(node.left), self.visit(node.right)], [])
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self._error("a call is NAME(value, ...)")
        name = node.func.id
        if name == "column":
            return self._column("row", self._text_argument(node, 0, "column('NAME') needs the column's name as a text"))
        if name == "total":
            return self._total(node)
        if name == "lookup":
            return self._lookup(node)
        if name not in SIGNATURES:
            known = ", ".join(sorted({"column", "lookup", "total", *SIGNATURES} - {"divide"}))
            raise self._error(f"unknown function {name!r}; there are {known}")
        arguments = [self.visit(argument) for argument in node.args]
        try:
            SIGNATURES[name].bind(*arguments)
        except TypeError as exc:
            raise self._error(f"{name}{_described(SIGNATURES[name])}: {exc}") from exc
        return ast.Call(ast.Name(name, ast.Load()), arguments, [])

    def _lookup(self, node: ast.Call) -> ast.expr:
        table = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if len(node.args) != 2 or table not in self._lookups:
            raise self._error(
                f"lookup('TABLE', value) needs a table from [lookups]: {', '.join(sorted(self._lookups)) or 'none'}"
            )
        return ast.Call(ast.Name("lookup", ast.Load()), [node.args[0], self.visit(node.args[1])], [])

    def _total(self, node: ast.Call) -> ast.expr:
        usage = f"total(LIST, 'ATTRIBUTE') needs a list of this record: {', '.join(self._lists) or 'it has none'}"
        attribute = self._text_argument(node, 1, usage)
        name = node.args[0].id if isinstance(node.args[0], ast.Name) else ""
        if len(node.args) != 2 or name not in self._lists:
            raise self._error(usage)
        numbers = [shape.name for shape in shapes_of(self._lists[name]) if shape.leaf in (Decimal, int)]
        if attribute not in numbers:
            raise self._error(f"{name} has no number {attribute!r}; it has {', '.join(numbers) or 'none'}")
        items = ast.Subscript(ast.Name("lists", ast.Load()), ast.Constant(name), ast.Load())
        return ast.Call(ast.Name("total", ast.Load()), [items, ast.Constant(attribute)], [])

    def _text_argument(self, node: ast.Call, place: int, usage: str) -> str:
        if len(node.args) != place + 1 or not isinstance(constant := node.args[place], ast.Constant):
            raise self._error(usage)
        if not isinstance(constant.value, str):
            raise self._error(usage)
        return constant.value

    def _column(self, scope: str, name: str) -> ast.expr:
        if name.startswith("__"):
            raise self._error(f"{name!r} is no column name")
        self.columns[scope].add(name)
        return ast.Subscript(ast.Name(scope, ast.Load()), ast.Constant(name), ast.Load())

    def _error(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._where}: {self._source!r}: {problem}")


def _described(signature: inspect.Signature) -> str:
    return f"({', '.join(signature.parameters)})"

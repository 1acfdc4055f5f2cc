"""The queries that read a portion of a tree of tables: the top table's rows and, joined to them, all rows below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from psycopg import sql

from producers.cdc.changes import TableName
from producers.cdc.portions import KeyRange, Keys, Orphans, Portion
from producers.cdc.postgres.catalog import Table
from producers.cdc.tables import KeyValues, TablePlan
from schemas.errors import ConfigurationError

_ORDERED_ALIKE: Final = frozenset({20, 21, 23, 26, 1082, 1114, 1184, 2950})
"""Integers, dates, times and UUIDs: a range of them means the same whatever column holds them (no collation)."""


class SubtreeQueries:
    """Makes the SQL for the live tables; each table is called `t<number of its plan>` inside."""

    def __init__(self, tables: Mapping[TableName, Table]) -> None:
        self._tables = tables

    def rows(self, plan: TablePlan, top: TablePlan, portion: Portion) -> sql.Composed:
        """Rows of `plan` (the top table or one below it) that belong to the portion."""
        assert plan.relation is not None
        columns = [column.name for column in plan.relation.columns]
        return sql.SQL("SELECT {} FROM {} WHERE {}").format(
            self._list(plan, columns), self._from(plan), self._belongs(plan, top, portion)
        )

    def next_key(self, top: TablePlan, portion: KeyRange | Orphans, count: int) -> sql.Composed:
        """The key of the `count`-th row of the portion: the end of a chunk; no row if fewer are left."""
        names = sql.SQL(", ").join(sql.Identifier(f"k{place}") for place in range(len(top.mapping.key)))
        text = sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier(f"k{place}")) for place in range(len(top.mapping.key))
        )
        sources = [(top, top.mapping.key)] if top.relation is not None else _links_to(top)
        parts = [
            sql.SQL("(SELECT DISTINCT {} FROM {} WHERE {} AND {} ORDER BY {} LIMIT {})").format(
                sql.SQL(", ").join(
                    sql.SQL("{} AS {}").format(self._column(plan, column), sql.Identifier(f"k{place}"))
                    for place, column in enumerate(columns)
                ),
                self._from(plan),
                self._belongs(plan, top, portion),
                _all(sql.SQL("{} IS NOT NULL").format(self._column(plan, column)) for column in columns),
                names,
                sql.Literal(count),
            )
            for plan, columns in sources
        ]
        return sql.SQL("SELECT {} FROM ({}) AS keys ORDER BY {} OFFSET {} LIMIT 1").format(
            text, sql.SQL(" UNION ").join(parts), names, sql.Literal(count - 1)
        )

    def count(self, top: TablePlan, portion: KeyRange) -> sql.Composed:
        """How many rows of the top table belong to the portion."""
        return sql.SQL("SELECT count(*) FROM {} WHERE {}").format(self._from(top), self._belongs(top, top, portion))

    def _belongs(self, plan: TablePlan, top: TablePlan, portion: Portion) -> sql.Composable:
        if plan is top:
            return self._selected(plan, plan.mapping.key, portion)
        assert plan.parent is not None and plan.mapping.parent is not None
        links = plan.mapping.parent.columns
        if plan.parent is top and self._selects_links(plan, top, portion):
            return self._selected(plan, links, portion)
        return sql.SQL("({}) IN (SELECT {} FROM {} WHERE {})").format(
            self._list(plan, links),
            self._list(plan.parent, plan.parent.mapping.key),
            self._from(plan.parent),
            self._belongs(plan.parent, top, portion),
        )

    def _selects_links(self, plan: TablePlan, top: TablePlan, portion: Portion) -> bool:
        """Whether the portion of the top table's keys may be looked up in the child's links without the top table."""
        if top.relation is None or isinstance(portion, Keys):
            return True
        assert plan.mapping.parent is not None
        types = [self._type_id(plan, link) for link in plan.mapping.parent.columns]
        alike = types == [self._type_id(top, key) for key in top.mapping.key] and set(types) <= _ORDERED_ALIKE
        return alike and isinstance(portion, KeyRange) and not portion.bounds

    def _selected(self, plan: TablePlan, columns: Sequence[str], portion: Portion) -> sql.Composable:
        if isinstance(portion, Keys):
            return self._in(plan, columns, portion.keys)
        conditions: list[sql.Composable] = [
            self._compared(plan, columns, operator, key)
            for operator, key in ((">", portion.after), ("<=", portion.up_to))
            if key is not None
        ]
        if isinstance(portion, Orphans):
            conditions.append(self._orphaned(plan))
        elif portion.bounds:
            conditions += [
                sql.SQL("{} {} {}::{}").format(
                    self._column(plan, bound.column),
                    sql.SQL({">=": ">=", "<=": "<=", "<": "<"}[bound.operator]),
                    sql.Literal(bound.value),
                    sql.SQL(self._type_name(plan, bound.column)),
                )
                for bound in portion.bounds
            ]
        return _all(conditions)

    def _in(self, plan: TablePlan, columns: Sequence[str], keys: Sequence[KeyValues]) -> sql.Composed:
        arrays = sql.SQL(", ").join(
            sql.SQL("{}::{}[]").format(
                sql.Literal([key[place].decode() for key in keys]), sql.SQL(self._type_name(plan, column))
            )
            for place, column in enumerate(columns)
        )
        return sql.SQL("({}) IN (SELECT * FROM unnest({}))").format(self._list(plan, columns), arrays)

    def _compared(self, plan: TablePlan, columns: Sequence[str], operator: str, key: KeyValues) -> sql.Composed:
        values = sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Literal(value.decode()), sql.SQL(self._type_name(plan, column)))
            for value, column in zip(key, columns, strict=True)
        )
        comparison = sql.SQL("({}) > ({})") if operator == ">" else sql.SQL("({}) <= ({})")
        return comparison.format(self._list(plan, columns), values)

    def _orphaned(self, plan: TablePlan) -> sql.Composable:
        assert plan.parent is not None and plan.mapping.parent is not None
        links = plan.mapping.parent.columns
        without = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(self._column(plan, link)) for link in links)
        if plan.parent.relation is None:
            return sql.SQL("({})").format(without)
        joined = _all(
            sql.SQL("{} = {}").format(self._column(plan.parent, key), self._column(plan, link))
            for key, link in zip(plan.parent.mapping.key, links, strict=True)
        )
        return sql.SQL("({} OR NOT EXISTS (SELECT FROM {} WHERE {}))").format(without, self._from(plan.parent), joined)

    def _from(self, plan: TablePlan) -> sql.Composed:
        assert plan.relation is not None
        return sql.SQL("{} AS {}").format(sql.Identifier(*plan.relation.name), sql.Identifier(f"t{plan.number}"))

    def _column(self, plan: TablePlan, name: str) -> sql.Identifier:
        return sql.Identifier(f"t{plan.number}", name)

    def _list(self, plan: TablePlan, names: Iterable[str]) -> sql.Composed:
        return sql.SQL(", ").join(self._column(plan, name) for name in names)

    def _type_name(self, plan: TablePlan, column: str) -> str:
        assert plan.relation is not None
        found = self._tables[plan.relation.name].column(column)
        if found is None:
            raise ConfigurationError(f"table {plan.relation.name} has no column {column}")
        return found.type_name

    def _type_id(self, plan: TablePlan, column: str) -> int:
        assert plan.relation is not None
        found = self._tables[plan.relation.name].column(column)
        return -1 if found is None else found.type_id


def _links_to(top: TablePlan) -> list[tuple[TablePlan, Sequence[str]]]:
    """A table that the source does not have is known by the links of its children."""
    return [(child, child.mapping.parent.columns) for child in top.children if child.mapping.parent is not None]


def _all(conditions: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL(" AND ").join(conditions) if (conditions := list(conditions)) else sql.SQL("true")

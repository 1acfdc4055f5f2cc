"""The statements that move staged rows into the ERP's tables, where they are newer."""

from __future__ import annotations

from psycopg import sql

from consumers.erp.tables import COMMERCIAL, HEADER, SALES_ORDER, SALES_ORDER_LINE
from consumers.postgres.bulk import Table, assignments, names

CREATE_APPLIED = sql.SQL(
    "CREATE TEMPORARY TABLE applied_order (order_id text PRIMARY KEY, has_lines boolean NOT NULL, "
    "is_new boolean NOT NULL) ON COMMIT DELETE ROWS"
)
"""The orders of the transaction whose staged version is newer than the one that the table held, if it held one."""

_APPLY = """
WITH applied AS (
    INSERT INTO sales_order AS held ({columns})
    SELECT {columns} FROM staged_sales_order WHERE (issue_date IS NOT NULL) = {with_commercial} ORDER BY order_id
    ON CONFLICT (order_id) DO UPDATE SET {assignments} WHERE held.version < excluded.version
    RETURNING order_id, xmax = 0 AS is_new
)
INSERT INTO applied_order SELECT order_id, {with_commercial}, is_new FROM applied
"""
# A row that this statement inserted was locked by nobody: its xmax is 0. One that it updated was locked for that.

APPLY_ORDERS = (
    sql.SQL(_APPLY).format(
        columns=SALES_ORDER.listed, assignments=assignments(HEADER + COMMERCIAL), with_commercial=sql.Literal(True)
    ),
    sql.SQL(_APPLY).format(
        columns=names(("order_id", *HEADER)), assignments=assignments(HEADER), with_commercial=sql.Literal(False)
    ),
)
"""Orders with commercial facts, then those without, whose row keeps the last ones."""


def remove_vanished(part: Table) -> sql.Composed:
    """Delete what an applied order no longer has; the lines of an order without commercial facts stay.

    An order that is new has nothing to look for, which saves seven searches for each of them.
    """
    return sql.SQL(
        "DELETE FROM {target} AS held USING applied_order AS applied "
        "WHERE held.order_id = applied.order_id AND NOT applied.is_new AND {kept} "
        "AND NOT EXISTS (SELECT FROM {staged} AS staged WHERE ({staged_key}) = ({held_key}))"
    ).format(
        target=part.target,
        staged=part.staged,
        kept=sql.SQL("applied.has_lines" if part is SALES_ORDER_LINE else "true"),
        staged_key=_qualified("staged", part.key),
        held_key=_qualified("held", part.key),
    )


def upsert(part: Table) -> sql.Composed:
    """Insert what an applied order has, and update what differs."""
    return sql.SQL(
        "INSERT INTO {target} AS held ({columns}) "
        "SELECT {columns} FROM {staged} JOIN applied_order USING (order_id) "
        "ON CONFLICT ({key}) DO UPDATE SET {assignments} WHERE ({held}) IS DISTINCT FROM ({proposed})"
    ).format(
        target=part.target,
        columns=part.listed,
        staged=part.staged,
        key=names(part.key),
        assignments=assignments(part.values),
        held=_qualified("held", part.values),
        proposed=_qualified("excluded", part.values),
    )


def _qualified(alias: str, columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, column) for column in columns)

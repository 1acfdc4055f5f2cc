"""The statements that bring what was told into the tables, and from there into the system's records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from consumers.postgres.bulk import Table, assignments, names
from consumers.write_back.told import DIFFERENCE, REFUSAL, VERSION, WAITING
from schemas.mapping.write_back import FIELDS, WriteBack

CREATE_TOUCHED: Final = sql.SQL("CREATE TEMPORARY TABLE touched_order (order_number text) ON COMMIT DELETE ROWS")
"""The orders of which the transaction tells something."""

TOUCH: Final[dict[Table, sql.SQL]] = {
    **{
        table: sql.SQL(f"INSERT INTO touched_order SELECT order_number FROM staged_{table.name}")
        for table in (VERSION, WAITING, REFUSAL)
    },
    # What has healed has nothing but its key: the order is that of the row that goes.
    DIFFERENCE: sql.SQL(
        "INSERT INTO touched_order SELECT coalesce(staged.order_number, held.order_number) "
        "FROM staged_ordersync_difference AS staged LEFT JOIN ordersync_difference AS held USING (mismatch_id) "
        "WHERE coalesce(staged.order_number, held.order_number) IS NOT NULL"
    ),
}


def _upsert(table: Table, newer: str) -> sql.Composed:
    return sql.SQL(
        "INSERT INTO {name} AS held ({columns}) SELECT {columns} FROM {staged} WHERE {first} IS NOT NULL "
        "ORDER BY {key} ON CONFLICT ({key}) DO UPDATE SET {assignments} WHERE {newer}"
    ).format(
        name=table.target,
        columns=table.listed,
        staged=table.staged,
        first=sql.Identifier(table.values[0]),
        key=sql.Identifier(*table.key),
        assignments=assignments(table.values),
        newer=sql.SQL(newer),
    )


def _remove(table: Table) -> sql.Composed:
    return sql.SQL(
        "DELETE FROM {name} AS held USING {staged} AS staged WHERE held.{key} = staged.{key} AND {gone}"
    ).format(
        name=table.target,
        staged=table.staged,
        key=sql.Identifier(*table.key),
        gone=sql.SQL("staged.{} IS NULL").format(sql.Identifier(table.values[0])),
    )


APPLY: Final[dict[Table, list[sql.SQL | sql.Composed]]] = {
    VERSION: [TOUCH[VERSION], _upsert(VERSION, "held.version < excluded.version")],
    REFUSAL: [TOUCH[REFUSAL], _upsert(REFUSAL, "held.rejected_at <= excluded.rejected_at")],
    WAITING: [TOUCH[WAITING], _upsert(WAITING, "true"), _remove(WAITING)],
    DIFFERENCE: [TOUCH[DIFFERENCE], _upsert(DIFFERENCE, "true"), _remove(DIFFERENCE)],
}
"""What each table's staged rows are brought in with."""

# What was refused before the newest version was made is mended by it.
_TELL = """
WITH touched AS (SELECT DISTINCT order_number FROM touched_order), told AS (
    SELECT order_number, {order_id} AS order_id, held.*,
        CASE
            WHEN refused.rejected_at > coalesce(held.processed_at, '-infinity') THEN 'refused'
            WHEN waiting.awaits IS NOT NULL THEN 'waiting'
            WHEN differing.differences IS NOT NULL THEN 'differs'
            WHEN held.version IS NOT NULL THEN 'accepted'
        END AS status,
        CASE
            WHEN refused.rejected_at > coalesce(held.processed_at, '-infinity') THEN refused.violations
            WHEN waiting.awaits IS NOT NULL THEN waiting.awaits
            ELSE coalesce(differing.differences, held.warnings)
        END AS message
    FROM touched
    LEFT JOIN LATERAL (
        SELECT version, order_status, fulfilment_status, billing_status, payment_status, warnings, processed_at
        FROM ordersync_version WHERE ordersync_version.order_number = touched.order_number
    ) AS held ON true
    LEFT JOIN ordersync_waiting AS waiting USING (order_number)
    LEFT JOIN ordersync_refusal AS refused USING (order_number)
    LEFT JOIN LATERAL (
        SELECT string_agg(difference, '; ' ORDER BY mismatch_id) AS differences
        FROM ordersync_difference AS one WHERE one.order_number = touched.order_number
    ) AS differing ON true
)
"""
_APPLY = """
, gone AS (
    DELETE FROM ordersync_order AS held USING told WHERE told.order_number = held.order_number AND told.status IS NULL
)
INSERT INTO ordersync_order AS held ({columns}) SELECT {columns} FROM told WHERE status IS NOT NULL
ORDER BY order_number
ON CONFLICT (order_number) DO UPDATE SET {assignments} WHERE ({held}) IS DISTINCT FROM ({new})
"""


def tell(system: str | None) -> sql.Composed:
    """Bring what is known of the touched orders to `ordersync_order`; one of which nothing is left goes."""
    return sql.SQL(_TELL + _APPLY).format(
        order_id=sql.SQL("order_number") if system is None else sql.SQL("{} || order_number").format(f"{system}:"),
        columns=names(("order_number", *FIELDS)),
        assignments=assignments(FIELDS),
        held=sql.SQL(", ").join(sql.SQL("held.{}").format(sql.Identifier(name)) for name in FIELDS),
        new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(name)) for name in FIELDS),
    )


def tell_records(write_back: WriteBack, types: Mapping[str, str]) -> sql.Composed:
    """Bring what is told of the touched orders to the columns of the system's own records, where it differs.

    `types` are those of the key and the columns, as the database writes them. A number that cannot be one of this
    system's keys has no record there. A text too long for its column is cut. Where nothing is told of an order any
    more, its columns are emptied.
    """
    assert write_back.table.schema is not None and write_back.table.name is not None
    columns = [sql.Identifier(column) for column in write_back.columns]
    told = [
        sql.SQL("numbered.{}::{}").format(sql.Identifier(name), sql.SQL(types[column]))
        for column, name in write_back.columns.items()
    ]
    return sql.SQL(
        "WITH numbered AS MATERIALIZED ("
        "SELECT CASE WHEN pg_input_is_valid(order_number, {type_text}) THEN order_number::{type} END AS key, told.* "
        "FROM (SELECT DISTINCT order_number FROM touched_order) AS touched "
        "LEFT JOIN ordersync_order AS told USING (order_number)) "
        "UPDATE {table} AS record SET {assignments} FROM numbered "
        "WHERE record.{key} = numbered.key AND ROW({old}) IS DISTINCT FROM ROW({new})"
    ).format(
        type_text=sql.Literal(types[write_back.key]),
        type=sql.SQL(types[write_back.key]),
        table=sql.Identifier(write_back.table.schema, write_back.table.name),
        key=sql.Identifier(write_back.key),
        assignments=sql.SQL(", ").join(sql.SQL("{} = {}").format(*pair) for pair in zip(columns, told, strict=True)),
        old=sql.SQL(", ").join(sql.SQL("record.{}").format(column) for column in columns),
        new=sql.SQL(", ").join(told),
    )

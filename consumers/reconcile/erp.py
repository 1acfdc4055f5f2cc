"""Reads the ERP's copy of orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from psycopg import sql

from consumers.reconcile import erp_image as image
from consumers.reconcile.attributes import Attributes, Elements, put
from consumers.reconcile.rows import Snapshot, Snapshots, snapshot, text_array
from consumers.reconcile.texts import CANONICAL_TEXTS
from schemas.settings import DatabaseSettings

HEADER_COLUMNS = (
    *image.STATE_COLUMNS,
    *image.ORDER_COLUMNS,
    *(f"delivery_{name}" for name in image.ADDRESS_COLUMNS),
    *image.ENRICHMENT_COLUMNS,
    *image.BALANCES_COLUMNS,
    "deleted_at",
)
_LINE_COLUMNS = (*image.LINE_COLUMNS, *image.LINE_MASTER_COLUMNS, *image.HANDLED_COLUMNS)


@dataclass(frozen=True, slots=True)
class Part:
    """A table of what hangs on an order."""

    table: str
    path: str
    """List of which an element is one row."""
    identity: tuple[str, ...]
    """Columns that name the element."""
    columns: tuple[str, ...]
    """Columns compared."""


PARTS = (
    Part("sales_order_line", "lines", ("line_id",), _LINE_COLUMNS),
    Part("shipment", "shipments", ("shipment_id",), image.SHIPMENT_COLUMNS),
    Part("shipment_line", "shipments", ("shipment_id", "line_id"), ("quantity",)),
    Part("customer_return", "returns", ("return_id",), image.RETURN_COLUMNS),
    Part("return_line", "returns", ("return_id", "line_id"), ("quantity",)),
    Part("invoice", "invoices", ("invoice_id",), image.INVOICE_COLUMNS),
    Part("payment", "payments", ("payment_id",), image.PAYMENT_COLUMNS),
)


class ErpReader:
    """The ERP's tables, all in one snapshot."""

    def __init__(self, settings: DatabaseSettings, snapshots: Snapshots = snapshot) -> None:
        self._settings, self._snapshots = settings, snapshots

    def orders(self, order_ids: Sequence[str] | None = None) -> Iterator[tuple[str, Attributes]]:
        """Every order that the ERP holds, or those of `order_ids`, sorted by id; streaming.

        An order of which only parts are left comes too, with those parts.

        Raises:
            ConfigurationError: a table or column is missing, or the role may not read it.
            Transient: the ERP's database is away.
        """
        with self._snapshots(self._settings) as erp:
            tables = [_Rows(erp, "sales_order", (), HEADER_COLUMNS, order_ids)]
            tables += [_Rows(erp, part.table, part.identity, part.columns, order_ids) for part in PARTS]
            while heads := [rows.head for rows in tables if rows.head is not None]:
                order_id = min(heads)
                yield order_id, _attributes([rows.take(order_id) for rows in tables])


class _Rows:
    """Rows of one table by order, one order ahead."""

    def __init__(
        self,
        erp: Snapshot,
        table: str,
        identity: tuple[str, ...],
        columns: tuple[str, ...],
        order_ids: Sequence[str] | None,
    ) -> None:
        key = sql.SQL('(order_id COLLATE "C")')
        condition = (
            sql.SQL("true") if order_ids is None else sql.SQL("order_id = ANY({})").format(text_array(order_ids))
        )
        # Rows of one element that share all of its identity come in the order that the ERP numbered them.
        order = [key, *([sql.SQL("line_number")] if table.endswith("_line") else [])]
        query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
            sql.SQL(", ").join([key, *map(sql.Identifier, (*identity, *columns))]),
            sql.Identifier(table),
            condition,
            sql.SQL(", ").join(order),
        )
        self._groups = groupby(erp.rows(query, [table], CANONICAL_TEXTS), key=itemgetter(0))
        self._advance()

    @property
    def head(self) -> str | None:
        """The order of the next rows; None at the end."""
        return self._head

    def take(self, order_id: str) -> list[tuple[Any, ...]]:
        """The rows of `order_id`, without it, if they are next."""
        if self._head != order_id:
            return []
        rows = self._rows
        self._advance()
        return rows

    def _advance(self) -> None:
        self._head, self._rows = None, []
        for head, rows in self._groups:
            self._head, self._rows = head, [row[1:] for row in rows]
            return


def _attributes(tables: Sequence[list[tuple[Any, ...]]]) -> Attributes:
    """Attributes of one order from the rows of `sales_order` and of each part."""
    found: dict[str, str] = {}
    for row in tables[0]:
        put(found, "", HEADER_COLUMNS[:-1], row[:-1])
        if row[-1] is not None:
            found["is_deleted"] = "true"
    for rows, part in zip(tables[1:], PARTS, strict=True):
        path, width = part.path, len(part.identity)
        elements: dict[str, Elements] = {}
        for row in rows:
            container = path if width == 1 else f"{path}[{row[0]}].lines"
            names = elements.setdefault(container, Elements(container))
            put(found, names.next(row[width - 1]), part.columns, row[width:])
    return found

"""What the systems behind the sinks hold about one order now: the ERP's row and the ledger's journal lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from consumers.reconcile.settings import ReconcileSettings
from schemas.errors import Transient
from schemas.settings import DatabaseSettings

_ERP: LiteralString = "SELECT * FROM sales_order WHERE order_id = %s"
_LEDGER: LiteralString = """
    SELECT order_version, posting_date, rule, description, account_code, currency_code, debit_amount, credit_amount
    FROM journal_entry JOIN journal_line USING (entry_id)
    WHERE order_id = %s ORDER BY order_version, journal_entry.entry_id, line_number"""


@dataclass(frozen=True, slots=True)
class HeldBySystems:
    """One order in the ERP and in the ledger."""

    erp: dict[str, Any] | None
    """The ERP's header row."""
    ledger: Sequence[dict[str, Any]]
    """Every journal line."""


def read_systems(order_id: str, settings: ReconcileSettings) -> HeldBySystems:
    """Ask both databases now.

    Raises:
        Transient: one does not answer.
    """
    return HeldBySystems(erp_row(order_id, settings.erp), ledger_lines(order_id, settings.ledger))


def erp_row(order_id: str, database: DatabaseSettings) -> dict[str, Any] | None:
    """The ERP's header row. Raises `Transient` where it does not answer."""
    return next(iter(_rows(database, _ERP, order_id)), None)


def ledger_lines(order_id: str, database: DatabaseSettings) -> list[dict[str, Any]]:
    """Every journal line that the ledger has. Raises `Transient` where it does not answer."""
    return _rows(database, _LEDGER, order_id)


def _rows(database: DatabaseSettings, query: LiteralString, order_id: str) -> list[dict[str, Any]]:
    try:
        with psycopg.connect(database.conninfo(connect_timeout="5"), row_factory=dict_row) as connection:
            return connection.execute(query, (order_id,)).fetchall()
    except psycopg.errors.UndefinedTable:
        return []
    except psycopg.OperationalError as exc:
        raise Transient(f"database {database.dbname} does not answer: {exc}") from exc

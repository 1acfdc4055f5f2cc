"""Everything that the systems hold about one order: versions, dead letters, what waits, ERP and ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from consumers.reconcile.settings import ReconcileSettings
from deploy.commands.options import Cluster
from deploy.topic_reading import read_latest, read_topic
from schemas.errors import Transient
from schemas.models import OrderEvent, ParkedOrder, Rejection
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_EVENTS, PARKED, REJECTED

_ERP: LiteralString = "SELECT * FROM sales_order WHERE order_id = %s"
_LEDGER: LiteralString = """
    SELECT order_version, posting_date, rule, description, account_code, currency_code, debit_amount, credit_amount
    FROM journal_entry JOIN journal_line USING (entry_id)
    WHERE order_id = %s ORDER BY order_version, journal_entry.entry_id, line_number"""


@dataclass(frozen=True, slots=True)
class OrderLife:
    """One order in every system."""

    order_id: str
    versions: Sequence[OrderEvent]
    rejections: Sequence[Rejection]
    parked: ParkedOrder | None
    erp: dict[str, Any] | None
    """The ERP's header row."""
    ledger: Sequence[dict[str, Any]]
    """Every journal line."""

    @property
    def is_known(self) -> bool:
        """Whether any system holds anything."""
        return bool(self.versions or self.rejections or self.parked or self.erp or self.ledger)


def read_order_life(order_id: str, settings: ReconcileSettings) -> OrderLife:
    """Read it now, from the topics' beginnings.

    Raises:
        ConfigurationError: a topic is missing.
        Transient: a system does not answer.
    """
    cluster = Cluster(settings.kafka, settings.registry)
    erp = _rows(settings.erp, _ERP, order_id)
    return OrderLife(
        order_id=order_id,
        versions=read_topic(cluster, ORDER_EVENTS, OrderEvent, key=order_id),
        rejections=read_topic(cluster, REJECTED, Rejection, key=order_id),
        parked=read_latest(cluster, PARKED, ParkedOrder, order_id),
        erp=erp[0] if erp else None,
        ledger=_rows(settings.ledger, _LEDGER, order_id),
    )


def _rows(database: DatabaseSettings, query: LiteralString, order_id: str) -> list[dict[str, Any]]:
    try:
        with psycopg.connect(database.conninfo(connect_timeout="5"), row_factory=dict_row) as connection:
            return connection.execute(query, (order_id,)).fetchall()
    except psycopg.errors.UndefinedTable:
        return []
    except psycopg.OperationalError as exc:
        raise Transient(f"database {database.dbname} does not answer: {exc}") from exc

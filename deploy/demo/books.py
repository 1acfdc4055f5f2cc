"""What the databases say: orders by status in CRM and ERP, the ledger's balance, how far the captures are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import LiteralString

import psycopg

from deploy.demo.business import Databases
from deploy.demo.landscape import Landscape
from deploy.demo.transactions import System
from schemas.errors import Transient
from schemas.settings import DatabaseSettings

Row = tuple[object, ...]

_CRM: LiteralString = "SELECT status, count(*) FROM sales_order GROUP BY 1"
_ERP: LiteralString = "SELECT order_status, count(*) FROM sales_order GROUP BY 1"
_IMBALANCE: LiteralString = """
    SELECT coalesce(sum(abs(difference)), 0) FROM (
        SELECT sum(functional_debit_amount) - sum(functional_credit_amount) AS difference
        FROM journal_line JOIN journal_entry USING (entry_id) GROUP BY functional_currency_code, currency_code
    ) AS by_currency"""
_LOG_END: LiteralString = "SELECT pg_current_wal_flush_lsn()::text"
_CAPTURED: LiteralString = """
    SELECT count(DISTINCT database) FROM pg_replication_slots
    WHERE database = ANY(%s) AND confirmed_flush_lsn >= %s::pg_lsn"""


@dataclass(frozen=True, slots=True)
class BookCounts:
    """The databases at one moment."""

    crm: Mapping[str, int] = field(default_factory=dict)
    """Orders by status in the source."""
    erp: Mapping[str, int] = field(default_factory=dict)
    """Orders by status in the ERP; what the source deleted has status deleted there."""
    ledger_imbalance: Decimal = Decimal(0)

    @property
    def differing(self) -> int:
        """How many orders at least stand differently in the two systems."""
        statuses = (self.crm.keys() | self.erp.keys()) - {"deleted"}
        return max(
            sum(max(0, self.crm.get(status, 0) - self.erp.get(status, 0)) for status in statuses),
            sum(max(0, self.erp.get(status, 0) - self.crm.get(status, 0)) for status in statuses),
        )


class BookReader:
    """Sessions in the databases of a landscape; used by one thread. A lost session is opened again at the next call."""

    def __init__(self, landscape: Landscape) -> None:
        self._sources: Databases = landscape.sources
        self._erp = landscape.erp
        self._ledger = landscape.ledger
        self._sessions: dict[str, psycopg.Connection[Row]] = {}

    def read(self) -> BookCounts:
        """The counts now; what a sink has not created yet counts as nothing. Raises `Transient`."""
        return BookCounts(
            crm=self._counts(self._sources[System.CRM], _CRM),
            erp=self._counts(self._erp, _ERP),
            ledger_imbalance=self._imbalance(),
        )

    def log_end(self) -> str:
        """The present end of the source's log; all that was committed before lies before it. Raises `Transient`."""
        return str(self._ask(self._sources[System.CRM], _LOG_END)[0][0])

    def captured_through(self, position: str) -> bool:
        """Whether the capture of every source has confirmed all up to a log position. Raises `Transient`."""
        names = [database.dbname for database in self._sources.values()]
        return self._ask(self._sources[System.CRM], _CAPTURED, (names, position))[0][0] == len(names)

    def close(self) -> None:
        """Give the sessions back."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _counts(self, database: DatabaseSettings, query: LiteralString) -> dict[str, int]:
        return {str(status): int(str(count)) for status, count in self._ask(database, query)}

    def _imbalance(self) -> Decimal:
        rows = self._ask(self._ledger, _IMBALANCE)
        return Decimal(str(rows[0][0])) if rows else Decimal(0)

    def _ask(self, database: DatabaseSettings, query: LiteralString, values: tuple[object, ...] = ()) -> list[Row]:
        try:
            if database.dbname not in self._sessions:
                self._sessions[database.dbname] = psycopg.connect(
                    database.conninfo(application_name="ordersync demo watch", connect_timeout="5"), autocommit=True
                )
            return self._sessions[database.dbname].execute(query, values).fetchall()
        except psycopg.errors.UndefinedTable:
            return []
        except psycopg.OperationalError as exc:
            if database.dbname in self._sessions:
                self._sessions.pop(database.dbname).close()
            raise Transient(f"database {database.dbname} does not answer: {exc}") from exc

"""What `ordersync ledger` asks of the general ledger's database, and the two things that people write there."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from consumers.postgres.errors import postgres_error
from schemas.attributes import EventId, OrderId
from schemas.errors import ConfigurationError
from schemas.models import JournalEntry, JournalLine
from schemas.settings import DatabaseSettings

Connection = psycopg.Connection[dict[str, Any]]

_ENTRIES: Final = sql.SQL(
    "SELECT * FROM journal_entry WHERE order_id = %s ORDER BY order_version, posting_date, rule, entry_id"
)
_LINES: Final = sql.SQL(
    "SELECT * FROM journal_line WHERE (entry_id, period) IN "
    "(SELECT entry_id, period FROM journal_entry WHERE order_id = %s) ORDER BY line_number"
)
_TRIAL_BALANCE: Final = sql.SQL(
    "SELECT currency_code, account_code, account_name, sum(debit_amount) AS debit_amount, "
    "sum(credit_amount) AS credit_amount, sum(balance_amount) AS balance_amount, functional_currency_code, "
    "sum(functional_balance_amount) AS functional_balance_amount FROM period_balance "
    "WHERE %s::text IS NULL OR period <= %s::text "
    "GROUP BY currency_code, functional_currency_code, account_code, account_name ORDER BY 1, 2"
)
VIEWS: Final[Mapping[str, str]] = {
    "revenue": "revenue_recognised",
    "receivables": "receivables_ageing",
    "open-receivables": "open_receivable",
    "open-contracts": "open_contract",
    "backlog": "backlog",
    "backlog-lines": "backlog_line",
    "cash-flow": "cash_flow",
    "cash-forecast": "cash_forecast",
    "budget-variance": "budget_variance",
    "profitability": "profitability",
    "sales-lines": "sales_line",
    "planning-tie-out": "planning_tie_out",
    "metrics": "ledger_metrics",
    "tie-out": "subledger_tie_out",
}
"""Names on the command line, and the views of the database that they show."""
_CURRENCIES: Final = ("currency_code", "functional_currency_code")
_SUMMED: Final = ("amount", "quantity", "items", "orders")


def entries_of_order(database: DatabaseSettings, order_id: str) -> list[JournalEntry]:
    """Every entry of an order, as the ledger holds it.

    Raises:
        ConfigurationError: the ledger has none.
        Transient: its database is away.
    """
    with session_of(database, f"reading the entries of {order_id}") as session:
        entries = session.execute(_ENTRIES, (order_id,)).fetchall()
        lines = session.execute(_LINES, (order_id,)).fetchall()
    if not entries:
        raise ConfigurationError(
            f"the ledger has no entry of {order_id!r}: nothing of it was shipped, billed or paid, or the id is wrong; "
            "ids have the form <system>:<number>, such as crm:42"
        )
    return [_entry(entry, [line for line in lines if line["entry_id"] == entry["entry_id"]]) for entry in entries]


def _entry(row: Mapping[str, Any], lines: list[dict[str, Any]]) -> JournalEntry:
    told = {name: row[name] for name in JournalEntry.model_fields if name != "lines"}
    told |= {"entry_id": EventId(row["entry_id"]), "order_id": OrderId(row["order_id"])}
    return JournalEntry(**told, lines=[JournalLine(**_fields(line)) for line in lines])


def _fields(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in JournalLine.model_fields}


def trial_balance(database: DatabaseSettings, period: str | None) -> list[dict[str, Any]]:
    """Every account by currency, up to and including a period. Raises Transient and ConfigurationError."""
    with session_of(database, "reading the trial balance") as session:
        return session.execute(_TRIAL_BALANCE, (period, period)).fetchall()


def view(
    database: DatabaseSettings, name: str, *, by: Sequence[str] = (), where: Mapping[str, str] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """The rows of one of `VIEWS`: those whose columns have the values of `where`, added up by the columns `by`.

    Amounts of different currencies are never added: their columns are always among those of `by`.

    Raises:
        ConfigurationError: the view has no such column, or it cannot be added up.
        Transient: the database is away.
    """
    table = sql.Identifier(VIEWS[name])
    with session_of(database, f"reading {name}") as session:
        # A column's own name is what the view says; nothing of the caller's text becomes SQL before it is known.
        described = session.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(table)).description or []
        columns = [column.name for column in described]
        if unknown := [column for column in (*by, *where) if column not in columns]:
            raise ConfigurationError(f"{name} has no column {unknown[0]!r}; it has {', '.join(columns)}")
        shown, grouped = _columns(name, columns, by)
        conditions = [sql.SQL("{}::text = {}").format(sql.Identifier(key), sql.Literal(where[key])) for key in where]
        query = sql.SQL("SELECT {} FROM {} WHERE {} {} ORDER BY 1, 2").format(
            shown, table, sql.SQL(" AND ").join([sql.SQL("true"), *conditions]), grouped
        )
        return session.execute(query).fetchall()


def _columns(name: str, columns: Sequence[str], by: Sequence[str]) -> tuple[sql.Composable, sql.Composable]:
    """What is selected, and the GROUP BY."""
    if not by:
        return sql.SQL("*"), sql.SQL("")
    kept = list(dict.fromkeys([*by, *(column for column in columns if column in _CURRENCIES)]))
    summed = [one for one in columns if one.rpartition("_")[2] in _SUMMED and one not in kept]
    if not summed:
        raise ConfigurationError(f"{name} has nothing that can be added up by {', '.join(by)}")
    groups = sql.SQL(", ").join(map(sql.Identifier, kept))
    sums = [sql.SQL("sum({0}) AS {0}").format(sql.Identifier(column)) for column in summed]
    return sql.SQL(", ").join([groups, *sums]), sql.SQL("GROUP BY {}").format(groups)


def revenue_by_month(database: DatabaseSettings) -> dict[str, dict[str, Decimal]]:
    """Recognised revenue by functional currency and month (YYYY-MM). Raises Transient and ConfigurationError."""
    query = (
        "SELECT functional_currency_code, period, coalesce(sum(revenue_amount), 0) AS amount FROM sales_line "
        "GROUP BY 1, 2 ORDER BY 1, 2"
    )
    found: dict[str, dict[str, Decimal]] = {}
    with session_of(database, "reading revenue by month") as session:
        for row in session.execute(query):
            found.setdefault(row["functional_currency_code"], {})[row["period"]] = row["amount"]
    return found


def close_period(database: DatabaseSettings, period: str, closed_by: str) -> None:
    """Close a period and all before it: later entries about them go to the first open day.

    Raises:
        ConfigurationError: it is closed already, or no period.
        Transient: the database is away.
    """
    with session_of(database, f"closing {period}") as session:
        # Whoever writes entries now ends first, and the next one sees the period closed.
        session.execute("LOCK TABLE journal_entry IN SHARE ROW EXCLUSIVE MODE")
        known = session.execute("SELECT max(period) AS period FROM closed_period").fetchone()
        if known is not None and known["period"] is not None and known["period"] >= period:
            raise ConfigurationError(f"{known['period']} is the last closed period: {period} is closed already")
        session.execute("INSERT INTO closed_period (period, closed_by) VALUES (%s, %s)", (period, closed_by))


def load_budget(database: DatabaseSettings, path: Path) -> int:
    """Take over a budget from a CSV with period, product_category, quantity and unit_price_amount; gives its rows.

    Raises:
        ConfigurationError: the file is missing or has other columns.
        Transient: the database is away.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as exc:
        raise ConfigurationError(f"{path}: {exc.strerror}") from exc
    columns = ("period", "product_category", "quantity", "unit_price_amount")
    if not rows or set(rows[0]) != set(columns):
        raise ConfigurationError(f"{path}: a budget has the columns {', '.join(columns)} and at least one row")
    with session_of(database, f"taking over the budget {path}") as session, session.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO budget VALUES (%(period)s, %(product_category)s, %(quantity)s, %(unit_price_amount)s) "
            "ON CONFLICT (period, product_category) DO UPDATE SET quantity = excluded.quantity, "
            "unit_price_amount = excluded.unit_price_amount",
            rows,
        )
    return len(rows)


@contextmanager
def session_of(database: DatabaseSettings, doing: str) -> Iterator[Connection]:
    """One transaction; its errors become ours."""
    try:
        with psycopg.connect(database.conninfo(connect_timeout="5"), row_factory=dict_row) as session:
            yield session
    except psycopg.errors.DataError as exc:
        raise ConfigurationError(f"{doing}: {exc.diag.message_primary}") from exc
    except psycopg.errors.IntegrityError as exc:
        raise ConfigurationError(f"{doing}: {exc.diag.message_primary}") from exc
    except psycopg.Error as exc:
        raise postgres_error(exc, doing) from exc

"""Reads what a period end is about from the ledger, rates and return rates from files, and posts what the rules say."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from deploy.ledger.journal_files import post_journal
from deploy.ledger.queries import Connection, session_of
from schemas.attributes import OrderId
from schemas.errors import ConfigurationError
from schemas.models import JournalEntry
from schemas.settings import DatabaseSettings
from streams.rules.accounting.accounts import REFUND_LIABILITIES, RIGHT_TO_RECOVER_GOODS
from streams.rules.accounting.catalogue import EXPECTED_RECOVERY, REMEASUREMENT, RETURN_ESTIMATE
from streams.rules.accounting.period_end import (
    MONETARY,
    PORTFOLIO,
    Carried,
    ClosingRate,
    Sales,
    remeasured,
    returns_estimated,
)

RATE_COLUMNS: Final = ("base_currency_code", "quote_currency_code", "rate_date", "rate", "provider")
RETURN_COLUMNS: Final = ("product_category", "percent", "days")
_ANY: Final = "*"
_ZERO: Final = Decimal(0)

_LINES: Final = "journal_line JOIN journal_entry USING (entry_id, period) JOIN account USING (account_code)"
_MONETARY: Final = f"""
SELECT order_id, currency_code, functional_currency_code, control_code, max(customer_id) AS customer_id,
    sum(debit_amount - credit_amount) AS amount,
    sum(functional_debit_amount - functional_credit_amount) AS functional_amount,
    count(DISTINCT entry_id) FILTER (WHERE rule = %s) AS entries
FROM {_LINES}
WHERE control_code = ANY(%s) AND currency_code <> functional_currency_code AND period <= %s
GROUP BY order_id, currency_code, functional_currency_code, control_code ORDER BY 1, 2, 3, 4
"""
# A line may come back as long as its last goods may. Revenue that went back without units was a change of the price.
_SALES: Final = f"""
WITH line AS (
    SELECT order_id, line_id, coalesce(product_category, '') AS product_category, functional_currency_code,
        max(currency_code) FILTER (WHERE control_code = '4000') AS currency_code,
        coalesce(sum(debit_amount) FILTER (WHERE control_code = '4000' AND quantity < 0), 0) AS returned,
        coalesce(sum(credit_amount - debit_amount) FILTER (WHERE control_code = '4000'), 0) AS net,
        coalesce(sum(functional_credit_amount - functional_debit_amount) FILTER (WHERE control_code = '4000'), 0)
            AS functional_net,
        coalesce(sum(functional_debit_amount - functional_credit_amount) FILTER (WHERE control_code = '5000'), 0)
            AS net_cost,
        max(effective_date) FILTER (WHERE control_code = '4000' AND credit_amount > 0) AS sold_on
    FROM {_LINES}
    WHERE rule IN ('transfer_of_control', 'cost_of_sales') AND control_code IN ('4000', '5000')
        AND line_id IS NOT NULL AND period <= %(period)s
    GROUP BY order_id, line_id, coalesce(product_category, ''), functional_currency_code
)
SELECT product_category, currency_code, functional_currency_code, sum(net + returned) AS sold,
    sum(returned) AS returned, sum(functional_net) AS functional_net, sum(net_cost) AS net_cost
FROM line WHERE currency_code IS NOT NULL AND sold_on > %(day)s::date - (
    SELECT days FROM unnest(%(categories)s::text[], %(days)s::integer[]) AS told (category, days)
    WHERE category IN (line.product_category, '*') ORDER BY category = '*' LIMIT 1)
GROUP BY product_category, currency_code, functional_currency_code
"""
_PORTFOLIOS: Final = f"""
SELECT order_id, functional_currency_code, count(DISTINCT entry_id) AS entries,
    coalesce(sum(credit_amount - debit_amount) FILTER (WHERE control_code = '{REFUND_LIABILITIES}'), 0) AS refund,
    coalesce(sum(functional_credit_amount - functional_debit_amount)
        FILTER (WHERE control_code = '{REFUND_LIABILITIES}'), 0) AS functional_refund,
    coalesce(sum(functional_debit_amount - functional_credit_amount)
        FILTER (WHERE control_code = '{RIGHT_TO_RECOVER_GOODS}'), 0) AS recovery
FROM {_LINES} WHERE rule = ANY(%s) AND starts_with(order_id, %s) AND period <= %s
GROUP BY order_id, functional_currency_code
"""


@dataclass(frozen=True, slots=True)
class ReturnRate:
    """What part of its sales a product group expects back, and for how many days after the sale."""

    percent: Decimal
    days: int


class _Portfolio(NamedTuple):
    product_category: str
    currency: str
    functional_currency: str


def end_period(database: DatabaseSettings, period: str, rates: Path | None, returns: Path | None) -> list[JournalEntry]:
    """Remeasure foreign items and estimate returns anew at the end of `period` (YYYY-MM); gives the entries.

    Called by the controller before the period is closed, as often as wanted: what is at its value already makes no
    entry, and the entries are appended all or none, each once.

    Raises:
        ConfigurationError: a file is wrong, or a rate is missing; nothing was posted.
        Transient: the database is away.
    """
    day = last_day(period)
    closing = _closing_rates(rates, day) if rates is not None else None
    expected = _return_rates(returns) if returns is not None else None
    with session_of(database, f"reading what {period} ends with") as session:
        entries = []
        if closing is not None:
            entries += list(_remeasurements(session, period, day, closing))
        if expected is not None:
            entries += list(_estimates(session, period, day, expected))
    if entries:
        post_journal(database, entries)
    return entries


def last_day(period: str) -> date:
    """The last day of a period.

    Raises:
        ConfigurationError: it is no period.
    """
    try:
        first = date.fromisoformat(f"{period}-01")
    except ValueError as exc:
        raise ConfigurationError(f"{period!r} is no accounting period; a period is written YYYY-MM") from exc
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _remeasurements(
    session: Connection, period: str, day: date, closing: Mapping[tuple[str, str], ClosingRate]
) -> Iterator[JournalEntry]:
    rows = session.execute(_MONETARY, (REMEASUREMENT.name, list(MONETARY), period)).fetchall()
    for key, of_order in groupby(rows, key=_currencies):
        items = list(of_order)
        carried = Carried(
            order_id=OrderId(items[0]["order_id"]),
            currency=items[0]["currency_code"],
            functional_currency=items[0]["functional_currency_code"],
            document={item["control_code"]: item["amount"] for item in items},
            functional={item["control_code"]: item["functional_amount"] for item in items},
            customer_id=items[0]["customer_id"],
            entries=max(item["entries"] for item in items),
        )
        if not any((*carried.document.values(), *carried.functional.values())):
            continue
        rate = closing.get(key[1:])
        if rate is None:
            raise ConfigurationError(
                f"order {key[0]} has open items in {key[1]}, and no rate to {key[2]} on or before {day} is given: add "
                "it to the file of rates"
            )
        entry = remeasured(carried, rate, day)
        if entry is not None:
            yield entry


def _currencies(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["order_id"], row["currency_code"], row["functional_currency_code"]


def _estimates(
    session: Connection, period: str, day: date, expected: Mapping[str, ReturnRate]
) -> Iterator[JournalEntry]:
    told = {
        "period": period,
        "day": day,
        "categories": list(expected),
        "days": [rate.days for rate in expected.values()],
    }
    sold = {
        _Portfolio(row["product_category"], row["currency_code"], row["functional_currency_code"]): row
        for row in session.execute(_SALES, told)
    }
    rules = [RETURN_ESTIMATE.name, EXPECTED_RECOVERY.name]
    carried = {_portfolio(row): row for row in session.execute(_PORTFOLIOS, (rules, PORTFOLIO, period))}
    for portfolio in sorted({*sold, *carried}):
        rate = expected.get(portfolio.product_category) or expected.get(_ANY)
        sales = _sales(portfolio, sold.get(portfolio, {}), carried.get(portfolio, {}))
        yield from returns_estimated(sales, rate.percent if rate is not None else _ZERO, day)


def _portfolio(row: Mapping[str, Any]) -> _Portfolio:
    category, _, currency = row["order_id"].removeprefix(PORTFOLIO).rpartition(":")
    return _Portfolio(category, currency, row["functional_currency_code"])


def _sales(portfolio: _Portfolio, sold: Mapping[str, Any], carried: Mapping[str, Any]) -> Sales:
    """Where one of them is missing, the sales have lapsed or nothing was estimated yet."""
    return Sales(
        *portfolio,
        sold=sold.get("sold", _ZERO),
        returned=sold.get("returned", _ZERO),
        functional_net=sold.get("functional_net", _ZERO),
        net_cost=sold.get("net_cost", _ZERO),
        refund_liability=carried.get("refund", _ZERO),
        functional_refund_liability=carried.get("functional_refund", _ZERO),
        right_to_recover=carried.get("recovery", _ZERO),
        entries=carried.get("entries", 0),
    )


def _closing_rates(path: Path, day: date) -> dict[tuple[str, str], ClosingRate]:
    """The newest rate of each pair of currencies on the day or before."""
    found: dict[tuple[str, str], ClosingRate] = {}
    for number, row in _rows(path, RATE_COLUMNS):
        try:
            rate = ClosingRate(Decimal(row["rate"]), date.fromisoformat(row["rate_date"]), row["provider"])
        except (ValueError, InvalidOperation) as exc:
            raise ConfigurationError(f"{path}, line {number}: a date or a rate cannot be read ({exc})") from exc
        if not rate.rate > 0:
            raise ConfigurationError(f"{path}, line {number}: a rate is greater than 0")
        pair = row["base_currency_code"], row["quote_currency_code"]
        if rate.on <= day and (pair not in found or found[pair].on < rate.on):
            found[pair] = rate
    return found


def _return_rates(path: Path) -> dict[str, ReturnRate]:
    found = {}
    for number, row in _rows(path, RETURN_COLUMNS):
        try:
            rate = ReturnRate(Decimal(row["percent"]), int(row["days"]))
        except (ValueError, InvalidOperation) as exc:
            raise ConfigurationError(f"{path}, line {number}: percent or days cannot be read ({exc})") from exc
        if not 0 <= rate.percent <= 100 or rate.days < 1:
            raise ConfigurationError(f"{path}, line {number}: percent is 0 to 100, days 1 or more")
        found[row["product_category"]] = rate
    return found


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    except OSError as exc:
        raise ConfigurationError(f"{path}: {exc.strerror}") from exc
    if tuple(reader.fieldnames or ()) != tuple(columns):
        raise ConfigurationError(f"{path}: its columns are {', '.join(columns)}")
    rows = list(enumerate(reader, 2))
    for number, row in rows:
        if None in row.values() or None in row:
            raise ConfigurationError(f"{path}, line {number}: {len(columns)} values are needed")
    return rows

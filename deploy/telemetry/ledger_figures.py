"""The worker `figures`: what finance looks at first, read from the general ledger now and then and shown as metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Lock
from time import time
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import Field

from deploy.ledger.queries import trial_balance, view
from schemas import metrics
from schemas.errors import ConfigurationError, Transient
from schemas.settings import DatabaseSettings, WorkerSettings

_log = logging.getLogger(__name__)
_PERIODS = 13
_VALID_READINGS = 3


class FiguresSettings(WorkerSettings):
    """Whose figures, and how often."""

    database: DatabaseSettings = Field(description="The general ledger's database")
    interval_seconds: float = Field(60.0, gt=0, description="Time from one reading of the ledger to the next")


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading of the ledger; amounts in the functional currency, as rows of its views."""

    read_at: float
    balances: Sequence[Mapping[str, Any]]
    periods: Sequence[Mapping[str, Any]]


class LedgerFigures(Collector):
    """Shows the latest reading; one that has become too old is not shown."""

    def __init__(self, settings: FiguresSettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._lock = Lock()
        self._figures: Figures | None = None
        registry.register(self)

    def run(self, stop: Event) -> None:
        """Read once an interval until `stop` is set; only reads.

        Raises:
            ConfigurationError: the database refuses the role.
        """
        while not stop.is_set():
            try:
                figures = self._read()
            except Transient as exc:
                _log.warning("%s; reading again in %.1f s", exc, exc.retry_after_seconds)
                stop.wait(exc.retry_after_seconds)
                continue
            with self._lock:
                self._figures = figures
            stop.wait(self._settings.interval_seconds)

    def ready(self) -> bool:
        """Whether what it shows is current."""
        return self._current() is not None

    def collect(self) -> Iterable[Metric]:
        """The families, made anew for each scrape."""
        figures = self._current()
        read = metrics.LEDGER_FIGURES_TIMESTAMP_SECONDS
        yield GaugeMetricFamily(read.name, read.help, figures.read_at if figures else 0)
        if figures is None:
            return
        yield _balances(figures.balances)
        yield from _by_period(figures.periods)

    def _read(self) -> Figures:
        began = time()
        try:
            balances = trial_balance(self._settings.database, None)
            periods = view(self._settings.database, "metrics")
        except ConfigurationError as exc:
            if isinstance(exc.__cause__, psycopg.errors.UndefinedTable):
                raise Transient(f"{exc}. The worker warehouse makes them: does it run?") from exc
            raise
        latest = sorted({row["period"] for row in periods})[-_PERIODS:]
        return Figures(began, balances, [row for row in periods if row["period"] in latest])

    def _current(self) -> Figures | None:
        with self._lock:
            figures = self._figures
        valid_seconds = _VALID_READINGS * self._settings.interval_seconds
        return figures if figures is not None and time() - figures.read_at <= valid_seconds else None


def _balances(rows: Sequence[Mapping[str, Any]]) -> Metric:
    # The documents' currencies are added up: their functional amounts are in one.
    sums: dict[tuple[str, str, str], Any] = {}
    for row in rows:
        labels = (row["account_code"], row["account_name"], row["functional_currency_code"])
        sums[labels] = sums.get(labels, 0) + row["functional_balance_amount"]
    shown = metrics.LEDGER_BALANCE
    family = GaugeMetricFamily(shown.name, shown.help, labels=shown.labels)
    for key, amount in sums.items():
        family.add_metric(key, float(amount))
    return family


def _by_period(rows: Sequence[Mapping[str, Any]]) -> Iterable[Metric]:
    for shown, column in (
        (metrics.LEDGER_NET_SALES, "net_sales_amount"),
        (metrics.LEDGER_COST_OF_SALES, "cost_of_sales_amount"),
        (metrics.LEDGER_NET_INCOME, "net_income_amount"),
        (metrics.LEDGER_OPERATING_CASH_FLOW, "operating_cash_flow_amount"),
    ):
        family = GaugeMetricFamily(shown.name, shown.help, labels=shown.labels)
        for row in rows:
            family.add_metric([row["period"], row["functional_currency_code"]], float(row[column]))
        yield family

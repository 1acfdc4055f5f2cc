"""The figures of the general ledger as metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from prometheus_client import CollectorRegistry, generate_latest

from deploy.telemetry.ledger_figures import FiguresSettings, LedgerFigures
from schemas.models import JournalEntry
from schemas.settings import DatabaseSettings
from tests.conftest import DatabaseFactory
from tests.contract.sink_samples import journal_entry
from tests.integration.ledger_books import open_books
from tests.integration.streams_harness import wait_until


@contextmanager
def figures_of(database: DatabaseSettings, registry: CollectorRegistry) -> Iterator[LedgerFigures]:
    stop = Event()
    worker = LedgerFigures(FiguresSettings(database=database, interval_seconds=0.2), registry)
    thread = Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        thread.join(60)


def balances(entries: list[JournalEntry]) -> dict[tuple[str, str], float]:
    sums: dict[tuple[str, str], float] = {}
    for entry in entries:
        for line in entry.lines:
            key = (line.account_code, entry.functional_currency_code)
            amount = line.functional_debit_amount - line.functional_credit_amount
            sums[key] = sums.get(key, 0) + float(amount)
    return sums


def shown(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["account"], sample.labels["currency"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "ordersync_ledger_balance"
    }


def test_balances_follow_the_ledger_which_may_come_later(database_factory: DatabaseFactory) -> None:
    database, registry = database_factory("figures"), CollectorRegistry()
    with figures_of(database, registry) as worker:
        assert not worker.ready() and "ordersync_ledger_balance" not in generate_latest(registry).decode()
        with open_books(database) as books:
            entries = [journal_entry(number) for number in range(5)]
            books.write(entries)
            expected = balances(entries)
            assert len(expected) > 1 and any(expected.values())
            wait_until(lambda: shown(registry) == expected, 60, lambda: f"{shown(registry)} is not {expected}")
        assert worker.ready()
        sales = [row for row in registry.collect() if row.name == "ordersync_ledger_net_sales"]
        (period,) = {sample.labels["period"] for sample in sales[0].samples}
        assert period == entries[0].posting_date.strftime("%Y-%m")

"""A real Prometheus watches a real run: health of each worker, no alert in healthy flow, what each panel shows."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import psycopg
import pytest

from deploy.demo.business import Business, BusinessPlan
from deploy.demo.landscape import WORKERS, Landscape
from deploy.demo.transactions import System
from deploy.grafana.declarations import Dashboard, Query
from deploy.grafana.registry import DASHBOARDS
from deploy.ledger.queries import trial_balance
from deploy.local.server import await_condition
from tests.conftest import stack_home
from tests.e2e.logs import last_lines
from tests.e2e.prometheus import Prometheus

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's prometheus"),
]
_ORDERS = 20
_REFUSED_ORDER = 900_001
_PATIENCE_SECONDS = 240.0
# Nobody rehearses a restore in so short a time: the alert is pending for a day.
_NEVER_REHEARSED = "OrdersyncDrillOverdue"
# How quick a machine is that runs other tests beside is not judged here, but by `make bench-alerts`.
_NEVER_PLACED = '(sum(ordersync_events_total{stage="streams",outcome="never_placed"}) or vector(0))'
_PROGRESS = (
    *("ordersync_worker_ready", "ordersync_events_total", "ordersync_reconciled_orders", "ordersync_parked_orders"),
    *("ordersync_reconcile_rounds_total", "ordersync_consumer_lag_records > 0", "ordersync_open_transaction_seconds"),
    *("ordersync_dead_letters_total", "ordersync_complete_through_timestamp_seconds", "up"),
)
"""What shows where orders are when they do not arrive."""
_OF_PACE = {
    *("OrdersyncFreshnessBurnsFast", "OrdersyncFreshnessBurnsSlowly", "OrdersyncSinkIncomplete"),
    *("OrdersyncReconcileStale", "OrdersyncBackupStale", "OrdersyncLagUnknown"),
    *("OrdersyncConsumerSlow", "OrdersyncConsumerStalled"),
}


@dataclass(frozen=True)
class Observed:
    """A landscape in which a business has traded, and the Prometheus that saw it."""

    landscape: Landscape
    prometheus: Prometheus

    def await_value(self, expr: str, wanted: Callable[[dict[tuple[tuple[str, str], ...], float]], bool]) -> None:
        """Wait until what Prometheus answers is what is wanted."""
        assert await_condition(lambda: wanted(self.prometheus.ask(expr)), _PATIENCE_SECONDS), (
            expr,
            self.prometheus.ask(expr),
        )

    def reading(self, names: tuple[str, ...]) -> dict[str, float]:
        """Every series of these metrics now, as text."""
        return {
            f"{name}{dict(labels)}": value
            for name in names
            for labels, value in sorted(self.prometheus.ask(name).items())
        }

    def figure(self, expr: str) -> float:
        """The single value of an expression."""
        (value,) = self.prometheus.ask(expr).values()
        return value


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    today = datetime.now(UTC).date()
    plan = BusinessPlan(orders=_ORDERS, seed=8, today=today, with_faults=False)
    with stack_home() as home, Landscape(home) as landscape:
        landscape.start()
        data = tmp_path_factory.mktemp("prometheus") / "data"
        with (
            Prometheus(home / "prometheus" / "prometheus.yml", data) as prometheus,
            closing(Business(landscape.sources, plan)) as business,
        ):
            seen = Observed(landscape, prometheus)
            try:
                trade(business, seen)
            except AssertionError:
                print(json.dumps(seen.reading(_PROGRESS), indent=1), last_lines(home), sep="\n")
                raise
            yield seen


def trade(business: Business, seen: Observed) -> None:
    """Return when every worker was ready, the business has traded, and nothing of it is left to read or compare."""
    business.open()
    seen.await_value("sum(ordersync_worker_ready)", lambda found: set(found.values()) == {len(WORKERS)})
    business.trade()
    # An order that its source deletes while it still waits for a master record never becomes one of the state.
    seen.await_value(f"ordersync_reconciled_orders + on() {_NEVER_PLACED} == {_ORDERS}", bool)
    seen.await_value("sum(ordersync_consumer_lag_records)", lambda found: set(found.values()) == {0.0})


def test_every_worker_serves_metrics_and_health(observed: Observed) -> None:
    ports = {worker.name: worker.metrics_port for worker in observed.landscape.workers}
    assert tuple(ports) == WORKERS
    with httpx.Client(trust_env=False) as client:
        for name, port in ports.items():
            answers = {
                path: client.get(f"http://127.0.0.1:{port}{path}")
                for path in ("/metrics", "/health", "/health/live", "/health/ready")
            }
            assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200), name
            assert "ordersync_worker_ready 1.0" in answers["/metrics"].text, name
            assert json.loads(answers["/health"].content)["ready"] is True, name


def test_healthy_flow_raises_no_alert(observed: Observed) -> None:
    assert observed.prometheus.unsound_rules() == []
    ever = observed.prometheus.alerts('max_over_time(ALERTS{alertstate="firing"}[1h])')
    assert {name for name, _ in ever} <= _OF_PACE
    settled = {name for name, _ in observed.prometheus.alerts()} <= {_NEVER_REHEARSED, *_OF_PACE}
    assert settled, observed.prometheus.alerts()


def test_lag_of_every_group_is_known_and_none_is_left(observed: Observed) -> None:
    groups = {dict(one)["group"] for one in observed.prometheus.ask("ordersync_consumer_standing")}
    assert groups >= {"ordersync-streams", "ordersync-erp", "ordersync-warehouse", "ordersync-backup"}
    assert observed.figure('sum(ordersync_consumer_standing{standing="fine"})') == len(groups)
    assert observed.figure("max(ordersync_consumer_lag_seconds)") == 0


def test_figures_are_those_of_the_databases(observed: Observed) -> None:
    with psycopg.connect(observed.landscape.erp.conninfo()) as erp:
        (orders,) = erp.execute("SELECT count(*) FROM sales_order").fetchone() or (0,)
    assert orders == _ORDERS - observed.figure(_NEVER_PLACED)
    observed.await_value("ordersync_reconciled_orders", lambda found: set(found.values()) == {float(orders)})
    assert observed.figure("sum(ordersync_mismatches) or vector(0)") == 0
    balances: dict[str, float] = {}
    for row in trial_balance(observed.landscape.ledger, None):
        code = row["account_code"]
        balances[code] = balances.get(code, 0.0) + float(row["functional_balance_amount"])
    assert len(balances) > 4

    def agree(found: dict[tuple[tuple[str, str], ...], float]) -> bool:
        shown = {dict(labels)["account"]: value for labels, value in found.items()}
        return shown == pytest.approx(balances)

    observed.await_value("sum by (account) (ordersync_ledger_balance)", agree)
    assert observed.figure("round(sum(ordersync_ledger_balance), 0.01)") == 0
    counted = observed.prometheus.ask("sum by (stage) (ordersync_event_latency_seconds_count)")
    captured, versions = (counted[(("stage", stage),)] for stage in ("capture", "streams"))
    assert captured >= versions >= _ORDERS


def test_every_panel_shows_something_and_what_was_planted(observed: Observed) -> None:
    plant(observed.landscape)
    observed.await_value("sum by (system) (ordersync_mismatches) > 0", bool)
    empty: list[str] = []

    def all_shown() -> bool:
        empty[:] = [told for told, query in every_query() if not has_value(observed.prometheus, query)]
        return not empty

    assert await_condition(all_shown, _PATIENCE_SECONDS), empty
    mismatches = observed.prometheus.ask("sum by (system, kind) (ordersync_mismatches)")
    assert mismatches.get((("kind", "different"), ("system", "erp"))) == 1
    observed.await_value('sum(ordersync_dead_letters_total{rule="order.currency_known"}) == 1', bool)
    observed.await_value('ALERTS{alertname="OrdersyncDeadLetters",alertstate="firing"}', bool)


def every_query() -> list[tuple[str, Query]]:
    return [(f"{one.title}: {panel.title}", query) for one, panel, query in _queries(DASHBOARDS)]


def _queries(dashboards: tuple[Dashboard, ...]) -> list[tuple[Dashboard, object, Query]]:
    return [(one, panel, query) for one in dashboards for panel in one.panels for query in panel.queries]


def has_value(prometheus: Prometheus, query: Query) -> bool:
    return any(not math.isnan(value) for value in prometheus.ask(query.expr).values())


def plant(landscape: Landscape) -> None:
    """One order changed by hand in the ERP, one with a currency that does not exist in the CRM."""
    with psycopg.connect(landscape.erp.conninfo()) as erp:
        erp.execute(
            "UPDATE sales_order SET payable_amount = payable_amount + 1 WHERE order_id = "
            "(SELECT min(order_id) FROM sales_order WHERE order_status <> 'deleted' AND payable_amount IS NOT NULL)"
        )
    add = (
        "INSERT INTO sales_order (order_number, customer_number, status, ordered_on, currency, net_amount, tax_amount, "
        "gross_amount) SELECT %s, min(customer_number), min(status), min(ordered_on), %s, 1, 0, 1 FROM sales_order "
        "WHERE status = (SELECT min(status) FROM sales_order)"
    )
    line = (
        "INSERT INTO sales_order_line SELECT (jsonb_populate_record(line, jsonb_build_object("
        "'order_number', %s::int, 'line_number', 1))).* FROM sales_order_line AS line LIMIT 1"
    )
    with psycopg.connect(landscape.sources[System.CRM].conninfo()) as crm:
        crm.execute(add, (_REFUSED_ORDER, "ZZZ"))
        crm.execute(line, (_REFUSED_ORDER,))

"""Healthy flow for so many minutes, watched by a real Prometheus: no alert may fire. `make bench-alerts`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from deploy.demo.business import Business, BusinessPlan
from deploy.demo.landscape import WORKERS, Landscape
from deploy.local.server import await_condition
from tests.conftest import stack_home
from tests.e2e.prometheus import Prometheus

_READY_SECONDS = 180.0
_FIRED = 'count_over_time(ALERTS{alertstate="firing"}[1d])'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=2.0, help="orders placed per second")
    options = parser.parse_args()
    with stack_home() as home, tempfile.TemporaryDirectory() as data, Landscape(home) as landscape:
        landscape.start()
        configuration = home / "prometheus" / "prometheus.yml"
        with Prometheus(configuration, Path(data) / "data") as prometheus:
            ready = await_condition(
                lambda: set(prometheus.ask("sum(ordersync_worker_ready)").values()) == {len(WORKERS)}, _READY_SECONDS
            )
            if not ready:
                print("not every worker became ready")
                return 1
            _trade(landscape, options.minutes, options.rate)
            return _told(prometheus, options.minutes)


def _trade(landscape: Landscape, minutes: float, rate: float) -> None:
    """Let a business without faults trade for so long."""
    orders = max(1, int(minutes * 60 * rate))
    plan = BusinessPlan(orders, 11, datetime.now(UTC).date(), with_faults=False, orders_per_second=rate)
    ceased = Event()
    with closing(Business(landscape.sources, plan)) as business:
        business.open()
        trading = Thread(target=business.trade, args=(ceased.is_set,))
        trading.start()
        until = time.monotonic() + minutes * 60
        while trading.is_alive() and time.monotonic() < until:
            trading.join(1.0)
        ceased.set()
        trading.join()


def _told(prometheus: Prometheus, minutes: float) -> int:
    for labels, evaluations in sorted(prometheus.ask(_FIRED).items()):
        print(f"fired: {dict(labels)['alertname']} {dict(labels)} for {evaluations:.0f} evaluations")
    for name, state in sorted(prometheus.alerts()):
        print(f"at the end: {name} is {state}")
    orders = sum(prometheus.ask("ordersync_reconciled_orders").values())
    late = prometheus.ask(
        '1 - sum by (stage) (ordersync_event_latency_seconds_bucket{le="30.0"}) '
        "/ sum by (stage) (ordersync_event_latency_seconds_count)"
    )
    fired = bool(prometheus.ask(_FIRED))
    print(
        f"{minutes:g} minutes, {orders:.0f} orders, later than 30 s: {max(late.values(), default=0):.4%}; "
        f"{'ALERTS FIRED' if fired else 'no alert fired'}"
    )
    return 1 if fired else 0


if __name__ == "__main__":
    sys.exit(main())

"""The demonstration by the clock: how soon the stack is up, the first order everywhere, and the whole business done."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.report import Figure, publish

STACK_SECONDS_GOAL = 20
FIRST_ORDER_SECONDS_GOAL = 30
ALTOGETHER_SECONDS_GOAL = 90


def main() -> None:
    """Run `ordersync demo` as a person would, print the table and write `build/bench/demo.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=2_000, help="orders with their life")
    arguments = parser.parse_args()
    result = _demonstration(arguments.orders)
    publish(
        "demo",
        [
            Figure("stack up", result["stack_seconds"], "s", STACK_SECONDS_GOAL, is_cost=True),
            Figure(
                "first order in all systems", result["first_order_seconds"], "s", FIRST_ORDER_SECONDS_GOAL, is_cost=True
            ),
            Figure(
                f"{arguments.orders:,} orders with their life, altogether",
                result["seconds"],
                "s",
                ALTOGETHER_SECONDS_GOAL,
                is_cost=True,
            ),
            Figure("mismatches", result["mismatches"], "orders", 0, is_cost=True),
            Figure("ledger imbalance", abs(result["ledger_imbalance"]), "", 0, is_cost=True),
            Figure("orders a second", result["orders_per_second"], "1/s"),
            Figure("source to ERP, median", result["latency_seconds"]["p50"], "s"),
            Figure("source to ERP, 99th percentile", result["latency_seconds"]["p99"], "s"),
        ],
    )


def _demonstration(orders: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as home:
        Path(home).chmod(0o711)
        argv = [sys.executable, "-m", "deploy.cli", "demo", "--json", "--orders", str(orders), "--home", f"{home}/demo"]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise SystemExit(f"the demonstration ended with {done.returncode} and without a result")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()

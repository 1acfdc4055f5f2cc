"""Orders a second of one stream worker process, against plain Faust doing the same, and the memory of its state."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
from contextlib import closing
from pathlib import Path

import psutil

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings, RegistrySettings
from tests.benchmarks.report import Figure, Peer, publish
from tests.benchmarks.stream_load import committed, empty_outputs, prepare

ORDERS_PER_SECOND_GOAL = 25_000
TIMES_PLAIN_FAUST_GOAL = 5
MEMORY_GOAL_MIB = 200


def main() -> None:
    """Print the table and write `build/bench/streams.json`."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as home:
        Path(home).chmod(0o711)
        with EmbeddedStack(Path(home) / "stack") as stack:
            publish("streams", _figures(stack.endpoints, arguments, Path(home)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000, help="captured orders for our worker")
    parser.add_argument("--peer-orders", type=int, default=15_000, help="how many of them plain Faust gets through")
    parser.add_argument("--runs", type=int, default=3, help="runs of each; the median counts")
    return parser.parse_args()


def _figures(endpoints: Endpoints, arguments: argparse.Namespace, home: Path) -> list[Figure]:
    with closing(SchemaRegistry(RegistrySettings(url=endpoints.registry_url))) as registry:
        prepare(KafkaSettings(bootstrap_servers=endpoints.bootstrap_servers), registry, arguments.orders)
    ours, memory, peers = [], [], []
    # The broker's JVM compiles what it runs often: whoever came first would pay for it.
    rate, resident = _ours(endpoints, arguments.orders, home / "warm-up", "exactly_once")
    print(f"warm-up of the broker, not counted: ours {rate:,.0f}/s, {resident:,.0f} MiB", file=sys.stderr)
    for run in range(arguments.runs):
        rate, resident = _ours(endpoints, arguments.orders, home / f"ours-{run}", "exactly_once")
        ours.append(rate)
        memory.append(resident)
        peers.append(_plain_faust(endpoints, arguments.peer_orders, home / f"faust-{run}"))
        print(f"run {run + 1}: ours {rate:,.0f}/s, plain Faust {peers[-1]:,.0f}/s", file=sys.stderr)
    at_least_once, _ = _ours(endpoints, arguments.orders, home / "at-least-once", "at_least_once")
    own, peer = statistics.median(ours), statistics.median(peers)
    faust = Peer("plain Faust, take_events(1000), at least once", peer)
    return [
        Figure("orders, exactly once, one process", own, "1/s", ORDERS_PER_SECOND_GOAL, faust),
        Figure("times plain Faust", own / peer, "x", TIMES_PLAIN_FAUST_GOAL),
        Figure("orders, at least once, one process", at_least_once, "1/s"),
        Figure(f"resident memory with {arguments.orders:,} orders", max(memory), "MiB", MEMORY_GOAL_MIB, is_cost=True),
    ]


def _ours(endpoints: Endpoints, orders: int, home: Path, delivery: str) -> tuple[float, float]:
    kafka = KafkaSettings(bootstrap_servers=endpoints.bootstrap_servers)
    with closing(SchemaRegistry(RegistrySettings(url=endpoints.registry_url))) as registry:
        empty_outputs(kafka, registry)
    group = f"bench-{uuid.uuid4().hex[:8]}"
    environment = {
        **os.environ,
        "ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS": endpoints.bootstrap_servers,
        "ORDERSYNC_REGISTRY__URL": endpoints.registry_url,
        "ORDERSYNC_GROUP": group,
        "ORDERSYNC_DELIVERY": delivery,
        "ORDERSYNC_DATA_DIR": str(home),
    }
    return _measure(endpoints, [sys.executable, "-m", "deploy.cli", "worker", "streams"], environment, group, orders)


def _plain_faust(endpoints: Endpoints, orders: int, home: Path) -> float:
    group = f"bench-{uuid.uuid4().hex[:8]}"
    settings = {
        "servers": endpoints.bootstrap_servers,
        "registry": endpoints.registry_url,
        "group": group,
        "datadir": str(home),
    }
    environment = {**os.environ, "BENCH": json.dumps(settings)}
    argv = [sys.executable, "-m", "tests.benchmarks.peers.plain_faust"]
    return _measure(endpoints, argv, environment, group, orders)[0]


def _measure(
    endpoints: Endpoints, argv: list[str], environment: dict[str, str], group: str, orders: int
) -> tuple[float, float]:
    """Orders a second from the first commit to the last one seen, and resident MiB then."""
    worker = subprocess.Popen(argv, env=environment)
    try:
        first: tuple[float, int] | None = None
        for at, done in committed(KafkaSettings(bootstrap_servers=endpoints.bootstrap_servers), group):
            if worker.poll() is not None:
                raise SystemExit(f"{' '.join(argv)} ended with {worker.returncode}")
            if done and first is None:
                first = (at, done)
            if first is not None and done >= orders and done > first[1]:
                resident = psutil.Process(worker.pid).memory_info().rss / 2**20
                return (done - first[1]) / (at - first[0]), resident
    finally:
        worker.terminate()
        worker.wait(30)
    raise AssertionError("the group's progress has an end")


if __name__ == "__main__":
    main()

"""What continuous reconciliation costs: a first picture, a look at every row, and steady rounds under change."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from prometheus_client import CollectorRegistry

from consumers.reconcile.metrics import ReconcileMetrics
from consumers.reconcile.rounds import Rounds
from consumers.reconcile.settings import ContinuousSettings
from consumers.reconcile.watched import Watched
from consumers.reconcile.worker import open_rounds
from deploy.demo.transactions import System
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from tests.benchmarks.reconcile_load import FIRST, Population, populate
from tests.benchmarks.report import Figure, publish
from tests.integration.reconcile_world import World, world_of

FULL_SECONDS_GOAL = 30.0
STEADY_SECONDS_GOAL = 3.0
STEADY_CORE_GOAL = 0.10
ROUND_SECONDS = 5.0
_CHANGED_EACH_ROUND = 500
_STEADY_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Cost:
    """A stretch of work: wall time, and processor time of this process and of the databases' sessions for it."""

    seconds: float
    own_seconds: float
    server_seconds: float


def main() -> None:
    """Print the table and write `build/bench/reconcile.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as directory:
        home = Path(directory)
        home.chmod(0o711)
        with EmbeddedStack(home / "stack") as stack:
            publish("reconcile", _figures(stack.endpoints, home, arguments.orders))


def _figures(stack: Endpoints, home: Path, orders: int) -> list[Figure]:
    names = [*(system.value for system in System), "erp", "ledger"]
    with psycopg.connect(stack.database("postgres").conninfo(), autocommit=True) as connection:
        for name in names:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
    sources = {system: stack.database(system.value) for system in System}
    mappings = {system.value: database for system, database in sources.items()}
    with world_of(stack, mappings, stack.database("erp"), stack.database("ledger")) as world:
        populate(Population(world, sources, orders))
        print(f"{orders:,} orders are in every system", flush=True)
        measured = _Measured(_server_pid(stack))
        with _running(world, home / "worker") as rounds:
            return _measure(world, rounds, measured, orders)


def _measure(world: World, rounds: Rounds, measured: _Measured, orders: int) -> list[Figure]:
    def first_picture() -> None:
        rounds.source()
        rounds.full()
        _until_done(rounds)

    first = measured.cost(first_picture)
    assert rounds.open_mismatches == 0, rounds.open_mismatches

    def everything() -> None:
        rounds.source()
        rounds.full()

    full = measured.cost(everything)
    assert rounds.waiting == 0
    quiet = measured.cost(rounds.steady)
    busy = []
    for number in range(_STEADY_ROUNDS):
        _change(world, number)
        busy.append(measured.cost(lambda: _until_done(rounds)))
    seconds = max(one.seconds for one in busy)
    processor = sum(one.own_seconds + one.server_seconds for one in busy) / len(busy)
    assert rounds.open_mismatches == 0, rounds.open_mismatches
    return [
        Figure("first picture: every order compared exactly", first.seconds, "s", is_cost=True),
        Figure("  of which this process, an order", 1e6 * first.own_seconds / orders, "µs", is_cost=True),
        Figure("every row of every system looked at again", full.seconds, "s", FULL_SECONDS_GOAL, is_cost=True),
        Figure("  of which this process", full.own_seconds, "s", is_cost=True),
        Figure("  of which the databases", full.server_seconds, "s", is_cost=True),
        Figure("steady round, nothing changed", quiet.seconds, "s", STEADY_SECONDS_GOAL, is_cost=True),
        Figure(
            f"steady round, {_CHANGED_EACH_ROUND} orders changed (slowest of {len(busy)})",
            seconds,
            "s",
            STEADY_SECONDS_GOAL,
            is_cost=True,
        ),
        Figure(
            f"  part of a core at a round every {ROUND_SECONDS:.0f} s, with the databases' work",
            processor / ROUND_SECONDS,
            "cores",
            STEADY_CORE_GOAL,
            is_cost=True,
        ),
        Figure("memory of this process", psutil.Process().memory_info().rss / 2**20, "MiB", is_cost=True),
    ]


def _change(world: World, number: int) -> None:
    """Somebody changes orders by hand and back, so that each is noted, compared, and found to agree."""
    first = FIRST + number * _CHANGED_EACH_ROUND
    with psycopg.connect(world.settings.erp.conninfo()) as connection:
        connection.execute(
            "UPDATE sales_order SET event_type = 'OrderTouched' WHERE order_id = ANY(%s)",
            ([f"crm:{one}" for one in range(first, first + _CHANGED_EACH_ROUND)],),
        )


def _until_done(rounds: Rounds) -> None:
    rounds.steady()
    while rounds.waiting:
        rounds.steady()


@contextmanager
def _running(world: World, directory: Path) -> Iterator[Rounds]:
    values = dict(world.settings) | {"data_dir": directory, "settle_seconds": 0}
    settings = ContinuousSettings(**{name: value for name, value in values.items() if name != "examined_at_once"})
    with ExitStack() as opened:
        watched = Watched(settings)
        opened.callback(watched.close)
        metrics = ReconcileMetrics(CollectorRegistry())
        yield opened.enter_context(open_rounds(settings, watched, world.registry, metrics))


class _Measured:
    """Measures work beside the processor time that the database server spends meanwhile."""

    def __init__(self, server: psutil.Process) -> None:
        self._server = server

    def cost(self, work: Callable[[], object]) -> Cost:
        """What a piece of work costs."""
        started, own, server = time.monotonic(), time.process_time(), self._server_seconds()
        work()
        return Cost(time.monotonic() - started, time.process_time() - own, self._server_seconds() - server)

    def _server_seconds(self) -> float:
        """Of the server and of all sessions that it had: those that ended count as its children."""
        total = 0.0
        for process in [self._server, *self._server.children(recursive=True)]:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total


def _server_pid(stack: Endpoints) -> psutil.Process:
    with psycopg.connect(stack.database("postgres").conninfo()) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        parent = psutil.Process(int(row[0])).parent()
        assert parent is not None
        return parent


if __name__ == "__main__":
    main()

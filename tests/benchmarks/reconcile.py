"""What continuous reconciliation costs: a first picture, a look at every row, and steady rounds under change."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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
from tests.benchmarks.reconcile_load import Population, change_everywhere, populate, touch_by_hand
from tests.benchmarks.reconcile_picture import take_as_compared
from tests.benchmarks.report import Figure, publish
from tests.integration.reconcile_world import World, world_of

FULL_SECONDS_GOAL = 30.0
STEADY_SECONDS_GOAL = 3.0
STEADY_CORE_GOAL = 0.10
ROUND_SECONDS = 5.0
_CHANGED_EACH_ROUND = 500
_STEADY_ROUNDS = 6
_COMPARED_EXACTLY = 50_000
"""Of more orders the first picture is taken from the databases' hashes: comparing each takes a millisecond."""
_UNSHARP_SECONDS = 1.1
"""A sink is taken to have what is older than this."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A stretch of work: wall time, and processor time of this process and of the databases' sessions for it."""

    seconds: float
    own_seconds: float
    server_seconds: float

    @property
    def processor_seconds(self) -> float:
        """Of both."""
        return self.own_seconds + self.server_seconds


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
        population = Population(world, sources, orders)
        populate(population)
        print(f"{orders:,} orders are in every system", flush=True)
        return measured_figures(population, home / "worker")


def measured_figures(population: Population, directory: Path) -> list[Figure]:
    """The figures of orders that are in every system."""
    world, orders = population.world, population.orders
    measured = _Measured(_server_pid(world))
    settings = _settings(world, directory)
    is_exact = orders <= _COMPARED_EXACTLY
    if not is_exact:
        take_as_compared(settings)
    with _running(world, settings) as rounds:
        figures = _first(rounds, measured, orders) if is_exact else []
        _until_done(rounds)
        return figures + _looks(rounds, measured) + _steady(population, rounds, measured)


def _first(rounds: Rounds, measured: _Measured, orders: int) -> list[Figure]:
    def first_picture() -> None:
        rounds.source()
        rounds.full()
        _until_done(rounds)

    first = measured.cost(first_picture)
    assert rounds.open_mismatches == 0, rounds.open_mismatches
    return [
        Figure("first picture: every order compared exactly", first.seconds, "s", is_cost=True),
        Figure("  of which this process, an order", 1e6 * first.own_seconds / orders, "µs", is_cost=True),
        Figure("  of which the databases, an order", 1e6 * first.server_seconds / orders, "µs", is_cost=True),
    ]


def _looks(rounds: Rounds, measured: _Measured) -> list[Figure]:
    source, sinks = measured.cost(rounds.source), measured.cost(rounds.full)
    assert rounds.waiting == 0, rounds.waiting
    assert rounds.open_mismatches == 0, rounds.open_mismatches
    own = source.own_seconds + sinks.own_seconds
    seconds = source.seconds + sinks.seconds
    return [
        Figure("every row of every system looked at again", seconds, "s", FULL_SECONDS_GOAL, is_cost=True),
        Figure("  of which this process, processor time", own, "s", is_cost=True),
        Figure("  of which the sources' databases, processor time", source.server_seconds, "s", is_cost=True),
        Figure("  of which ERP and ledger, processor time", sinks.server_seconds, "s", is_cost=True),
    ]


def _steady(population: Population, rounds: Rounds, measured: _Measured) -> list[Figure]:
    quiet = measured.cost(rounds.steady)
    touched, changed = [], []
    for number in range(_STEADY_ROUNDS):
        touch_by_hand(population, number * _CHANGED_EACH_ROUND, _CHANGED_EACH_ROUND)
        touched.append(measured.cost(lambda: _until_done(rounds)))
    for number in range(_STEADY_ROUNDS):
        change_everywhere(population, number * _CHANGED_EACH_ROUND, _CHANGED_EACH_ROUND)
        time.sleep(_UNSHARP_SECONDS)
        changed.append(measured.cost(lambda: _until_done(rounds)))
    # They are compared with the sources when these are looked at the next time.
    rounds.source()
    assert rounds.waiting == _STEADY_ROUNDS * _CHANGED_EACH_ROUND, rounds.waiting
    afterwards = measured.cost(lambda: _until_done(rounds))
    assert rounds.open_mismatches == 0, rounds.open_mismatches
    by_hand = sum(one.processor_seconds for one in touched) / _STEADY_ROUNDS
    by_flow = sum(one.processor_seconds for one in (*changed, afterwards)) / _STEADY_ROUNDS
    slowest = max(one.seconds for one in (*touched, *changed))
    each = 1e6 * by_flow / _CHANGED_EACH_ROUND
    return [
        Figure("steady round, nothing changed", quiet.seconds, "s", STEADY_SECONDS_GOAL, is_cost=True),
        Figure("  processor time, with the databases'", quiet.processor_seconds, "s", is_cost=True),
        Figure(
            f"steady round, {_CHANGED_EACH_ROUND} orders changed (slowest of {2 * _STEADY_ROUNDS})",
            slowest,
            "s",
            STEADY_SECONDS_GOAL,
            is_cost=True,
        ),
        Figure(
            f"  part of a core at a round every {ROUND_SECONDS:.0f} s: touched by hand, and as they were",
            by_hand / ROUND_SECONDS,
            "cores",
            STEADY_CORE_GOAL,
            is_cost=True,
        ),
        Figure(
            f"  the same: {_CHANGED_EACH_ROUND / ROUND_SECONDS:.0f} orders/s changed in source, state and ERP",
            by_flow / ROUND_SECONDS,
            "cores",
            STEADY_CORE_GOAL,
            is_cost=True,
        ),
        Figure("  processor time of a changed order, with the databases'", each, "µs", is_cost=True),
        Figure("memory of this process", psutil.Process().memory_info().rss / 2**20, "MiB", is_cost=True),
    ]


def _until_done(rounds: Rounds) -> None:
    rounds.steady()
    while rounds.waiting:
        rounds.steady()


def _settings(world: World, directory: Path) -> ContinuousSettings:
    values = dict(world.settings) | {"data_dir": directory, "settle_seconds": 0}
    return ContinuousSettings(**{name: value for name, value in values.items() if name != "examined_at_once"})


@contextmanager
def _running(world: World, settings: ContinuousSettings) -> Iterator[Rounds]:
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
        """Of the server and of all sessions that it had: those that ended count as its children, so it comes last."""
        total = 0.0
        for process in [*self._server.children(recursive=True), self._server]:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total


def _server_pid(world: World) -> psutil.Process:
    with psycopg.connect(world.settings.erp.conninfo()) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        parent = psutil.Process(int(row[0])).parent()
        assert parent is not None
        return parent


if __name__ == "__main__":
    main()

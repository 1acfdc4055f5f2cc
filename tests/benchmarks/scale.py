"""One, two and four stream workers on twelve partitions: what an order costs then, and what the wall clock says.

Where the cores are fewer than workers and broker, orders a second say how large the machine is. What an order costs in
processor time says whether more workers would do more on more cores: ideal is what it costs one worker.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local.stack import EmbeddedStack
from schemas.registry import SchemaRegistry
from tests.benchmarks.report import Figure, Peer, publish
from tests.benchmarks.stream_load import prepare
from tests.benchmarks.stream_runs import Run, new_group, our_worker, run_together

PARTITIONS = 12
WORKERS = (1, 2, 4)
COST_GOAL = 1.25
"""Most processor time of an order with four workers, in times of what it is with one."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """Runs with one number of workers."""

    workers: int
    runs: list[Run]
    broker_micros: list[float]
    busy_cores: list[float]
    """How many cores of the machine were busy with anything, from the workers' start."""

    @property
    def rate(self) -> float:
        """Orders a second."""
        return statistics.median(one.rate for one in self.runs)

    @property
    def cost(self) -> float:
        """Microseconds of processor time of an order, in all workers together."""
        return statistics.median(one.cpu_micros for one in self.runs)

    @property
    def broker_cost(self) -> float:
        """The same of the broker, from the workers' start."""
        return statistics.median(self.broker_micros)

    @property
    def own_cores(self) -> float:
        """How many cores workers and broker kept busy while orders went through."""
        return self.rate * (self.cost + self.broker_cost) / 1e6


def main() -> None:
    """Print the table, what limits it, and write `build/bench/scale.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=400_000, help="captured orders of each run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each number of workers, in turns")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as home:
        Path(home).chmod(0o711)
        # Plain, as in `make bench-streams`.
        with EmbeddedStack(Path(home) / "stack", secured=False) as stack:
            measured = _measured(stack, Path(home), arguments.records, arguments.runs)
    publish("scale", _figures(measured))
    print(_limit(measured[-1]))


def _measured(stack: EmbeddedStack, home: Path, orders: int, runs: int) -> list[Scaled]:
    endpoints = stack.endpoints
    with closing(SchemaRegistry(endpoints.registry())) as registry:
        prepare(endpoints.kafka(), registry, orders, PARTITIONS)
    _run(stack, home / "warm-up", 1, orders)  # The broker's JVM compiles what it runs often: not counted.
    found = [Scaled(workers, [], [], []) for workers in WORKERS]
    for number in range(runs):
        for scaled in found:
            run, broker, busy = _run(stack, home / f"{number}-{scaled.workers}", scaled.workers, orders)
            scaled.runs.append(run)
            scaled.broker_micros.append(broker)
            scaled.busy_cores.append(busy)
            told = f"broker {broker:.1f} us; {busy:.1f} cores of the machine busy"
            print(f"{scaled.workers} workers: {run.line()}; {told}", file=sys.stderr)
    return found


def _run(stack: EmbeddedStack, home: Path, workers: int, orders: int) -> tuple[Run, float, float]:
    assert stack.kafka is not None and stack.kafka.pid is not None
    broker, group = psutil.Process(stack.kafka.pid), new_group("scale")
    programs = [our_worker(stack.endpoints, home / str(slot), group, slot=str(slot)) for slot in range(workers)]
    before, machine, started = broker.cpu_times(), _machine_seconds(), time.monotonic()
    run = run_together(stack.endpoints, programs, orders)
    after, busy = broker.cpu_times(), _machine_seconds() - machine
    spent = after.user + after.system - before.user - before.system
    return run, spent / orders * 1e6, busy / (time.monotonic() - started)


def _machine_seconds() -> float:
    """Processor time of everything on the machine so far."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _figures(measured: list[Scaled]) -> list[Figure]:
    one = measured[0]
    figures = []
    for scaled in measured:
        name = "1 worker" if scaled.workers == 1 else f"{scaled.workers} workers"
        ideal = Peer("one worker's", one.cost)
        figures += [
            Figure(f"{name}: processor time of an order, all workers", scaled.cost, "us", None, ideal, is_cost=True),
            Figure("  of the broker besides", scaled.broker_cost, "us", is_cost=True),
            Figure("  orders", scaled.rate, "1/s", None, Peer("ideal, on cores enough", one.rate * scaled.workers)),
            Figure("  cores busy with that", scaled.own_cores, "", is_cost=True),
            Figure("  peak resident memory", max(run.peak_mib for run in scaled.runs), "MiB", is_cost=True),
        ]
    last = measured[-1]
    return [*figures, Figure("processor time, 4 workers to 1", last.cost / one.cost, "x", COST_GOAL, is_cost=True)]


def _limit(last: Scaled) -> str:
    cores, busy = os.cpu_count() or 1, statistics.median(last.busy_cores)
    told = (
        f"{last.workers} workers and their broker kept {last.own_cores:.1f} of {cores} cores busy, the whole machine "
        f"{busy:.1f}; an order took {last.cost + last.broker_cost:.1f} us, {last.broker_cost:.1f} of it the broker. "
    )
    if busy > 0.8 * cores:
        return told + "The cores limit it: more workers do more only on more cores, or with the broker elsewhere."
    return told + "The cores do not limit it: waiting for commits does, or partitions that are unevenly full."


if __name__ == "__main__":
    main()

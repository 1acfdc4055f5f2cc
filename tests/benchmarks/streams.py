"""Our stream worker against its peers in one run: same topic, same broker, same orders; what it costs and how long."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.registry import SchemaRegistry
from tests.benchmarks import stream_latency
from tests.benchmarks.peers import kafka_streams, quix
from tests.benchmarks.report import Figure, publish
from tests.benchmarks.stream_load import prepare
from tests.benchmarks.stream_runs import PeerMissing, Program, ProgramEnded, Run, new_group, our_worker, run_together

ORDERS_PER_SECOND_GOAL = 25_000
TIMES_PLAIN_FAUST_GOAL = 30
TIMES_PLAIN_FAUST_ALL_RULES_GOAL = 5
TIMES_QUIX_GOAL = 5
TIMES_KAFKA_STREAMS_GOAL = 1
MEMORY_OF_KAFKA_STREAMS_GOAL = 0.5
MEDIAN_MS_GOAL = 60
P99_MS_GOAL = 150
PARKED_MS_GOAL = 1_000
LATENCY_ORDERS_PER_SECOND = 1_000

OURS = "ours, exactly once, RocksDB"
IN_MEMORY = "ours, exactly once, in memory"
AT_LEAST_ONCE = "ours, at least once, RocksDB"
TWO_WORKERS = "two of our workers, exactly once, RocksDB"
TEN_CHECKS = "our engine, the peers' ten checks, exactly once, RocksDB"
TWO_TEN_CHECKS = "two processes of our engine, the peers' ten checks, exactly once, RocksDB"
PLAIN_FAUST = "plain Faust, our worker's rules, at least once, in memory"
PLAIN_FAUST_CHECKS = "plain Faust, ten checks, at least once, in memory"
QUIX = "Quix Streams, ten checks, at least once, RocksDB"
QUIX_EXACTLY_ONCE = "Quix Streams, ten checks, exactly once, RocksDB"
KAFKA_STREAMS = "Kafka Streams, ten checks, exactly once, RocksDB, 2 threads"


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to do the work; `programs` makes its processes anew for each run."""

    name: str
    orders: int
    programs: Callable[[Path], list[Program]]


def main() -> None:
    """Print the table and write `build/bench/streams.json`."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as home:
        Path(home).chmod(0o711)
        # Plain, as the peers connect; `make bench-security` tells what security costs.
        with EmbeddedStack(Path(home) / "stack", secured=False) as stack:
            publish("streams", _figures(stack.endpoints, arguments, Path(home)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--records", type=int, default=200_000, help="captured orders; 4,000,000 or more warm a JVM up wholly"
    )
    parser.add_argument("--faust-records", type=int, default=15_000, help="how many of them plain Faust gets through")
    parser.add_argument("--quix-records", type=int, default=40_000, help="how many of them Quix Streams gets through")
    parser.add_argument("--runs", type=int, default=1, help="runs of each; the median counts")
    parser.add_argument("--only", nargs="*", help="run only contestants with one of these words in their name")
    parser.add_argument("--latency-seconds", type=int, default=10, help="how long orders come at a steady pace; 0: not")
    return parser.parse_args()


def _figures(endpoints: Endpoints, arguments: argparse.Namespace, home: Path) -> list[Figure]:
    with closing(SchemaRegistry(endpoints.registry())) as registry:
        prepare(endpoints.kafka(), registry, arguments.records)
    # The broker's JVM compiles what it runs often: whoever came first would pay for it.
    _say("warm-up of the broker, not counted", _run(endpoints, _ours(endpoints, "warm-up", arguments.records), home))
    runs: dict[str, list[Run]] = {}
    for number in range(arguments.runs):
        for contestant in _contestants(endpoints, arguments):
            if arguments.only and not any(word in contestant.name for word in arguments.only):
                continue
            try:
                found = _run(endpoints, contestant, home / f"{number}-{contestant.name}".replace(" ", "-"))
            except PeerMissing as exc:
                print(f"{contestant.name}: skipped, {exc}", file=sys.stderr)
                continue
            except ProgramEnded as exc:
                if contestant.name in (OURS, IN_MEMORY, AT_LEAST_ONCE, TWO_WORKERS, TEN_CHECKS, TWO_TEN_CHECKS):
                    raise SystemExit(str(exc)) from exc
                # A peer's own failure, such as an error of the broker that it does not outlive, is not our result.
                print(f"{contestant.name}: this run does not count, {exc}", file=sys.stderr)
                continue
            _say(contestant.name, found)
            runs.setdefault(contestant.name, []).append(found)
    figures = _rates(runs) + _comparisons(runs)
    return figures + _latencies(endpoints, arguments, home) if arguments.latency_seconds else figures


def _contestants(endpoints: Endpoints, arguments: argparse.Namespace) -> list[Contestant]:
    records = arguments.records
    return [
        _ours(endpoints, OURS, records),
        _ours(endpoints, IN_MEMORY, records, state_store="memory"),
        _ours(endpoints, AT_LEAST_ONCE, records, delivery="at_least_once"),
        Contestant(TWO_WORKERS, records, lambda home: _two_workers(endpoints, home)),
        Contestant(TEN_CHECKS, records, lambda home: [_ten_checks(endpoints, home, new_group("ten"), "0")]),
        Contestant(TWO_TEN_CHECKS, records, lambda home: _two_of_ten_checks(endpoints, home)),
        Contestant(KAFKA_STREAMS, records, lambda home: [kafka_streams.program(endpoints, home)]),
        _quix(endpoints, QUIX, arguments, "at-least-once"),
        _quix(endpoints, QUIX_EXACTLY_ONCE, arguments, "exactly-once"),
        _plain_faust(endpoints, PLAIN_FAUST_CHECKS, arguments, "plain_faust_checks"),
        _plain_faust(endpoints, PLAIN_FAUST, arguments, "plain_faust"),
    ]


def _ours(endpoints: Endpoints, name: str, orders: int, **settings: str) -> Contestant:
    return Contestant(name, orders, lambda home: [our_worker(endpoints, home, new_group("ours"), **settings)])


def _two_workers(endpoints: Endpoints, home: Path) -> list[Program]:
    group = new_group("ours")
    return [our_worker(endpoints, home / slot, group, slot=slot) for slot in ("0", "1")]


def _ten_checks(endpoints: Endpoints, home: Path, group: str, slot: str) -> Program:
    ours = our_worker(endpoints, home, group, slot=slot)
    return replace(ours, argv=[sys.executable, "-m", "tests.benchmarks.ten_checks_worker"])


def _two_of_ten_checks(endpoints: Endpoints, home: Path) -> list[Program]:
    group = new_group("ten")
    return [_ten_checks(endpoints, home / slot, group, slot) for slot in ("0", "1")]


def _quix(endpoints: Endpoints, name: str, arguments: argparse.Namespace, guarantee: str) -> Contestant:
    orders = min(arguments.records, arguments.quix_records)
    return Contestant(name, orders, lambda home: [quix.program(endpoints, home, guarantee)])


def _plain_faust(endpoints: Endpoints, name: str, arguments: argparse.Namespace, module: str) -> Contestant:
    def program(home: Path) -> Program:
        group = new_group("faust")
        settings = {
            "servers": endpoints.bootstrap_servers,
            "registry": endpoints.registry_url,
            "group": group,
            "datadir": str(home),
        }
        environment = {**os.environ, "BENCH": json.dumps(settings)}
        return Program(name, [sys.executable, "-m", f"tests.benchmarks.peers.{module}"], environment, group)

    return Contestant(name, min(arguments.records, arguments.faust_records), lambda home: [program(home)])


def _run(endpoints: Endpoints, contestant: Contestant, home: Path) -> Run:
    programs = contestant.programs(home)
    return run_together(endpoints, programs, contestant.orders)


def _say(name: str, found: Run) -> None:
    print(f"{name}: {found.line()}", file=sys.stderr)


def _rates(runs: dict[str, list[Run]]) -> list[Figure]:
    figures = []
    for name, found in runs.items():
        goal = ORDERS_PER_SECOND_GOAL if name == OURS else None
        cpu = statistics.median(each.warm_cpu_micros for each in found)
        figures += [
            Figure(f"{name}: orders", _rate(found), "1/s", goal),
            Figure("  second half", _warm_rate(found), "1/s"),
            Figure("  processor time of an order, second half", cpu, "us", is_cost=True),
            Figure("  peak resident memory", _peak(found), "MiB", is_cost=True),
        ]
    return figures


def _comparisons(runs: dict[str, list[Run]]) -> list[Figure]:
    """Our engine against each peer at the same work; Kafka Streams' two threads use both cores, and so may two of ours.

    Our worker does all of its rules, enrichment and versions; it is compared too, without a goal.
    """
    figures = []
    for ours, short, is_goal in ((TEN_CHECKS, "our engine", True), (OURS, "our worker", False)):
        figures += [
            Figure(f"{short}, times {peer}", _rate(runs[ours]) / _rate(runs[peer]), "x", goal if is_goal else None)
            for peer, goal in (
                (PLAIN_FAUST_CHECKS, TIMES_PLAIN_FAUST_GOAL),
                (QUIX, TIMES_QUIX_GOAL),
                (QUIX_EXACTLY_ONCE, TIMES_QUIX_GOAL),
            )
            if ours in runs and peer in runs
        ]
    for name, short, is_goal in (
        (TEN_CHECKS, "our engine", True),
        (TWO_TEN_CHECKS, "two processes of our engine", True),
        (OURS, "our worker", False),
        (TWO_WORKERS, "two of our workers", False),
    ):
        if name in runs and KAFKA_STREAMS in runs:
            figures += _against_kafka_streams(short, runs[name], runs[KAFKA_STREAMS], is_goal=is_goal)
    if OURS in runs and TWO_WORKERS in runs:
        figures.append(Figure("two workers, times one", _rate(runs[TWO_WORKERS]) / _rate(runs[OURS]), "x"))
    if OURS in runs and PLAIN_FAUST in runs:
        times = _rate(runs[OURS]) / _rate(runs[PLAIN_FAUST])
        figures.append(Figure(f"our worker, times {PLAIN_FAUST}", times, "x", TIMES_PLAIN_FAUST_ALL_RULES_GOAL))
    return figures


def _against_kafka_streams(name: str, ours: list[Run], peer: list[Run], *, is_goal: bool) -> list[Figure]:
    goal = TIMES_KAFKA_STREAMS_GOAL if is_goal else None
    memory_goal = MEMORY_OF_KAFKA_STREAMS_GOAL if is_goal else None
    memory = _peak(ours) / _peak(peer)
    return [
        Figure(f"{name}, times Kafka Streams, whole run", _rate(ours) / _rate(peer), "x", goal),
        Figure(f"{name}, times Kafka Streams, second half", _warm_rate(ours) / _warm_rate(peer), "x", goal),
        Figure(f"{name}, memory of Kafka Streams'", memory, "x", memory_goal, is_cost=True),
    ]


def _latencies(endpoints: Endpoints, arguments: argparse.Namespace, home: Path) -> list[Figure]:
    found = stream_latency.measure(endpoints, home / "latency", LATENCY_ORDERS_PER_SECOND, arguments.latency_seconds)
    at_pace = f"broker in to read_committed subscriber, {LATENCY_ORDERS_PER_SECOND:,} orders/s"
    return [
        Figure(f"{at_pace}, median", found.median * 1000, "ms", MEDIAN_MS_GOAL, is_cost=True),
        Figure(f"{at_pace}, p99", found.p99 * 1000, "ms", P99_MS_GOAL, is_cost=True),
        Figure(
            "200 parked orders released after their customer came",
            found.parked * 1000,
            "ms",
            PARKED_MS_GOAL,
            is_cost=True,
        ),
    ]


def _rate(found: list[Run]) -> float:
    return statistics.median(each.rate for each in found)


def _warm_rate(found: list[Run]) -> float:
    return statistics.median(each.warm_rate for each in found)


def _peak(found: list[Run]) -> float:
    return max(each.peak_mib for each in found)


if __name__ == "__main__":
    main()

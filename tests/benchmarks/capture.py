"""The capture against Debezium in the same run: a backlog, latency at two rates, a snapshot, a large transaction."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.codec import TopicCodec
from schemas.models import OrderCaptured
from schemas.registry import SchemaRegistry
from tests.benchmarks import capture_load as load
from tests.benchmarks.capture_load import ROWS_OF_NEW_ORDER, Effort, TopicWatch
from tests.benchmarks.capture_process import OrdersyncCapture
from tests.benchmarks.peers import debezium
from tests.benchmarks.peers.debezium import DebeziumConnector
from tests.benchmarks.report import Figure, Peer, publish

TIMES_THROUGHPUT_GOAL = 2.5
PART_OF_MEMORY_GOAL = 1 / 5
P50_GOAL_MILLISECONDS = 5
P99_GOAL_MILLISECONDS = 15
SNAPSHOT_ROWS_GOAL = 150_000
RATES = (200, 1_000)
PARTS = ("stream", "snapshot", "large")
_WARM_UP_ORDERS = 5_000
_WARM_UP_SECONDS = 3
_DEADLINE_SECONDS = 600.0


class Contender(Protocol):
    """A running capture, ours or the peer's."""

    @property
    def pid(self) -> int: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def require_alive(self) -> None: ...


@dataclass
class Drained:
    """How a backlog was worked off."""

    rows_per_second: float
    cpu_microseconds_per_row: float


@dataclass
class Result:
    """What was measured of one contender."""

    drained: Drained
    peak_mebibytes: float = 0.0
    milliseconds: dict[int, list[float]] = field(default_factory=dict)

    def percentile(self, rate: int, percent: int) -> float:
        """Of the latencies at one rate."""
        return statistics.quantiles(self.milliseconds[rate], n=100)[percent - 1]


class CaptureBenchmark:
    """One run on one stack."""

    def __init__(self, stack: EmbeddedStack, home: Path, arguments: argparse.Namespace) -> None:
        self._stack = stack
        self._endpoints: Endpoints = stack.endpoints
        self._home = home
        self._arguments = arguments
        self._registry = SchemaRegistry(self._endpoints.registry())

    def close(self) -> None:
        """End the connections."""
        self._registry.close()

    def figures(self) -> list[Figure]:
        """Everything that was asked for."""
        parts, found, peer = self._arguments.parts, [], None
        if "stream" in parts:
            ours, peer = self._streaming()
            found += _streaming_figures(ours, peer)
        if "snapshot" in parts:
            found += self._snapshots()
        if "large" in parts:
            rows = ROWS_OF_NEW_ORDER * self._arguments.large_orders
            limit = None if peer is None else PART_OF_MEMORY_GOAL * peer.peak_mebibytes
            name = f"peak memory, a transaction of {rows:,} rows"
            found.append(Figure(name, self._large(), "MiB", limit, is_cost=True))
        return found

    def _snapshots(self) -> list[Figure]:
        quarter, whole = (self._snapshot(self._arguments.snapshot_orders // part) for part in (4, 1))
        return [
            Figure("snapshot, through to Kafka", whole[0], "rows/s", SNAPSHOT_ROWS_GOAL),
            Figure(
                "memory, snapshot of a table four times as large",
                whole[1],
                "MiB",
                1.1 * quarter[1],
                Peer("the quarter of it", quarter[1]),
                is_cost=True,
            ),
        ]

    def _database(self, name: str) -> OrdersyncCapture:
        """A new database with the tables, and the capture of it."""
        assert self._stack.postgres is not None
        self._stack.postgres.create_database(name)
        load.create_tables(self._endpoints.database(name))
        capture = OrdersyncCapture(self._home / name, self._endpoints, name)
        capture.create_topics(self._registry)
        return capture

    def _streaming(self) -> tuple[Result, Result | None]:
        arguments, database = self._arguments, self._endpoints.database("streaming")
        ours = self._database("streaming")
        ours.start()
        ours.wait_ready()
        ours.stop()
        self._create_peer_slot()
        connector = DebeziumConnector(self._home / "debezium", self._endpoints, "streaming")
        our_watch = TopicWatch(self._endpoints.kafka(), (ours.topic,))
        peer_watch = TopicWatch(self._endpoints.kafka(), debezium.TOPICS)
        with closing(our_watch), closing(peer_watch):
            _say(f"warm-up of the broker and both captures with {_WARM_UP_ORDERS:,} orders, not counted")
            load.write_backlog(database, _WARM_UP_ORDERS, 1)
            contenders: list[tuple[Contender, TopicWatch, int]] = [(ours, our_watch, 2)]
            if not arguments.no_peer:
                contenders.append((connector, peer_watch, ROWS_OF_NEW_ORDER + 1))
            for contender, watch, records in contenders:
                self._drain(contender, watch, records * _WARM_UP_ORDERS, lambda count: count)
                contender.stop()
            _say(f"writing the backlog: {arguments.orders:,} orders, inserted and updated")
            load.write_backlog(database, arguments.orders, _WARM_UP_ORDERS + 1)
            peer = None
            if not arguments.no_peer:
                peer = self._measured(connector, peer_watch, ROWS_OF_NEW_ORDER + 1, lambda count: count, _peer_time)
                self._drop_peer_slot()
            codec = TopicCodec(ours.topic, OrderCaptured, self._registry)

            def our_time(message: Any) -> float:
                return codec.decode(message.value()).committed_at.timestamp()

            return self._measured(ours, our_watch, 2, self._rows_of_events, our_time), peer

    def _rows_of_events(self, count: int) -> int:
        """Row changes behind so many events: first every order is inserted, then every order is updated."""
        inserted = min(count, self._arguments.orders)
        return ROWS_OF_NEW_ORDER * inserted + (count - inserted)

    def _measured(
        self,
        contender: Contender,
        watch: TopicWatch,
        records_per_order: int,
        rows_of: Callable[[int], int],
        commit_time: Callable[[Any], float],
    ) -> Result:
        try:
            drained = self._drain(contender, watch, records_per_order * self._arguments.orders, rows_of)
            _say(f"{type(contender).__name__}: {drained}")
            result = Result(drained, Effort.of(contender.pid).peak_mebibytes)
            for rate in RATES:
                result.milliseconds[rate] = self._latencies(contender, watch, rate, commit_time)
            result.peak_mebibytes = Effort.of(contender.pid).peak_mebibytes
        finally:
            contender.stop()
        return result

    def _drain(self, contender: Contender, watch: TopicWatch, records: int, rows_of: Callable[[int], int]) -> Drained:
        """From the first record seen to the last."""
        before = watch.count()
        contender.start()
        deadline = time.monotonic() + _DEADLINE_SECONDS
        first: tuple[float, int, Effort] | None = None
        while True:
            contender.require_alive()
            count, now = watch.count() - before, time.monotonic()
            if count and first is None:
                first = (now, rows_of(min(count, records)), Effort.of(contender.pid))
            if count >= records:
                break
            if now > deadline:
                raise SystemExit(f"{type(contender).__name__} wrote {count} of {records} records in time")
            time.sleep(0.02)
        assert first is not None
        effort, rows = Effort.of(contender.pid), rows_of(records) - first[1]
        cpu_microseconds = 1e6 * (effort.cpu_seconds - first[2].cpu_seconds) / max(1, rows)
        return Drained(rows / max(1e-9, now - first[0]), cpu_microseconds)

    def _latencies(
        self, contender: Contender, watch: TopicWatch, rate: int, commit_time: Callable[[Any], float]
    ) -> list[float]:
        """Milliseconds from the source's commit to the arrival at a consumer, which is after Kafka's answer."""
        seconds = _WARM_UP_SECONDS + self._arguments.seconds
        self._settle(watch)
        database = self._endpoints.database("streaming")
        with ThreadPoolExecutor(1) as executor, watch.arrivals() as within:
            trading = executor.submit(load.trade, database, rate, seconds, self._home)
            within(_WARM_UP_SECONDS)
            found = within(self._arguments.seconds - 0.5)
            contender.require_alive()
            trading.result()
        if len(found) < rate * self._arguments.seconds / 2:
            raise SystemExit(f"{type(contender).__name__}: {len(found)} records came at {rate} transactions a second")
        return [1000 * (arrived_at - commit_time(message)) for arrived_at, message in found]

    def _settle(self, watch: TopicWatch) -> None:
        """Return when nothing more comes, so that what was traded before is not in what is measured."""
        count = -1
        while count != (count := watch.count()):
            time.sleep(1.0)

    def _snapshot(self, orders: int) -> tuple[float, float]:
        """Rows a second from the slot's creation to the last event on Kafka, and the peak memory."""
        name = f"snapshot_{orders}"
        capture = self._database(name)
        database = self._endpoints.database(name)
        load.write_table(database, orders)
        with (
            closing(TopicWatch(self._endpoints.kafka(), (capture.topic,))) as watch,
            psycopg.connect(database.conninfo(), autocommit=True) as connection,
        ):
            connection.execute("VACUUM ANALYZE")
            capture.start()
            try:
                exists = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s"
                _wait(lambda: connection.execute(exists, (name,)).fetchone() == (1,), capture)
                began = time.monotonic()
                _wait(lambda: watch.count() >= orders, capture)
                ended = time.monotonic()
                effort = Effort.of(capture.pid)
            finally:
                capture.stop()
        rows = ROWS_OF_NEW_ORDER * orders
        read = [line for line in capture.log.splitlines() if "rows read" in line]
        _say(f"snapshot of {rows:,} rows: {rows / (ended - began):,.0f} rows/s, {effort}; {' '.join(read)}")
        return rows / (ended - began), effort.peak_mebibytes

    def _large(self) -> float:
        """Peak memory of the capture that reads one large transaction."""
        orders = self._arguments.large_orders
        capture = self._database("large")
        with closing(TopicWatch(self._endpoints.kafka(), (capture.topic,))) as watch:
            capture.start()
            try:
                capture.wait_ready()
                load.write_table(self._endpoints.database("large"), orders)
                began = time.monotonic()
                _wait(lambda: watch.count() >= orders, capture)
                _say(f"large transaction: everything {time.monotonic() - began:.1f} s after its commit")
                return Effort.of(capture.pid).peak_mebibytes
            finally:
                capture.stop()

    def _create_peer_slot(self) -> None:
        with psycopg.connect(self._endpoints.database("streaming").conninfo(), autocommit=True) as connection:
            tables = ", ".join(debezium.TABLES)
            connection.execute(f"CREATE PUBLICATION {debezium.PUBLICATION} FOR TABLE {tables}".encode())
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (debezium.SLOT,))
        load.create_topics(self._endpoints.kafka(), debezium.TOPICS)

    def _drop_peer_slot(self) -> None:
        with psycopg.connect(self._endpoints.database("streaming").conninfo(), autocommit=True) as connection:
            query = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
            while connection.execute(query, (debezium.SLOT,)).fetchone() == (True,):
                time.sleep(0.1)
            connection.execute("SELECT pg_drop_replication_slot(%s)", (debezium.SLOT,))


def _streaming_figures(ours: Result, peer: Result | None) -> list[Figure]:
    def other(value: Callable[[Result], float]) -> Peer | None:
        return None if peer is None else Peer(debezium.NAME, value(peer))

    def goal(value: Callable[[Result], float], factor: float) -> float | None:
        return None if peer is None else factor * value(peer)

    def rows(result: Result) -> float:
        return result.drained.rows_per_second

    def memory(result: Result) -> float:
        return result.peak_mebibytes

    def cpu(result: Result) -> float:
        return result.drained.cpu_microseconds_per_row

    found = [
        Figure("backlog", rows(ours), "row changes/s", goal(rows, TIMES_THROUGHPUT_GOAL), other(rows)),
        Figure("CPU of the capture", cpu(ours), "µs/row change", None, other(cpu), is_cost=True),
        Figure("peak memory", memory(ours), "MiB", goal(memory, PART_OF_MEMORY_GOAL), other(memory), is_cost=True),
    ]
    for rate in RATES:
        for percent, limit in ((50, P50_GOAL_MILLISECONDS), (99, P99_GOAL_MILLISECONDS)):
            at = other(lambda result, rate=rate, percent=percent: result.percentile(rate, percent))  # type: ignore[misc]
            bound = limit if at is None else min(limit, at.value)
            name = f"latency at {rate:,} transactions/s, p{percent}"
            found.append(Figure(name, ours.percentile(rate, percent), "ms", bound, at, is_cost=True))
    return found


def _peer_time(message: Any) -> float:
    committed_at: float = json.loads(message.value())["source"]["ts_us"] / 1e6
    return committed_at


def _wait(condition: Callable[[], bool], contender: Contender) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        contender.require_alive()
        if time.monotonic() > deadline:
            raise SystemExit(f"{type(contender).__name__} took too long")
        time.sleep(0.01)


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000, help="orders of the backlog: 5 row changes each")
    parser.add_argument("--seconds", type=int, default=15, help="measured time of each rate")
    parser.add_argument("--snapshot-orders", type=int, default=250_000, help="orders of the table: 4 rows each")
    parser.add_argument("--large-orders", type=int, default=250_000, help="orders of the large transaction")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured")
    parser.add_argument("--no-peer", action="store_true", help="ours only")
    return parser.parse_args()


def main() -> None:
    """Print the table and write `build/bench/capture.json`."""
    arguments = _arguments()
    with ExitStack() as closing_stack:
        home = Path(closing_stack.enter_context(tempfile.TemporaryDirectory(prefix="ordersync-bench-")))
        home.chmod(0o711)
        # Plain, as the peers connect; `make bench-security` tells what security costs.
        stack = closing_stack.enter_context(EmbeddedStack(home / "stack", secured=False))
        benchmark = closing_stack.enter_context(closing(CaptureBenchmark(stack, home, arguments)))
        publish("capture", benchmark.figures())


if __name__ == "__main__":
    main()

"""How fast the database sinks are: the ledger in journal lines, the ERP in rows beside Debezium's JDBC sink."""

from __future__ import annotations

import argparse
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from consumers.registry import SINKS
from consumers.settings import SinkSettings
from consumers.warehouse.export.exporter import LedgerExport
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.topics import ORDER_EVENTS, ORDER_STATE, POSTINGS, REJECTED
from tests.benchmarks.peers import debezium_sink
from tests.benchmarks.report import Figure, Peer, publish
from tests.benchmarks.sink_load import produce_events, produce_postings, rows_of_order
from tests.contract.sink_workbench import Cluster, WorkerProcess

LINES_PER_SECOND_GOAL = 50_000
TIMES_PEER_GOAL = 3
DEADLINE_SECONDS = 300.0
PARTS = ("warehouse", "erp")
_POSITION = "SELECT coalesce(sum(next_offset), 0) FROM sink_position"

_SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND application_name LIKE %s"
)


@dataclass(frozen=True, slots=True)
class Drained:
    """A run: records from the first commit seen to the last, and the time that they took."""

    records: int
    seconds: float
    processor_seconds: float
    """Of the worker and of its database sessions together."""

    @property
    def per_second(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    @property
    def microseconds(self) -> float:
        """Processor time for each record."""
        return 1_000_000 * self.processor_seconds / self.records


def main() -> None:
    """Print the table and write `build/bench/sinks.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=60_000, help="orders of each run")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured")
    parser.add_argument("--no-peer", action="store_true", help="ours only")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as directory:
        home = Path(directory)
        home.chmod(0o711)
        # Plain, as the peers connect; `make bench-security` tells what security costs.
        with EmbeddedStack(home / "stack", secured=False) as stack:
            publish("sinks", _figures(stack.endpoints, home, arguments))


def _figures(stack: Endpoints, home: Path, arguments: argparse.Namespace) -> list[Figure]:
    prefix = f"bench{uuid.uuid4().hex[:6]}."
    cluster = Cluster(stack, prefix, (ORDER_EVENTS, ORDER_STATE, POSTINGS, REJECTED))
    found: list[Figure] = []
    if "warehouse" in arguments.parts:
        found += _ledger_figures(stack, cluster, home, arguments.orders)
    if "erp" in arguments.parts:
        peer = None if arguments.no_peer else _drain_peer(stack, home, prefix, arguments.orders)
        found += _erp_figures(stack, cluster, arguments.orders, peer)
    return found


def _ledger_figures(stack: Endpoints, cluster: Cluster, home: Path, orders: int) -> list[Figure]:
    entries, lines = produce_postings(cluster, orders)
    drained = _drain(stack, cluster, "warehouse", entries)
    began = time.process_time()
    LedgerExport(stack.database("bench_warehouse"), home / "lake").export()
    exported = time.process_time() - began
    return [
        Figure("general ledger", drained.per_second * lines / entries, "journal lines/s", LINES_PER_SECOND_GOAL),
        Figure("general ledger, journal entries", drained.per_second, "entries/s"),
        Figure("general ledger, processor time", drained.microseconds * entries / lines, "µs/line", is_cost=True),
        Figure("star schema, processor time of the export", 1e6 * exported / lines, "µs/line", is_cost=True),
    ]


def _erp_figures(stack: Endpoints, cluster: Cluster, orders: int, peer: Drained | None) -> list[Figure]:
    rows = rows_of_order()
    drained = _drain(stack, cluster, "erp", produce_events(cluster, orders))
    fast, cheap, goal = None, None, None
    if peer is not None:
        fast, cheap = Peer(debezium_sink.NAME, peer.per_second), Peer(debezium_sink.NAME, peer.microseconds)
        goal = TIMES_PEER_GOAL * peer.per_second
    return [
        Figure(f"ERP, orders of {rows} rows", drained.per_second, "events/s"),
        Figure("ERP, rows", rows * drained.per_second, "rows/s", goal, fast),
        Figure("ERP, processor time", drained.microseconds / rows, "µs/row", None, cheap, is_cost=True),
    ]


def _drain_peer(stack: Endpoints, home: Path, prefix: str, orders: int) -> Drained:
    """The peer writes the same rows to the same tables; its clock runs from its first commit, too."""
    database = "bench_peer"
    _create_database(stack, database)
    peer = debezium_sink.JdbcSink(home / "connect", stack, database, f"{prefix}peer.")
    events = peer.produce(stack, orders)
    peer.start()
    try:
        with psycopg.connect(stack.database(database).conninfo(), autocommit=True) as session:

            def reached() -> int:
                peer.require_alive()
                return peer.committed()

            def used() -> float:
                return _processor_seconds(peer.pid, session, debezium_sink.SESSIONS)

            return _clocked(reached, used, events)
    finally:
        peer.stop()


def _drain(stack: Endpoints, cluster: Cluster, name: str, records: int) -> Drained:
    """Let a worker process consume everything; the clock runs from its first commit, so its start is not counted."""
    database = f"bench_{name}"
    _create_database(stack, database)
    settings: SinkSettings = SINKS[name].settings(
        kafka=stack.kafka(),
        registry=stack.registry(),
        database=stack.database(database),
        topic_prefix=cluster.prefix,
        group_id=f"{cluster.prefix}{name}",
    )
    worker = WorkerProcess(name, settings, cluster)
    try:
        with psycopg.connect(stack.database(database).conninfo(), autocommit=True) as session:
            return _clocked(_watch(session), lambda: _processor_seconds(worker.pid, session, "ordersync%"), records)
    finally:
        worker.stop()


def _create_database(stack: Endpoints, name: str) -> None:
    with psycopg.connect(stack.database("postgres").conninfo(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _clocked(reached: Callable[[], int], used: Callable[[], float], records: int) -> Drained:
    first = _until(reached, lambda done: done > 0)
    began, before = time.perf_counter(), used()
    last = _until(reached, lambda done: done >= records)
    ended = time.perf_counter()
    return Drained(last - first, ended - began, used() - before)


def _processor_seconds(pid: int, session: psycopg.Connection[tuple[int]], sessions: str) -> float:
    """Used so far by a worker and by the sessions of its database."""
    pids = [backend for (backend,) in session.execute(_SESSIONS, (sessions,))]
    times = [psutil.Process(one).cpu_times() for one in (pid, *pids)]
    return sum(one.user + one.system for one in times)


def _watch(session: psycopg.Connection[tuple[int]]) -> Callable[[], int]:
    def reached() -> int:
        try:
            row = session.execute(_POSITION).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
        return int(row[0]) if row else 0

    return reached


def _until(reached: Callable[[], int], enough: Callable[[int], bool]) -> int:
    until = time.perf_counter() + DEADLINE_SECONDS
    while not enough(done := reached()):
        if time.perf_counter() > until:
            raise SystemExit(f"the sink stands at {done} records after {DEADLINE_SECONDS:.0f} s")
        time.sleep(0.02)
    return done


if __name__ == "__main__":
    main()

"""How fast the database sinks are: the general ledger in journal lines, the ERP in order events a second."""

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
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.topics import ORDER_EVENTS, ORDER_STATE, POSTINGS, REJECTED
from tests.benchmarks.report import Figure, publish
from tests.benchmarks.sink_load import produce_events, produce_postings
from tests.contract.sink_workbench import Cluster, WorkerProcess

LINES_PER_SECOND_GOAL = 50_000
DEADLINE_SECONDS = 300.0
_POSITION = "SELECT coalesce(sum(next_offset), 0) FROM sink_position"

_SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND application_name LIKE 'ordersync%'"
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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as home:
        Path(home).chmod(0o711)
        with EmbeddedStack(Path(home) / "stack") as stack:
            publish("sinks", _figures(stack.endpoints, arguments.orders))


def _figures(stack: Endpoints, orders: int) -> list[Figure]:
    prefix = f"bench{uuid.uuid4().hex[:6]}."
    cluster = Cluster(stack, prefix, (ORDER_EVENTS, ORDER_STATE, POSTINGS, REJECTED))
    entries, lines = produce_postings(cluster, orders)
    ledger = _drain(stack, cluster, "warehouse", entries)
    events = produce_events(cluster, orders)
    erp = _drain(stack, cluster, "erp", events)
    return [
        Figure("general ledger", ledger.per_second * lines / entries, "journal lines/s", LINES_PER_SECOND_GOAL),
        Figure("general ledger, journal entries", ledger.per_second, "entries/s"),
        Figure("general ledger, processor time", ledger.microseconds * entries / lines, "µs/line"),
        Figure("ERP, orders with three lines", erp.per_second, "events/s"),
        Figure("ERP, processor time", erp.microseconds, "µs/event"),
    ]


def _drain(stack: Endpoints, cluster: Cluster, name: str, records: int) -> Drained:
    """Let a worker process consume everything; the clock runs from its first commit, so its start is not counted."""
    database = f"bench_{name}"
    with psycopg.connect(stack.database("postgres").conninfo(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
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
            reached = _watch(session)
            first = _until(reached, lambda done: done > 0)
            began, used = time.perf_counter(), _processor_seconds(worker, session)
            last = _until(reached, lambda done: done >= records)
            ended = time.perf_counter()
            return Drained(last - first, ended - began, _processor_seconds(worker, session) - used)
    finally:
        worker.stop()


def _processor_seconds(worker: WorkerProcess, session: psycopg.Connection[tuple[int]]) -> float:
    """Used so far by the worker and by the sessions of its database, without the one that asks."""
    pids = [pid for (pid,) in session.execute(_SESSIONS)]
    times = [psutil.Process(pid).cpu_times() for pid in (worker.pid, *pids)]
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

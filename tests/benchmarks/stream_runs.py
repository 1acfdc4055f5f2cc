"""Runs one stream processor over the captured orders and says how fast it went, what it cost and what it held."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local.endpoints import Endpoints
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings
from tests.benchmarks.stream_load import committed, empty_outputs, versions_written

_DEADLINE_SECONDS = 900
_STOP_SECONDS = 60


class PeerMissing(Exception):
    """A peer that cannot run on this machine, with the reason; the benchmark goes on without it."""


class ProgramEnded(Exception):
    """A program that ended before its work was done, with its exit code."""


@dataclass(frozen=True, slots=True)
class Program:
    """A stream processor as a process; its consumer group is `group`."""

    name: str
    argv: list[str]
    environment: dict[str, str]
    group: str
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a group had committed, and what its process had used by then."""

    at: float
    orders: int
    cpu_seconds: float


@dataclass(slots=True)
class Run:
    """What was seen of a run; rates are from the first commit seen, which leaves starting and joining out."""

    seen: list[Progress] = field(default_factory=list)
    peak_mib: float = 0.0

    @property
    def rate(self) -> float:
        """Orders a second over the whole run."""
        return _rate(self.seen[0], self.seen[-1])

    @property
    def warm_rate(self) -> float:
        """Orders a second over the second half: what a just-in-time compiler has seen before."""
        return _rate(*self._second_half)

    @property
    def cpu_micros(self) -> float:
        """Processor time of an order in microseconds, over all cores: what other load on the machine hardly changes."""
        return _cpu_micros(self.seen[0], self.seen[-1])

    @property
    def warm_cpu_micros(self) -> float:
        """As `cpu_micros`, over the second half."""
        return _cpu_micros(*self._second_half)

    @property
    def _second_half(self) -> tuple[Progress, Progress]:
        last = self.seen[-1]
        before = [progress for progress in self.seen[:-1] if progress.orders <= last.orders / 2]
        return before[-1] if before else self.seen[0], last

    def line(self) -> str:
        """The run in one line for people."""
        return (
            f"{self.rate:,.0f}/s, second half {self.warm_rate:,.0f}/s; {self.cpu_micros:.1f} us of processor time an "
            f"order, second half {self.warm_cpu_micros:.1f} us; {self.peak_mib:,.0f} MiB"
        )


def new_group(name: str) -> str:
    """A consumer group that has read nothing yet."""
    return f"bench-{name}-{uuid.uuid4().hex[:8]}"


def our_worker(endpoints: Endpoints, home: Path, group: str, **settings: str) -> Program:
    """Our own stream worker, as an operator starts it; `settings` are its own, by their names."""
    environment = {
        **os.environ,
        **endpoints.environment(),
        "ORDERSYNC_GROUP": group,
        "ORDERSYNC_DATA_DIR": str(home),
        **{f"ORDERSYNC_{name.upper()}": value for name, value in settings.items()},
    }
    return Program("ours", [sys.executable, "-m", "deploy.cli", "worker", "streams"], environment, group)


def run(endpoints: Endpoints, program: Program, orders: int) -> Run:
    """Start `program` with empty outputs, end it when its group has committed `orders` of the captured ones."""
    return run_together(endpoints, [program], orders)


def run_together(endpoints: Endpoints, programs: list[Program], orders: int) -> Run:
    """As `run`, for several processes of one group; the clock starts when all of them have joined and committed."""
    kafka = endpoints.kafka()
    with closing(SchemaRegistry(endpoints.registry())) as registry:
        empty_outputs(kafka, registry)
    processes = [subprocess.Popen(program.argv, env=program.environment, cwd=program.cwd) for program in programs]
    try:
        found = _watched(kafka, programs, processes, orders)
        written = versions_written(kafka)
        if written < orders:
            raise SystemExit(f"{programs[0].name} made {written} versions of {orders} orders: it does not do the work")
        return found
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(_STOP_SECONDS)


def _watched(
    kafka: KafkaSettings, programs: list[Program], processes: list[subprocess.Popen[bytes]], orders: int
) -> Run:
    found = Run()
    watched = [psutil.Process(process.pid) for process in processes]
    deadline = time.monotonic() + _DEADLINE_SECONDS
    for at, done in committed(kafka, programs[0].group):
        for program, process in zip(programs, processes, strict=True):
            if process.poll() is not None:
                raise ProgramEnded(f"{program.name} ended with {process.returncode} after {done} orders")
        if at > deadline:
            raise SystemExit(f"{programs[0].name} had committed {done} orders of {orders} after {_DEADLINE_SECONDS} s")
        found.peak_mib = max(found.peak_mib, sum(each.memory_info().rss for each in watched) / 2**20)
        times = [each.cpu_times() for each in watched]
        cpu_seconds = sum(spent.user + spent.system for spent in times)
        if done and (not found.seen or done > found.seen[-1].orders):
            found.seen.append(Progress(at, done, cpu_seconds))
            if done >= orders and len(found.seen) > 1:
                return found
    raise AssertionError("the group's progress has an end")


def _rate(first: Progress, last: Progress) -> float:
    return (last.orders - first.orders) / (last.at - first.at)


def _cpu_micros(first: Progress, last: Progress) -> float:
    return (last.cpu_seconds - first.cpu_seconds) / (last.orders - first.orders) * 1e6

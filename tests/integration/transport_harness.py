"""Runs workers of `transport_worker.py` as processes and judges what they wrote."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.endpoints import Endpoints

WORKER = Path(__file__).with_name("transport_worker.py")
PARTITIONS = 4
KEYS = 40
# Deadlines are those of a calm machine; other tests run beside, and pace is not judged here.
_PATIENCE = 3.0


def wait_until(condition: Callable[[], bool], deadline_seconds: float, what: str) -> None:
    """Wait for a condition; fail with what was awaited."""
    deadline = time.monotonic() + _PATIENCE * deadline_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {_PATIENCE * deadline_seconds:g} s: {what}"
        time.sleep(0.05)


class WorkerProcess:
    """One worker; its standard output and error go to a file each."""

    def __init__(self, directory: Path, number: int, environment: dict[str, str]) -> None:
        self.stdout = directory / f"worker-{number}.out"
        self.stderr = directory / f"worker-{number}.err"
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER)], env=environment, stdout=out, stderr=err, cwd=directory
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self, deadline_seconds: float = 30) -> int:
        """The exit code, once it has ended."""
        try:
            return self.process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end: {self.log()[-3000:]}") from None

    def lines(self) -> list[str]:
        """What the worker said on standard output."""
        return self.stdout.read_text().splitlines()

    def log(self) -> str:
        """What the worker logged."""
        return self.stderr.read_text()

    def held(self) -> set[tuple[str, int]]:
        """Topic and partition of the last assignment."""
        lines = self.lines()
        last = max((i for i, line in enumerate(lines) if line.startswith("ASSIGNED")), default=None)
        if last is None or any(line.startswith("REVOKED") for line in lines[last:]):
            return set()
        parts = [line.split() for line in lines[last:] if line.startswith("HELD")]
        return {(topic, int(partition)) for _, topic, partition in parts}

    def holds_partitions(self) -> bool:
        """Whether the worker has said that it holds partitions now."""
        return bool(self.held())


@dataclass
class Scene:
    """Topics, workers and the judgement of one test."""

    stack: Endpoints
    prefix: str
    directory: Path
    inputs: list[str] = field(default_factory=list)
    workers: list[WorkerProcess] = field(default_factory=list)
    written: int = 0

    def __post_init__(self) -> None:
        self.inputs = self.inputs or [f"{self.prefix}orders", f"{self.prefix}payments"]
        self.output = f"{self.prefix}copies"
        self.group = f"{self.prefix}group"
        admin = AdminClient(self.stack.kafka().client_config())
        created = admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in [*self.inputs, self.output]])
        for future in created.values():
            future.result(30)
        self._producer = Producer(self.stack.kafka().producer_config())

    def write(self, records: int) -> None:
        """Write so many records to each input, with equal keys in all of them."""
        for number in range(self.written, self.written + records):
            for topic in self.inputs:
                self._producer.produce(topic, str(number).encode(), f"key-{number % KEYS}".encode())
        self.written += records
        assert self._producer.flush(30) == 0

    def work(self, **misbehaviour: object) -> WorkerProcess:
        """Start a worker."""
        environment = {
            **os.environ,
            **self.stack.environment(),
            "TEST_GROUP": self.group,
            "TEST_INPUTS": ",".join(self.inputs),
            "TEST_OUTPUT": self.output,
            **{f"TEST_{name.upper()}": str(value) for name, value in misbehaviour.items()},
        }
        worker = WorkerProcess(self.directory, len(self.workers), environment)
        self.workers.append(worker)
        return worker

    def working(self, **misbehaviour: object) -> WorkerProcess:
        """Start a worker and wait until it holds partitions."""
        worker = self.work(**misbehaviour)
        wait_until(worker.holds_partitions, 40, "a worker that holds partitions")
        return worker

    def members(self) -> int:
        """How many members the brokers count in the group."""
        admin = AdminClient(self.stack.kafka().client_config())
        description = admin.describe_consumer_groups([self.group])[self.group].result(30)
        return len(description.members)

    def stop(self) -> None:
        """End all workers."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.send(signal.SIGKILL)
                worker.process.wait()

    def copies(self, expected: int, deadline_seconds: float = 45) -> list[list[tuple[str, int, int, int, bytes]]]:
        """All copies under `read_committed`, by output partition, once so many came and the output is quiet."""
        reading = {"isolation.level": "read_committed", "auto.offset.reset": "earliest", "enable.auto.commit": False}
        reader = Consumer(self.stack.kafka().client_config(**reading, **{"group.id": f"{self.prefix}judge"}))
        reader.subscribe([self.output])
        found: list[list[tuple[str, int, int, int, bytes]]] = [[] for _ in range(PARTITIONS)]
        deadline = time.monotonic() + deadline_seconds
        with contextlib.closing(reader):
            while time.monotonic() < deadline:
                messages = reader.consume(1000, 1.0)
                for message in messages:
                    assert message.error() is None
                    topic, partition, offset, number, _ = message.value().decode().split(":")
                    copy = (topic, int(partition), int(offset), int(number), message.key())
                    found[message.partition()].append(copy)
                if not messages and sum(map(len, found)) >= expected:
                    return found
        raise AssertionError(f"{sum(map(len, found))} of {expected} copies: {[w.log()[-1500:] for w in self.workers]}")

    def assert_exactly_once(self) -> None:
        """Each record was copied once, in order, and each count followed from all before it."""
        expected = self.written * len(self.inputs)
        found = self.copies(expected)
        places = Counter((topic, partition, offset) for copies in found for topic, partition, offset, _, _ in copies)
        assert [place for place, times in places.items() if times > 1] == []
        assert len(places) == expected
        for copies in found:
            assert_in_order(copies)

    def assert_at_least_once(self) -> None:
        """Each record was copied."""
        expected = self.written * len(self.inputs)
        found = self.copies(expected)
        assert len({copy[:3] for copies in found for copy in copies}) == expected


def assert_in_order(copies: list[tuple[str, int, int, int, bytes]]) -> None:
    """Offsets of each input rise and each key's count rises by one."""
    last_offset: dict[tuple[str, int], int] = {}
    counts: Counter[bytes] = Counter()
    for topic, partition, offset, number, key in copies:
        assert offset > last_offset.get((topic, partition), -1)
        last_offset[topic, partition] = offset
        counts[key] += 1
        assert number == counts[key], f"{topic}[{partition}]@{offset}: count {number}, not {counts[key]}"


@contextlib.contextmanager
def scene(stack: Endpoints, prefix: str, directory: Path) -> Iterator[Scene]:
    """A scene whose workers end with it."""
    made = Scene(stack, prefix, directory)
    try:
        yield made
    finally:
        made.stop()

"""How fast the archive takes events in, encrypted, how soon they are safe, and how fast a moment is restored."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.restoration import Restoration, RestorePlan
from consumers.backup.restore.target import RestoreTarget
from consumers.backup.vault.catalogue import Catalogue, newest_version
from consumers.backup.vault.layout import TIMESTAMPS
from consumers.sink import Partition
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from deploy.local.stack import EmbeddedStack
from schemas.registry import SchemaRegistry
from schemas.topics import ORDER_EVENTS, ORDER_STATE, POSTINGS
from tests.benchmarks.report import Figure, publish
from tests.contract.sink_samples import journal_entry, order_event
from tests.contract.sink_workbench import PARTITIONS, Cluster, Sent
from tests.integration.backup_world import BackupWorld

EVENTS_PER_SECOND_GOAL = 60_000
RPO_SECONDS_GOAL = 5.0
DEADLINE_SECONDS = 300.0
TOPICS = (ORDER_EVENTS, ORDER_STATE)
_BLOCK = 20_000
_SAMPLES = 200
_PROBES = 5
_ORDERS_PER_SECOND = 1_000
_LOOK_SECONDS = 0.05


def main() -> None:
    """Print the table and write `build/bench/backup.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000, help="events in the topic")
    parser.add_argument("--orders", type=int, default=60_000, help="orders with event, state and entry, restored")
    parser.add_argument("--seconds", type=float, default=30.0, help="of load for the recovery point")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as directory:
        home = Path(directory)
        home.chmod(0o711)
        with EmbeddedStack(home / "stack") as stack:
            figures = _figures(stack.endpoints, home, arguments.events, arguments.seconds)
            publish("backup", [*figures, *_whole_orders(stack.endpoints, home / "orders", arguments.orders)])


def _figures(stack: Endpoints, home: Path, events: int, seconds: float) -> list[Figure]:
    prefix = f"bench{uuid.uuid4().hex[:6]}."
    with closing(Cluster(stack, prefix, TOPICS)) as cluster:
        world = BackupWorld(stack, prefix, home, TOPICS)
        # The policy's own default, not the haste of the tests.
        world.write_policy(segments={"max_age_seconds": 2})
        size = _produce(cluster, events)
        figures = [Figure("size of an event", size, "bytes"), *_intake(world, events)]
        figures += _recovery_points(world, cluster, seconds)
        return [*figures, *_restore(world)]


def _produce(cluster: Cluster, events: int) -> float:
    values = [cluster.codec(ORDER_EVENTS).encode(order_event(number)) for number in range(_SAMPLES)]
    for start in range(0, events, _BLOCK):
        cluster.produce(
            Sent(ORDER_EVENTS, b"crm:%d" % number, values[number % _SAMPLES], number % PARTITIONS)
            for number in range(start, min(start + _BLOCK, events))
        )
    return sum(map(len, values)) / len(values)


def _intake(world: BackupWorld, events: int) -> list[Figure]:
    """Processor time of everything that the creator does, its Kafka client's threads included."""
    with world.archiving() as archive:
        began, used = time.monotonic(), time.process_time()
        archive.until(lambda: archive.written() >= events, "every event in a commit")
        used, seconds = time.process_time() - used, time.monotonic() - began
    size = sum(file.stat().st_size for file in (world.places[0] / "segments").rglob("*.age"))
    return [
        Figure("archive, encrypted, one core", events / used, "events/s", EVENTS_PER_SECOND_GOAL),
        Figure("archive, encrypted, by the clock", events / seconds, "events/s"),
        Figure("size of an event in a copy", size / events, "bytes", is_cost=True),
    ]


def _recovery_points(world: BackupWorld, cluster: Cluster, seconds: float) -> list[Figure]:
    """How old the oldest record is that no state signed by the keeper holds yet, looked at all the time."""
    with world.archiving() as archive, world.keeping():
        archive.until(lambda: newest_version(world.copies(), TIMESTAMPS, 0) > 0, "a first state")
        exposure = _Exposure(world)
        with closing(exposure):
            exposure.produce(cluster, seconds)
            _await(exposure.is_covered)
            loaded = exposure.taken()
            for _ in range(_PROBES):
                # Out of step with the archive's commits.
                exposure.produce(cluster, 0.0)
                _await(exposure.is_covered)
            idle = exposure.taken()
    load = f"{_ORDERS_PER_SECOND:,} orders/s"
    return [
        *_ages(f"recovery point, {load}", loaded),
        *_ages(f"recovery point, idle after single orders ({_PROBES})", idle),
    ]


def _ages(what: str, ages: Sequence[float]) -> list[Figure]:
    return [
        Figure(f"{what}, p50", median(ages), "s", is_cost=True),
        Figure(f"{what}, max", max(ages), "s", RPO_SECONDS_GOAL, is_cost=True),
    ]


class _Exposure:
    """Samples the age of the oldest record that would be lost now; from the brokers' answer on it is a record."""

    def __init__(self, world: BackupWorld) -> None:
        self._world = world
        self._acknowledged: dict[Partition, list[tuple[int, float]]] = {}
        self._catalogue = Catalogue()
        self._client = world.client("exposure")
        self._ages: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def produce(self, cluster: Cluster, seconds: float) -> None:
        """Orders at an even rate for so long, at least one; each has an event and a state."""
        samples = [order_event(number) for number in range(_SAMPLES)]
        events = [cluster.codec(ORDER_EVENTS).encode(one) for one in samples]
        states = [cluster.codec(ORDER_STATE).encode(one.state) for one in samples]
        producer = Producer(self._world.stack.kafka().producer_config())
        began = time.monotonic()
        for number in range(max(1, int(seconds * _ORDERS_PER_SECOND))):
            for topic, values in ((ORDER_EVENTS, events), (ORDER_STATE, states)):
                key, value = b"crm:%d" % number, values[number % _SAMPLES]
                partition = number % PARTITIONS
                producer.produce(cluster.prefix + topic, value, key, partition, on_delivery=self._take)
            producer.poll(max(0.0, began + number / _ORDERS_PER_SECOND - time.monotonic()))
        assert producer.flush(DEADLINE_SECONDS) == 0

    def is_covered(self) -> bool:
        """Whether a signed state holds every record."""
        return self._uncovered() is None

    def taken(self) -> Sequence[float]:
        """The samples since the last call, of the times when something was not covered."""
        found, self._ages = self._ages, []
        return found

    def close(self) -> None:
        """End looking."""
        self._stop.set()
        self._thread.join()

    def _take(self, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        partition = Partition((message.topic() or "").removeprefix(self._world.prefix), message.partition() or 0)
        self._acknowledged.setdefault(partition, []).append((message.offset() or 0, time.monotonic()))

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            before = time.monotonic()
            self._client.load(self._catalogue)
            oldest = self._uncovered()
            if oldest is not None:
                # What was signed before the look is covered at its beginning already.
                self._ages.append(max(before - oldest, 0.0))

    def _uncovered(self) -> float | None:
        """When the oldest record was acknowledged that no signed state holds."""
        positions, found = self._catalogue.positions, []
        for partition, rows in list(self._acknowledged.items()):
            first = bisect_left(rows, positions.get(partition, 0), key=itemgetter(0))
            if first < len(rows):
                found.append(rows[first][1])
        return min(found, default=None)


def _restore(world: BackupWorld) -> list[Figure]:
    catalogue = _published(world)
    reader = ArchiveReader(world.copies(), catalogue, world.people.holders["restorer"])
    at = catalogue.complete_through_at or datetime.now(UTC)
    with closing(SchemaRegistry(world.stack.registry())) as registry:
        target = RestoreTarget(world.stack.kafka(), f"{world.prefix}r.")
        began = time.monotonic()
        restored = Restoration(reader, target, registry, RestorePlan(at, (), f"{world.prefix}r.")).run()
        seconds = time.monotonic() - began
    return [Figure("restored and compared to the byte", restored.records / seconds, "records/s")]


def _whole_orders(stack: Endpoints, home: Path, orders: int) -> list[Figure]:
    """Event, state and journal entry of each order, restored and compared to the byte: clock and processor time.

    The goal is for a million orders, with ERP and ledger written anew and reconciled; what is shown here is its first
    part, scaled to a million. Processor time of this process alone, not of the brokers.
    """
    home.mkdir()
    prefix = f"bench{uuid.uuid4().hex[:6]}."
    topics = (ORDER_EVENTS, ORDER_STATE, POSTINGS)
    with closing(Cluster(stack, prefix, topics)) as cluster, closing(SchemaRegistry(stack.registry())) as registry:
        world = BackupWorld(stack, prefix, home, topics)
        world.write_policy(segments={"max_age_seconds": 2})
        events = [order_event(number) for number in range(_SAMPLES)]
        made: dict[str, list[Any]] = {
            ORDER_EVENTS: events,
            ORDER_STATE: [event.state for event in events],
            POSTINGS: [journal_entry(number) for number in range(_SAMPLES)],
        }
        for topic, values in made.items():
            encoded = [cluster.codec(topic).encode(value) for value in values]
            for start in range(0, orders, _BLOCK):
                cluster.produce(
                    Sent(topic, b"crm:%d" % number, encoded[number % _SAMPLES], number % PARTITIONS)
                    for number in range(start, min(start + _BLOCK, orders))
                )
        with world.archiving() as archive:
            archive.until(lambda: archive.written() >= len(topics) * orders, "every record in a commit")
        with world.keeping() as keeper:
            keeper.until(lambda: newest_version(world.copies(), TIMESTAMPS, 0) > 0, "signed")
        catalogue = _published(world)
        reader = ArchiveReader(world.copies(), catalogue, world.people.holders["restorer"])
        at = catalogue.complete_through_at or datetime.now(UTC)
        target = RestoreTarget(stack.kafka(), f"{prefix}r.")
        began, used = time.monotonic(), time.process_time()
        restored = Restoration(reader, target, registry, RestorePlan(at, (), f"{prefix}r.")).run()
        seconds, used = time.monotonic() - began, time.process_time() - used
    assert restored.records == len(topics) * orders
    return [
        Figure("topics of 1,000,000 orders restored and compared", seconds / orders * 1e6, "s", 60.0, is_cost=True),
        Figure("the same, processor time", used / orders * 1e6, "s", is_cost=True),
    ]


def _published(world: BackupWorld) -> Catalogue:
    catalogue, _ = world.load()
    return catalogue


def _await(condition: Callable[[], bool]) -> None:
    assert await_condition(condition, DEADLINE_SECONDS)


if __name__ == "__main__":
    main()

"""How fast the archive takes events in, encrypted, how soon they are safe, and how fast a moment is restored."""

from __future__ import annotations

import argparse
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.restoration import Restoration, RestorePlan
from consumers.backup.restore.target import RestoreTarget
from consumers.backup.vault.catalogue import Catalogue, newest_version
from consumers.backup.vault.layout import TIMESTAMPS
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


def main() -> None:
    """Print the table and write `build/bench/backup.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000, help="events in the topic")
    parser.add_argument("--orders", type=int, default=60_000, help="orders with event, state and entry, restored")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as directory:
        home = Path(directory)
        home.chmod(0o711)
        with EmbeddedStack(home / "stack") as stack:
            figures = _figures(stack.endpoints, home, arguments.events)
            publish("backup", [*figures, *_whole_orders(stack.endpoints, home / "orders", arguments.orders)])


def _figures(stack: Endpoints, home: Path, events: int) -> list[Figure]:
    prefix = f"bench{uuid.uuid4().hex[:6]}."
    with closing(Cluster(stack, prefix, TOPICS)) as cluster:
        world = BackupWorld(stack, prefix, home, TOPICS)
        # The policy's own default, not the haste of the tests.
        world.write_policy(segments={"max_age_seconds": 2})
        size = _produce(cluster, events)
        figures = [Figure("size of an event", size, "bytes"), *_intake(world, events)]
        figures.append(_recovery_point(world, cluster, "idle"))
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


def _recovery_point(world: BackupWorld, cluster: Cluster, when: str) -> Figure:
    """From the broker's answer until the keeper has signed it: the worst of some single events on a quiet topic."""
    slowest = 0.0
    with world.archiving() as archive, world.keeping():
        archive.until(lambda: newest_version(world.copies(), TIMESTAMPS, 0) > 0, "a first state")
        for number in range(_PROBES):
            before = sum(_published(world).positions.values())
            cluster.produce([Sent(ORDER_STATE, b"probe", b"%d" % number, 0)])
            began = time.monotonic()
            _await(lambda least=before: sum(_published(world).positions.values()) > least)  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - began)
    return Figure(f"recovery point, {when}, slowest of {_PROBES}", slowest, "s", RPO_SECONDS_GOAL, is_cost=True)


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

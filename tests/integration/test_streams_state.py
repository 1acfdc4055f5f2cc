"""Local state of real stream workers that are killed, stopped, moved and robbed of their disk."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from deploy.local.endpoints import Endpoints
from deploy.topics import apply_topics
from schemas.registry import SchemaRegistry
from schemas.topics import ORDER_EVENTS
from streams.processing.checkpoints import Changelog, checkpoint_of
from streams.processing.rocks import RocksKeyValues, StorePlace
from streams.processing.store import CHANGELOG_TOPICS, group_of
from tests.integration.conftest import LAYOUT, remove_topics
from tests.integration.streams_harness import Scene, StreamsProcess, assert_exactly_once, life, wait_until
from tests.integration.test_streams_crashes import shuffled_lives
from tests.unit.order_lives import customer, product

ORDERS = 200
VERSIONS = 10 * ORDERS
CHANGELOGS = [Changelog(topic, number) for topic in CHANGELOG_TOPICS for number in range(LAYOUT.order_partitions)]
_LOADED = re.compile(r"loaded the state of \d+ partitions: (\d+) records read")


@pytest.fixture
def scene(fresh_topics: Endpoints, tmp_path: Path, topic_prefix: str) -> Iterator[Scene]:
    """Empty topics but for master data, and a group of its own."""
    remove_topics(fresh_topics)
    registry = SchemaRegistry(fresh_topics.registry())
    apply_topics(fresh_topics.kafka(), registry, LAYOUT)
    registry.close()
    made = Scene(fresh_topics, tmp_path, f"{topic_prefix}streams", fresh_topics.registry_url)
    try:
        made.master(customer("C1"), product("P1"), product("P2"))
        yield made
    finally:
        made.close()


def working(scene: Scene, disk: Path, **settings: str) -> StreamsProcess:
    """A worker whose local state is on this disk."""
    return scene.work(data_dir=str(disk), slot=disk.name, checkpoint_interval_seconds="0.1", **settings)


def written(stack: Endpoints, topic: str) -> int:
    """Records on a topic, those of open transactions included."""
    consumer = Consumer(stack.kafka().client_config(**{"group.id": "tests"}))
    parts = [TopicPartition(topic, number) for number in range(LAYOUT.order_partitions)]
    ends = [consumer.get_watermark_offsets(part, 10)[1] for part in parts]
    consumer.close()
    return sum(ends)


def records_read(worker: StreamsProcess) -> int:
    """How many records of its changelogs the worker has read, once it has."""
    wait_until(lambda: _LOADED.search(worker.log()) is not None, 60, worker.log)
    return sum(int(found) for found in _LOADED.findall(worker.log()))


def committed_records(stack: Endpoints, changelog: Changelog) -> list[tuple[int, bytes, bytes | None]]:
    """Offset, key and value of everything that every subscriber sees of the partition."""
    settings = {"group.id": "tests", "isolation.level": "read_committed", "enable.partition.eof": True}
    consumer = Consumer(stack.kafka().client_config(**settings))
    consumer.assign([TopicPartition(*changelog, OFFSET_BEGINNING)])
    found = []
    while True:
        for message in consumer.consume(1_000, 0.2):
            error, key, value = message.error(), message.key(), message.value()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF
                consumer.close()
                return found
            found.append((message.offset() or 0, key or b"", value))


def assert_disk_follows_the_topics(stack: Endpoints, disk: Path) -> int:
    """Every entry is a committed record, and none older than the checkpoint says; gives how many there are."""
    values, entries = RocksKeyValues(StorePlace(disk / "state", disk.name)), 0
    for changelog in (
        Changelog(topic, number) for topic in CHANGELOG_TOPICS for number in range(LAYOUT.order_partitions)
    ):
        checkpoint = checkpoint_of(values, changelog)
        covered = checkpoint.offset if checkpoint is not None else 0
        certain: dict[bytes, bytes | None] = {}
        possible: dict[bytes, set[bytes | None]] = {}
        for offset, key, value in committed_records(stack, changelog):
            if offset < covered:
                certain[key] = value
            else:
                possible.setdefault(key, set()).add(value)
        stored = dict(values.scan(group_of(changelog)))
        entries += len(stored)
        for key in stored.keys() | certain.keys():
            allowed = {certain.get(key)} | possible.get(key, set())
            assert stored.get(key) in allowed, f"{key!r} on {changelog} is not what the topic says"
    values.close()
    return entries


def test_killed_workers_disk_is_never_ahead_of_the_topics_and_only_what_is_missing_is_read(
    scene: Scene, tmp_path: Path
) -> None:
    events, disk = scene.subscribe(ORDER_EVENTS), tmp_path / "0"
    captured = shuffled_lives(range(ORDERS))
    third, unfinished = len(captured) // 3, 0
    for turn in range(2):
        seen = len(events.poll())
        scene.capture(*captured[turn * third : (turn + 1) * third])
        victim = working(scene, disk)
        wait_until(lambda seen=seen: len(events.poll()) > seen, 60, victim.log)  # type: ignore[misc]
        victim.kill()
        unfinished += len(events.poll()) < (turn + 1) * third
        assert_disk_follows_the_topics(scene.stack, disk)
    assert unfinished, "every worker had finished before it was killed: the test has shown nothing"
    last = working(scene, disk)
    scene.capture(*captured[2 * third :])
    assert_exactly_once(scene, ORDERS)
    assert last.terminated() == 0, last.log()
    assert assert_disk_follows_the_topics(scene.stack, disk) == ORDERS
    idle = working(scene, disk)
    again, written = records_read(idle), sum(len(committed_records(scene.stack, log)) for log in CHANGELOGS)
    assert again < written, f"{again} of {written} records were read again"
    events.close()


def test_lost_disk_costs_reading_again_and_nothing_else(scene: Scene, tmp_path: Path) -> None:
    disk, captured = tmp_path / "0", [event for number in range(ORDERS) for event in life(number)]
    half, events = len(captured) // 2, scene.subscribe(ORDER_EVENTS)
    scene.capture(*captured[:half])
    first = working(scene, disk)
    wait_until(lambda: len(events.poll()) == half, 60, first.log)
    first.kill()
    shutil.rmtree(disk)
    scene.capture(*captured[half:])
    second = working(scene, disk)
    assert records_read(second) >= half
    assert_exactly_once(scene, ORDERS)
    second.kill()
    for table in disk.rglob("*.rocksdb/*"):
        table.write_bytes(b"\xaa" * table.stat().st_size)
    scene.capture(*life(ORDERS))
    third = working(scene, disk)
    assert third.ended() == 1, third.log()
    assert "start the worker again" in third.log()
    fourth = working(scene, disk)
    assert records_read(fourth) >= VERSIONS
    assert_exactly_once(scene, ORDERS + 1)
    events.close()


def test_partitions_that_come_back_are_read_from_where_they_were_left(scene: Scene, tmp_path: Path) -> None:
    first_disk, second_disk = tmp_path / "0", tmp_path / "1"
    captured, events = [event for number in range(ORDERS) for event in life(number)], scene.subscribe(ORDER_EVENTS)
    third = ORDERS // 3 * 10
    first = working(scene, first_disk)
    records_read(first)
    scene.capture(*captured[:third])
    wait_until(lambda: len(events.poll()) == third, 60, first.log)
    second = working(scene, second_disk)
    records_read(second)
    scene.capture(*captured[third : 2 * third])
    wait_until(lambda: len(events.poll()) == 2 * third, 60, second.log)
    second.kill()
    scene.capture(*captured[2 * third :])
    assert_exactly_once(scene, ORDERS)
    read = records_read(first)
    assert 0 < read < 2 * third, f"{read} records were read by the first worker"
    assert "local state is not used" not in first.log()
    first.kill()
    for disk in (first_disk, second_disk):
        assert_disk_follows_the_topics(scene.stack, disk)


def test_worker_that_stood_still_while_another_wrote_keeps_a_disk_that_is_right(scene: Scene, tmp_path: Path) -> None:
    stalled_disk, other_disk = tmp_path / "0", tmp_path / "1"
    captured, events = [event for number in range(ORDERS) for event in life(number)], scene.subscribe(ORDER_EVENTS)
    third = ORDERS // 3 * 10
    stalled = working(scene, stalled_disk, commit_interval_seconds="5")
    scene.capture(*captured[:third])
    wait_until(lambda: written(scene.stack, ORDER_EVENTS) > 0, 60, stalled.log)
    stalled.process.send_signal(signal.SIGSTOP)
    assert len(events.poll()) < written(scene.stack, ORDER_EVENTS), "nothing is uncommitted: the test shows nothing"
    other = working(scene, other_disk)
    scene.capture(*captured[third : 2 * third])
    wait_until(lambda: len(events.poll()) == 2 * third, 60, other.log)
    stalled.process.send_signal(signal.SIGCONT)
    # A fenced worker joins again, or ends with an error and is started again.
    wait_until(lambda: len(_LOADED.findall(stalled.log())) > 1 or stalled.process.poll() is not None, 60, stalled.log)
    for worker in (stalled, other):
        worker.kill()
    for disk in (stalled_disk, other_disk):
        assert_disk_follows_the_topics(scene.stack, disk)
    working(scene, stalled_disk)
    scene.capture(*captured[2 * third :])
    assert_exactly_once(scene, ORDERS)


def test_topics_that_were_made_anew_are_read_anew(scene: Scene, tmp_path: Path) -> None:
    disk, group = tmp_path / "0", scene.group
    first = working(scene, disk)
    records_read(first)
    scene.capture(*(event for number in range(20) for event in life(number)))
    assert_exactly_once(scene, 20)
    assert first.terminated() == 0, first.log()
    remove_topics(scene.stack)
    registry = SchemaRegistry(scene.stack.registry())
    apply_topics(scene.stack.kafka(), registry, LAYOUT)
    registry.close()
    scene.group = f"{group}-again"
    scene.master(customer("C1"), product("P1"), product("P2"))
    scene.capture(*(event for number in range(20) for event in life(number)))
    second = working(scene, disk)
    assert_exactly_once(scene, 20)
    assert "the topic was made anew" in second.log()

"""The archive holds every committed record of its topics to the byte, whatever happens to it."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.segments import extent_of, read_segment, rows_of
from consumers.backup.archive.surroundings import TopicSurroundings
from consumers.backup.vault.catalogue import Catalogue, verified_file
from consumers.backup.vault.encryption import unseal, unwrap, wrap_name
from consumers.backup.vault.layout import wrap_path
from consumers.sink import Partition
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from schemas.errors import ConfigurationError, PositionConflict
from schemas.topics import ORDER_EVENTS, ORDER_STATE
from tests.contract.sink_workbench import Cluster
from tests.integration.backup_world import DEADLINE_SECONDS, BackupWorld, Trade

TOPICS = (ORDER_EVENTS, ORDER_STATE)
FULL_AT_BYTES = 100_000
# Not long ago: markers of transactions have the time of now, and a segment of the log is rolled, and then compacted,
# when its times are a day apart.
START_MS = int(time.time() - 3600) * 1000


@pytest.fixture
def world(stack: Endpoints, topic_prefix: str, tmp_path: Path) -> Iterator[BackupWorld]:
    with closing(Cluster(stack, topic_prefix, TOPICS)):
        yield BackupWorld(stack, topic_prefix, tmp_path, TOPICS, copies=2)


@pytest.fixture
def trade(world: BackupWorld) -> Trade:
    return Trade(world.stack, world.prefix)


def orders(start: int, end: int) -> list[tuple[int, bytes, bytes | None, int]]:
    return [
        (number % 3, b"crm:%d" % (number % 7), None if number % 5 == 4 else b"%d" % number, START_MS + number)
        for number in range(start, end)
    ]


def unsealed(world: BackupWorld, catalogue: Catalogue, path: str, set_id: str) -> bytes:
    holder = world.people.holders["escrow"]
    file = next(file for file in catalogue.files if file.path == path)
    wrapped = world.copies().get(wrap_path(set_id, wrap_name(str(holder.to_public())))) or b""
    return unseal(verified_file(world.copies(), file), unwrap(wrapped, holder, catalogue.sets[set_id]), path)


def archived(world: BackupWorld) -> dict[Partition, list[ArchivedRecord]]:
    """Everything that a restorer can read now."""
    if not world.copies().names("metadata/timestamp"):
        return {}
    catalogue, _ = world.load()
    return {
        partition: [
            record
            for file, holds in segments
            for record in rows_of(read_segment(unsealed(world, catalogue, file.path, holds.set_id), extent_of(holds)))
        ]
        for partition, segments in catalogue.segments.items()
    }


def covers(world: BackupWorld, trade: Trade) -> bool:
    held = world.committed()
    return all(held.get(partition, 0) > records[-1].offset for partition, records in trade.sent.items())


def test_committed_records_are_kept_to_the_byte_and_aborted_ones_are_told_as_gaps(
    world: BackupWorld, trade: Trade
) -> None:
    trade.produce(ORDER_EVENTS, orders(0, 30))
    with world.archiving() as archive, world.keeping():
        trade.produce(ORDER_EVENTS, orders(30, 40), abort=True)
        trade.produce(ORDER_EVENTS, orders(40, 60))
        trade.produce(ORDER_STATE, orders(0, 60))
        archive.until(lambda: covers(world, trade), "every record in a commit")
    with world.keeping() as keeper:
        keeper.until(lambda: archived(world) == trade.sent, "the keeper publishes it")
    catalogue, _ = world.load()
    reasons = {gap.reason for gaps in catalogue.gaps.values() for gap in gaps}
    assert reasons == {"no_record"}
    assert all(segment.holds.is_complete for segments in catalogue.segments.values() for segment in segments)
    assert catalogue.complete_through_at is not None
    file, holds = catalogue.surroundings[0]
    found = TopicSurroundings.model_validate_json(unsealed(world, catalogue, file.path, holds.set_id))
    assert {(one.name, one.partitions) for one in found.topics} == {(topic, 3) for topic in TOPICS}
    assert {one.subject for one in found.subjects} == {f"{topic}-value" for topic in TOPICS}
    assert {one.config["cleanup.policy"] for one in found.topics} == {"compact", "delete"}


def test_killed_at_any_moment_it_neither_loses_nor_repeats(world: BackupWorld, trade: Trade) -> None:
    for round_number in range(3):
        process = world.spawn_archive()
        trade.produce(ORDER_EVENTS, orders(round_number * 500, round_number * 500 + 500))
        before = sum(world.committed().values())
        assert await_condition(lambda least=before: sum(world.committed().values()) > least, DEADLINE_SECONDS)  # type: ignore[misc]
        trade.produce(ORDER_STATE, orders(round_number * 500, round_number * 500 + 500))
        process.kill()
        process.wait(DEADLINE_SECONDS)
    with world.archiving() as archive:
        archive.until(lambda: covers(world, trade), "every record in a commit")
    with world.keeping() as keeper:
        keeper.until(lambda: archived(world) == trade.sent, "the keeper publishes it")


def test_of_two_creators_one_is_told_to_stop(world: BackupWorld, trade: Trade) -> None:
    with world.archiving() as first:
        first.until(lambda: bool(world.copies().names("metadata/targets")), "a first commit")
        with world.archiving() as second:
            for number in range(0, 60, 10):
                trade.produce(ORDER_EVENTS, orders(number, number + 10))
            assert await_condition(lambda: bool(first.failure or second.failure), DEADLINE_SECONDS)
            loser = first if first.failure else second
            assert isinstance(loser.ended(), PositionConflict)
        covered = first if loser is second else second
        assert covered.failure is None


def test_a_copy_that_is_away_gets_everything_later(world: BackupWorld, trade: Trade) -> None:
    place = world.places[1]
    away = place.with_name("away")
    with world.archiving() as archive:
        archive.until(lambda: bool(world.copies().names("metadata/targets")), "a first commit")
        place.rename(away)
        place.write_bytes(b"")
        trade.produce(ORDER_EVENTS, orders(0, 30))
        one_copy = world.copies(world.places[0].name)
        archive.until(lambda: bool(one_copy.names("segments")), "a segment in the copy that is there")
        place.unlink()
        away.rename(place)
        trade.produce(ORDER_EVENTS, orders(30, 60))
        archive.until(lambda: covers(world, trade), "every record in a commit")
        first, second = (world.copies(one.name) for one in world.places)
        archive.until(lambda: first.names("segments") == second.names("segments"), "the second copy is complete")


def test_while_every_copy_is_full_nothing_is_lost(
    world: BackupWorld, trade: Trade, caplog: pytest.LogCaptureFixture
) -> None:
    with world.archiving() as archive, world.keeping():
        archive.until(lambda: bool(world.copies().names("metadata/timestamp")), "a first state")
        with full_disk():
            trade.produce(ORDER_EVENTS, bulky_orders(0, 30))
            archive.until(lambda: "has it room?; trying again" in caplog.text, "the archive waits for room")
            assert not covers(world, trade)
            trade.produce(ORDER_EVENTS, bulky_orders(30, 60))
        archive.until(lambda: covers(world, trade), "every record in a commit")
    assert {partition: records for partition, records in published(world).items() if records} == trade.sent


def test_while_every_copy_is_away_nothing_is_lost(
    world: BackupWorld, trade: Trade, caplog: pytest.LogCaptureFixture
) -> None:
    with world.archiving() as archive, world.keeping():
        archive.until(lambda: bool(world.copies().names("metadata/timestamp")), "a first state")
        for place in world.places:
            place.rename(place.with_suffix(".away"))
            place.write_bytes(b"")
        trade.produce(ORDER_EVENTS, orders(0, 30))
        archive.until(lambda: f"archive: copy {world.places[0].name}" in caplog.text, "the archive waits for a copy")
        trade.produce(ORDER_EVENTS, orders(30, 60))
        for place in world.places:
            place.unlink()
            place.with_suffix(".away").rename(place)
        archive.until(lambda: covers(world, trade), "every record in a commit")
    assert {partition: records for partition, records in published(world).items() if records} == trade.sent


def bulky_orders(start: int, end: int) -> list[tuple[int, bytes, bytes | None, int]]:
    """So large, and so random, that no segment of them fits on a full disk."""
    return [(number % 3, b"crm:%d" % number, os.urandom(FULL_AT_BYTES), START_MS) for number in range(start, end)]


@contextmanager
def full_disk() -> Iterator[None]:
    """This process can write small files only: the system refuses larger ones as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_AT_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def published(world: BackupWorld) -> dict[Partition, list[ArchivedRecord]]:
    """Everything that a restorer can read when the keeper has signed all that the archive committed."""
    with world.keeping() as keeper:
        keeper.until(lambda: world.load()[0].positions == world.committed(), "all is signed")
    return archived(world)


def test_a_topic_that_is_missing_is_named(world: BackupWorld) -> None:
    world.topics = (*TOPICS, "gl.postings")
    world.write_policy()
    with world.archiving() as archive:
        failure = archive.ended()
    assert isinstance(failure, ConfigurationError)
    assert "gl.postings, which the cluster does not have" in str(failure)


def test_a_quiet_topic_is_backed_up_all_the_same(world: BackupWorld, trade: Trade) -> None:
    with world.archiving() as archive, world.keeping():
        archive.until(lambda: bool(world.copies().names("metadata/timestamp")), "a first state")
        trade.produce(ORDER_EVENTS, orders(0, 1))
        client = world.client()
        # No other record follows that would push it out; how soon it is, the benchmark measures.
        archive.until(lambda: ORDER_EVENTS in {one.topic for one in _loaded(client).positions}, "published")


def _loaded(client: object) -> Catalogue:
    catalogue = Catalogue()
    client.load(catalogue)  # type: ignore[attr-defined]
    return catalogue

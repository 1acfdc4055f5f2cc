"""Retention on real topics: a snapshot stands in for old segments, which go from every copy; holds stop that."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumers.backup.restore.moments import latest_records
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.verification import verify_copy
from consumers.backup.vault.trust import write_signer
from consumers.sink import Partition
from deploy.cli import run
from deploy.local.endpoints import Endpoints
from schemas.topics import ORDER_EVENTS, ORDER_STATE
from tests.contract.sink_workbench import Cluster
from tests.integration.backup_world import BackupWorld, Trade

TOPICS = (ORDER_EVENTS, ORDER_STATE)
OLD_MS = int(time.time() - 40 * 24 * 3600) * 1000
RETENTION = {"keep_within_days": 1, "grace_hours": 0}
AT_ONCE = {"max_age_seconds": 0.3, "surroundings_seconds": 0.5, "snapshot_hours": 1e-7, "max_bytes": 1024}


@pytest.fixture
def world(stack: Endpoints, topic_prefix: str, tmp_path: Path) -> Iterator[BackupWorld]:
    with closing(Cluster(stack, topic_prefix, TOPICS)):
        yield BackupWorld(stack, topic_prefix, tmp_path, TOPICS, copies=2)


def orders(start: int, end: int, since_ms: int) -> list[tuple[int, bytes, bytes | None, int]]:
    return [
        (number % 3, b"crm:%d" % (number % 24), None if number % 11 == 4 else b"%d" % number * 20, since_ms + number)
        for number in range(start, end)
    ]


def segments(world: BackupWorld, topic: str) -> list[set[str]]:
    """Of each copy."""
    return [set(copy.names(f"segments/{topic}")) for copy in world.copies().copies]


def test_old_segments_give_way_to_a_snapshot_in_every_copy_and_the_state_stays(
    world: BackupWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in world.stack.environment().items():
        monkeypatch.setenv(name, value)
    trade = Trade(world.stack, world.prefix)
    for number in range(0, 120, 30):
        for topic in TOPICS:
            trade.produce(topic, orders(number, number + 30, OLD_MS))
    world.write_policy(retention=RETENTION, segments=AT_ONCE)
    with world.archiving() as archive, world.keeping():
        archive.until(lambda: _snapshots(world) == 3, "each partition of the state is taken whole")
    before = segments(world, ORDER_STATE)
    assert before[0] == before[1] and len(before[0]) >= 3
    assert run(["backup", "retention", *world.arguments("--json")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not told["enforced"] and told["files_to_expire"] >= len(before[0]) and told["files_expired"] == 0
    events = segments(world, ORDER_EVENTS)

    world.write_policy(retention=RETENTION | {"enforce": True}, segments=AT_ONCE)
    with world.archiving() as archive, world.keeping():
        archive.until(lambda: not any(one & before[0] for one in segments(world, ORDER_STATE)), "old segments go")
        # Younger versions, which come as segments after the snapshot.
        now_ms = int(time.time() * 1000) - 1000
        trade.produce(ORDER_STATE, orders(200, 210, now_ms))
        archive.until(lambda: _reaches(world, trade), "they are published")
    assert segments(world, ORDER_EVENTS) == events, "the history of orders stays"
    catalogue, _ = world.load()
    holder = world.people.holders["escrow"]
    for copy in world.copies().copies:
        assert verify_copy(copy, world.root_path.read_bytes(), world.directory / "verifier", holder).is_sound
    reader = ArchiveReader(world.copies(), catalogue, holder)
    for at_ms in (now_ms + 10_000, now_ms, now_ms - 3_600_000):
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        found = {key: record.value for key, record in latest_records(reader, ORDER_STATE, at).items()}
        written = {
            key: value
            for partition, rows in trade.as_of(at_ms).items()
            if partition.topic == ORDER_STATE
            for key, value in rows.items()
        }
        assert found == {key: value for key, value in written.items() if value is not None}
    capsys.readouterr()
    early = datetime.fromtimestamp(OLD_MS / 1000, UTC) + timedelta(milliseconds=60)
    keys = ["--identity", str(world.directory / "restorer.age"), "--key", str(world.directory / "restorer.pem")]
    assert run(["backup", "restore", *world.arguments("--at", early.isoformat(), "--prefix", "never.", *keys)]) == 2
    assert "is no longer kept by the policy" in capsys.readouterr().err
    assert run(["backup", "audit", *world.arguments()]) == 0
    assert "keeper" in capsys.readouterr().out


def test_holds_are_placed_shown_and_released_with_the_right_keys(
    world: BackupWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    write_signer(world.people.officers[0], world.directory / "officer.pem")
    officer, restorer = (["--key", str(world.directory / f"{who}.pem")] for who in ("officer", "restorer"))
    with world.archiving(), world.keeping() as keeper:
        keeper.until(lambda: bool(world.copies().names("metadata/timestamp")), "a first state")
    span = ["--since", "2026-01-01T00:00:00Z", "--until", "2026-02-01T00:00:00Z"]
    backwards = ["--since", "2026-02-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z"]
    arguments = world.arguments()
    assert run(["backup", "hold", "place", "case", *backwards, *arguments, *restorer]) == 2
    assert "a hold ends after it begins" in capsys.readouterr().err
    assert run(["backup", "hold", "place", "case", *span, *arguments, *restorer]) == 0
    assert run(["backup", "hold", "place", "case", *span, *arguments, *restorer]) == 2
    assert "there is a hold 'case' already" in capsys.readouterr().err
    assert run(["backup", "hold", "list", *world.arguments("--json")]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["case"]
    assert run(["backup", "retention", *arguments]) == 0
    assert "hold case" in capsys.readouterr().out
    assert run(["backup", "hold", "release", "case", *arguments, *restorer]) == 2
    assert "is no officer's key" in capsys.readouterr().err
    assert run(["backup", "hold", "release", "other", *arguments, *officer]) == 2
    assert run(["backup", "hold", "release", "case", *arguments, *officer]) == 0
    capsys.readouterr()
    assert run(["backup", "hold", "list", *arguments]) == 0
    assert capsys.readouterr().out == ""


def _snapshots(world: BackupWorld) -> int:
    if not world.copies().names("metadata/timestamp"):
        return 0
    found = world.load()[0].snapshots.values()
    return sum(any(one.usable_from_ms is not None for one in known) for known in found)


def _reaches(world: BackupWorld, trade: Trade) -> bool:
    held = world.load()[0].positions
    return all(held.get(Partition(*place), 0) > rows[-1].offset for place, rows in trade.sent.items())

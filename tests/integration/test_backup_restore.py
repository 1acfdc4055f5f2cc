"""Topics restored to a moment are the archive's to the byte, by the commands that a restorer uses."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from consumers.backup.archive.batches import ArchivedRecord, RecordBatch
from consumers.backup.archive.segments import rows_of
from consumers.backup.archive.surroundings import GroupOffset
from consumers.backup.restore.digests import Digest, require_same
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.target import RestoreTarget
from consumers.sink import Partition
from deploy.audit.policy import VARIABLE
from deploy.cli import run
from deploy.commands.options import actor_of
from deploy.local.endpoints import Endpoints
from deploy.topics import TopicLayout, apply_topics
from schemas.codec import TopicCodec
from schemas.codec.wire import HEADER_LENGTH
from schemas.errors import BackupRefused
from schemas.models import OrderEvent, OrderState
from schemas.registry import SchemaRegistry
from schemas.topics import AUDIT, CATALOGUE, ORDER_EVENTS, ORDER_STATE
from tests.contract.sink_samples import order_event
from tests.contract.sink_workbench import Cluster
from tests.integration.backup_world import BackupWorld, Trade

TOPICS = (ORDER_EVENTS, ORDER_STATE)
# Not long ago: markers of transactions have the time of now, and a segment of the log is rolled, and then compacted,
# when its times are a day apart.
START_MS = int(time.time() - 3600) * 1000
LAST = 150
APPROVALS = """
version = "1"
identified_by = ["system-user", "stated"]
people = {{ "{account}" = "operator", grace = "admin" }}
deeds.promotion = {{ two_people = true, ask = ["operator"], approve = ["admin"] }}
"""
FORMS: list[tuple[str, Callable[[OrderEvent], Any]]] = [
    (ORDER_EVENTS, lambda event: event),
    (ORDER_STATE, lambda event: event.state),
]


def body(value: bytes | None) -> bytes | None:
    """Without the schema's id, which belongs to the registry."""
    return None if value is None else value[HEADER_LENGTH:]


class Restored:
    """A backed-up business, and the oracle of what was written."""

    def __init__(self, world: BackupWorld, trade: Trade) -> None:
        self.world = world
        self.trade = trade
        self.keys = [
            "--identity",
            str(world.directory / "restorer.age"),
            "--key",
            str(world.directory / "restorer.pem"),
        ]

    def read(self, prefix: str) -> dict[Partition, list[tuple[bytes | None, bytes | None, int, Any]]]:
        """What lies in the restored topics."""
        target = RestoreTarget(self.world.stack.kafka(), prefix)
        line = target.line()
        partitions = [Partition(topic, number) for topic in TOPICS for number in range(3)]
        return {
            one: [(row.key, body(row.value), row.timestamp_ms, row.headers) for row in rows_of(line.read(one, end))]
            for one, end in target.ends(partitions).items()
        }

    def expected(self, at_ms: int) -> dict[Partition, list[tuple[bytes | None, bytes | None, int, Any]]]:
        """The same from the list of what was sent."""
        found: dict[Partition, list[ArchivedRecord]] = {
            Partition(topic, number): [] for topic in TOPICS for number in range(3)
        }
        for partition, records in self.trade.sent.items():
            kept = [record for record in records if record.timestamp_ms <= at_ms]
            if partition.topic == ORDER_STATE:
                latest = {record.key: record for record in kept}
                kept = sorted(latest.values(), key=lambda record: record.offset)
            found[partition] = kept
        return {
            partition: [(row.key, body(row.value), row.timestamp_ms, row.headers) for row in rows]
            for partition, rows in found.items()
        }


@pytest.fixture
def restored(
    stack: Endpoints, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Restored]:
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    with closing(Cluster(stack, topic_prefix, TOPICS)) as cluster:
        world, trade = BackupWorld(stack, topic_prefix, tmp_path, TOPICS, copies=2), Trade(stack, topic_prefix)
        chance = random.Random(1)
        numbers = [chance.randrange(20) for _ in range(LAST)]
        for start in range(0, LAST, 50):
            rows = list(enumerate(numbers))[start : start + 50]
            events = [(version, number, order_event(number, version + 1)) for version, number in rows]
            for topic, made in FORMS:
                codec = cluster.codec(topic)
                trade.produce(
                    topic,
                    [
                        (number % 3, b"crm:%d" % number, codec.encode(made(event)), START_MS + 1000 * version)
                        for version, number, event in events
                    ],
                    abort=False,
                )
        group = GroupOffset(group="g", topic=ORDER_EVENTS, partition=0, offset=10)
        assert RestoreTarget(stack.kafka(), topic_prefix).set_offsets([group], topic_prefix) == 1
        with world.archiving() as archive, world.keeping():
            archive.until(lambda: _complete(world, trade), "everything is published")
        yield Restored(world, trade)


def _complete(world: BackupWorld, trade: Trade) -> bool:
    if not world.copies().names("metadata/timestamp"):
        return False
    catalogue, _ = world.load()
    held = catalogue.positions
    return catalogue.complete_through_at is not None and all(
        held.get(partition, 0) > records[-1].offset for partition, records in trade.sent.items()
    )


def test_topics_are_restored_to_any_moment_with_schemas_and_offsets(
    restored: Restored, topic_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = restored.world
    for number in (LAST // 3, LAST):
        at_ms = START_MS + 1000 * number
        prefix = f"{topic_prefix}r{number}."
        at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
        arguments = world.arguments("--prefix", prefix, "--at", at, "--json", *restored.keys)
        assert run(["backup", "restore", *arguments]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        expected = restored.expected(at_ms)
        assert restored.read(prefix) == expected
        assert told["records"] == sum(map(len, expected.values()))
        registry = SchemaRegistry(world.stack.registry())
        codec = TopicCodec(prefix + ORDER_STATE, OrderState, registry)
        states = list(rows_of(RestoreTarget(world.stack.kafka(), prefix).line().read(Partition(ORDER_STATE, 0), 1)))
        # This registry gives the same schema another id under another name.
        assert codec.decode(states[0].value or b"").order_id == (states[0].key or b"").decode()
        assert (states[0].value or b"").startswith(codec.header)
        registry.close()
        admin = AdminClient(world.stack.kafka().client_config())
        asked = [ConsumerGroupTopicPartitions(f"{prefix}{topic_prefix}g")]
        (future,) = admin.list_consumer_group_offsets(asked).values()
        (place,) = future.result().topic_partitions
        before = [one for one in restored.trade.sent[Partition(ORDER_EVENTS, 0)] if one.offset < 10]
        assert place.offset == sum(one.timestamp_ms <= at_ms for one in before)
    assert run(["backup", "audit", *world.arguments("--json")]) == 0


def test_a_restore_overwrites_nothing_and_goes_on_where_it_was_interrupted(
    restored: Restored, topic_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, prefix = restored.world, f"{topic_prefix}r."
    at_ms = START_MS + 1000 * LAST
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
    arguments = world.arguments("--prefix", prefix, "--at", at, "--json", *restored.keys)
    assert run(["backup", "restore", *arguments]) == 0
    capsys.readouterr()
    assert run(["backup", "restore", *arguments]) == 2
    assert "a restore writes to new topics only" in capsys.readouterr().err
    # As far as an interrupted restore came: topics are there, one partition is not complete.
    half = f"{topic_prefix}half."
    reader = RestoreTarget(world.stack.kafka(), prefix).line()
    partition = Partition(ORDER_EVENTS, 0)
    begun = RestoreTarget(world.stack.kafka(), half)
    catalogue_topics = _configurations(restored)
    begun.create(catalogue_topics)
    begun.line().write(partition, reader.read(partition, 5))
    assert run(["backup", "restore", *world.arguments("--prefix", half, "--at", at, "--resume", *restored.keys)]) == 0
    assert restored.read(half) == restored.expected(at_ms)


def test_a_restore_is_put_into_use_by_somebody_else_and_approved_by_a_third(
    restored: Restored,
    topic_prefix: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, prefix = restored.world, f"{topic_prefix}r."
    options, restorer = ["--prefix", prefix], ["--key", str(world.directory / "restorer.pem")]
    promote = ["backup", "promote", *world.arguments(*options), "--key", str(world.directory / "promoter.pem")]
    assert run(promote) == 2
    assert "knows no restore to" in capsys.readouterr().err
    assert run(["backup", "restore", *world.arguments(*options, *restored.keys)]) == 0
    assert _retention(restored, prefix + ORDER_EVENTS) == "-1"
    assert run(["backup", "promote", *world.arguments(*options), *restorer]) == 2
    assert "is no promoter's key" in capsys.readouterr().err
    # From here on the policy wants a second person.
    with closing(SchemaRegistry(world.stack.registry())) as registry:
        apply_topics(world.stack.kafka(), registry, TopicLayout(), [CATALOGUE[AUDIT]])
    policy = tmp_path / "approvals.toml"
    policy.write_text(APPROVALS.format(account=actor_of(None).name))
    monkeypatch.setenv(VARIABLE, str(policy))
    assert run(promote) == 5
    assert run(["approvals", "list", "--json"]) == 0
    [request] = json.loads(capsys.readouterr().out)
    assert request["kind"] == "promotion" and prefix in request["told"][0]
    assert _retention(restored, prefix + ORDER_STATE) == "-1"
    assert run(["approvals", "approve", request["request_id"], "--actor", "grace", "--reason", "compared"]) == 0
    assert run(promote) == 0
    assert f"ORDERSYNC_TOPIC_PREFIX={prefix}" in capsys.readouterr().out
    # As the catalogue says, or as the cluster where it says nothing.
    assert _retention(restored, prefix + ORDER_EVENTS) == "-1"
    assert _retention(restored, prefix + ORDER_STATE) != "-1"
    assert run(promote) == 2
    assert "was put into use at" in capsys.readouterr().err
    assert run(["backup", "audit", *world.arguments()]) == 0
    told = capsys.readouterr().out
    assert "promoter" in told and "RestorePromoted" in told


def _retention(restored: Restored, topic: str) -> str | None:
    admin = AdminClient(restored.world.stack.kafka().client_config())
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return str(admin.describe_configs([resource])[resource].result()["retention.ms"].value)


def digest(*records: ArchivedRecord) -> Digest:
    return Digest().of([RecordBatch.of(records)])


def test_what_is_not_the_archives_is_told(restored: Restored, capsys: pytest.CaptureFixture[str]) -> None:
    world = restored.world
    late = ["--at", "2100-01-01T00:00:00Z", "--prefix", "never."]
    assert run(["backup", "restore", *world.arguments(*late, *restored.keys)]) == 2
    assert "the backup is complete through" in capsys.readouterr().err
    other = ["--identity", str(world.directory / "restorer.age"), "--key", str(world.directory / "keeper.pem")]
    assert run(["backup", "restore", *world.arguments("--prefix", "never.", *other)]) == 2
    assert "is no restorer's key" in capsys.readouterr().err
    record = ArchivedRecord(0, 1, 1, b"k", b"v")
    with pytest.raises(BackupRefused, match="their content differs"):
        require_same(
            Partition("t", 0), *(Digest().of([RecordBatch.of([one])]) for one in (record, record._replace(value=b"w")))
        )


def test_copies_are_verified_each_on_its_own_and_mended_from_another(
    restored: Restored, capsys: pytest.CaptureFixture[str]
) -> None:
    world = restored.world
    identity = ["--identity", str(world.directory / "escrow.age")]
    assert run(["backup", "verify", *world.arguments("--json", *identity)]) == 0
    reports = json.loads(capsys.readouterr().out)
    assert [report["records_read"] for report in reports] == [2 * LAST, 2 * LAST]
    segments = sorted((world.places[1] / "segments").rglob("*.age"))
    segments[0].unlink()
    content = segments[1].read_bytes()
    segments[1].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert run(["backup", "verify", *world.arguments("--json", *identity)]) == 1
    sound, broken = json.loads(capsys.readouterr().out)
    assert sound["is_sound"]
    assert sorted(finding["reason"] for finding in broken["findings"]) == ["altered", "missing"]
    assert run(["backup", "mend", *world.arguments("--copy", world.places[0].name)]) == 0
    capsys.readouterr()
    assert run(["backup", "verify", *world.arguments(*identity)]) == 0


def test_keys_are_wrapped_for_a_new_recipient_without_touching_segments(
    restored: Restored, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = restored.world
    before = {path: path.read_bytes() for path in world.places[0].rglob("*.avro.age")}
    assert run(["backup", "identity", str(tmp_path / "new.age")]) == 0
    recipient = capsys.readouterr().out.strip()
    new = ["--identity", str(tmp_path / "new.age")]
    assert run(["backup", "verify", *world.arguments(*new)]) == 1
    assert run(["backup", "rewrap", recipient, *world.arguments(*restored.keys)]) == 0
    assert run(["backup", "verify", *world.arguments(*new)]) == 0
    assert before == {path: path.read_bytes() for path in world.places[0].rglob("*.avro.age")}


def test_state_and_differences_are_shown_from_the_copies_alone(
    restored: Restored, capsys: pytest.CaptureFixture[str]
) -> None:
    world = restored.world
    assert run(["backup", "list", *world.arguments("--json")]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {row["topic"]: row["records"] for row in listed["topics"]} == dict.fromkeys(TOPICS, LAST)
    one, other = (datetime.fromtimestamp(START_MS / 1000 + seconds, UTC).isoformat() for seconds in (20, 40))
    identity = ["--identity", str(world.directory / "restorer.age"), "--json"]
    assert run(["backup", "diff", one, other, *world.arguments(*identity)]) == 0
    changed = {json.loads(line)["order_id"] for line in capsys.readouterr().out.splitlines()}
    written = [record for records in restored.trade.sent.values() for record in records]
    between = {
        (one.key or b"").decode() for one in written if START_MS + 20_000 < one.timestamp_ms <= START_MS + 40_000
    }
    assert changed == between
    order_id = next(iter(between))
    assert run(["backup", "order", order_id, "--at", other, *world.arguments(*identity)]) == 0
    versions = capsys.readouterr().out.splitlines()
    assert len(versions) == sum(
        record.key == order_id.encode() and record.timestamp_ms <= START_MS + 40_000
        for partition, records in restored.trade.sent.items()
        if partition.topic == ORDER_EVENTS
        for record in records
    )


def _configurations(restored: Restored) -> Any:
    catalogue, _ = restored.world.load()
    reader = ArchiveReader(restored.world.copies(), catalogue, restored.world.people.holders["restorer"])
    return reader.surroundings(datetime.now(UTC)).topics

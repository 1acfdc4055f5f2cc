"""The archive as of any moment equals an independent account of what was written until then."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.surroundings import SubjectVersion, TopicSurroundings
from consumers.backup.restore.moments import differences, latest_records, order_versions
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.schemas import with_new_ids
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.creator import Creator, Progress
from consumers.backup.vault.layout import surroundings_path
from consumers.backup.vault.targets import SurroundingsTarget
from consumers.sink import Partition
from schemas.avro import avro_schema
from schemas.codec import TopicCodec
from schemas.codec.wire import frame
from schemas.errors import ConfigurationError
from schemas.models import OrderEvent, OrderState
from schemas.registry import InMemorySchemas
from schemas.topics import ORDER_EVENTS, ORDER_STATE
from tests.contract.sink_samples import order_event
from tests.unit.backup_people import NOW, Vault

START = datetime(2026, 11, 20, tzinfo=UTC)
SEED = 7


class Life:
    """Versions of some orders over a simulated day, in a backup of several commits, and the list that says so."""

    def __init__(self, directory: Path) -> None:
        self.vault = Vault(directory)
        self.written: list[tuple[int, bytes, bytes | None]] = []
        schemas = InMemorySchemas()
        self.states = TopicCodec(ORDER_STATE, OrderState, schemas)
        self.events = TopicCodec(ORDER_EVENTS, OrderEvent, schemas)
        chance = random.Random(SEED)
        creator = self.vault.new_creator()
        self._add_surroundings(creator)
        versions: dict[int, int] = {}
        offsets: dict[Partition, int] = {}
        moment_ms = int(START.timestamp() * 1000)
        for _ in range(12):
            rows: list[tuple[Partition, ArchivedRecord]] = []
            for _ in range(chance.randrange(1, 60)):
                number = chance.randrange(25)
                # Clocks of different producers differ: timestamps are not in the order of offsets.
                moment_ms += chance.randrange(0, 40_000)
                at_ms = moment_ms - chance.randrange(0, 5_000)
                versions[number] = versions.get(number, 0) + 1
                event = order_event(number, versions[number])
                key = b"crm:%d" % number
                value = None if chance.random() < 0.1 else self.states.encode(event.state)
                for topic, content in ((ORDER_STATE, value), (ORDER_EVENTS, self.events.encode(event))):
                    partition = Partition(topic, number % 3)
                    offset = offsets[partition] = offsets.get(partition, -1) + chance.randrange(1, 3)
                    rows.append((partition, ArchivedRecord(offset, at_ms, 1, key, content)))
                self.written.append((at_ms, key, value))
            self.vault.commit(creator, rows)
        self.vault.keeper.publish(NOW)

    def reader(self, who: str = "restorer") -> ArchiveReader:
        """As one of the recipients reads it."""
        catalogue = Catalogue()
        self.vault.client().load(catalogue)
        return ArchiveReader(self.vault.copies, catalogue, self.vault.people.holders[who])

    def as_of(self, at: datetime) -> dict[bytes, bytes]:
        """The oracle: knows nothing of segments, offsets or partitions."""
        until_ms = int(at.timestamp() * 1000)
        found = {key: value for at_ms, key, value in self.written if at_ms <= until_ms}
        return {key: value for key, value in found.items() if value is not None}

    def _add_surroundings(self, creator: Creator) -> None:
        subjects = tuple(
            SubjectVersion(subject=f"{topic}-value", version=1, schema_id=schema_id, schema_text=text)
            for topic, schema_id, text in (
                (ORDER_STATE, self.states.schema_id, _json(OrderState)),
                (ORDER_EVENTS, self.events.schema_id, _json(OrderEvent)),
            )
        )
        found = TopicSurroundings(taken_at=NOW, topics=(), subjects=subjects, offsets=(), access_rights=())
        sealed = creator.seal(found.content(), NOW)
        holds = SurroundingsTarget(set_id=creator.key_set(NOW).set_id, taken_at=NOW)
        creator.add(surroundings_path("x" * 64), sealed, holds)
        creator.commit(Progress(NOW, NOW))


def _json(model: type[OrderState] | type[OrderEvent]) -> str:

    return json.dumps(avro_schema(model))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    return Life(tmp_path_factory.mktemp("life"))


def moments(life: Life, count: int) -> list[datetime]:
    first, last = min(life.written)[0], max(life.written)[0]
    chance = random.Random(SEED + 1)
    milliseconds = [chance.randrange(first - 1000, last + 1000) for _ in range(count - 2)]
    # Exactly at a record, too: it belongs to its own moment.
    return [datetime.fromtimestamp(ms / 1000, UTC) for ms in (*milliseconds, first, last)]


def agree(life: Life, count: int) -> None:
    reader = life.reader()
    for at in moments(life, count):
        found = {key: record.value for key, record in latest_records(reader, ORDER_STATE, at).items()}
        assert found == life.as_of(at), at


def test_100_random_moments_equal_the_oracle(life: Life) -> None:
    agree(life, 100)


@pytest.mark.long
def test_500_random_moments_equal_the_oracle(life: Life) -> None:
    agree(life, 500)


def test_differences_name_exactly_the_orders_that_differ(life: Life) -> None:
    reader = life.reader("escrow")
    chosen = moments(life, 8)
    for one, other in pairwise(chosen):
        before, after = min(one, other), max(one, other)
        old, new = life.as_of(before), life.as_of(after)
        found = {change.order_id.encode(): change for change in differences(reader, before, after)}
        assert set(found) == {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        for key, change in found.items():
            assert change.kind == ("created" if key not in old else "removed" if key not in new else "changed")
            if change.kind == "changed":
                assert f"version: {change.version_before} -> {change.version_after}" in change.changes


def test_all_versions_of_a_deleted_order_are_there(life: Life) -> None:
    reader = life.reader()
    end = NOW + timedelta(days=365)
    for number in range(0, 25, 5):
        expected = sum(key == b"crm:%d" % number for _, key, _ in life.written)
        versions = [event.state.version for event in order_versions(reader, f"crm:{number}", end)]
        assert versions == list(range(1, expected + 1))
    with pytest.raises(ConfigurationError, match="knows no order 'crm:999'"):
        order_versions(reader, "crm:999", end)


def test_schema_ids_are_exchanged_in_the_wire_format_only() -> None:
    values = [frame(7) + b"body", frame(8) + b"body", b"\x01\x00\x00\x00\x07", b"", None]
    assert with_new_ids(values, {7: 300}) == [frame(300) + b"body", *values[1:]]
    assert with_new_ids(values, {}) == values

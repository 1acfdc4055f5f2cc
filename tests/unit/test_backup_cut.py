"""One cut through the topics of orders: no version without its state and entries, and none of these without it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.archive.surroundings import SubjectVersion, TopicSurroundings
from consumers.backup.restore.cut import Cut
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.layout import surroundings_path
from consumers.backup.vault.needs import LONGEST_TRANSACTION, milliseconds
from consumers.backup.vault.targets import SurroundingsTarget
from consumers.sink import Partition
from schemas.avro import avro_schema
from schemas.codec import TopicCodec
from schemas.models import JournalEntry, OrderEvent, OrderState
from schemas.registry import InMemorySchemas
from schemas.topics import ORDER_EVENTS, ORDER_STATE, POSTINGS
from tests.contract.sink_samples import journal_entry, order_event
from tests.unit.backup_people import NOW, Vault

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODELS: dict[str, Any] = {ORDER_EVENTS: OrderEvent, ORDER_STATE: OrderState, POSTINGS: JournalEntry}
# The state is written 2 ms after its event, the entry 4 ms after it.
DELAYS_MS = {ORDER_EVENTS: 0, ORDER_STATE: 2, POSTINGS: 4}
VERSIONS = 40
STEP_MS = 10
VERSIONS_OF = {ORDER_STATE: "version", POSTINGS: "order_version"}


@dataclass
class Written:
    """A backup of events, states and entries, all in one partition of each topic."""

    vault: Vault
    codecs: dict[str, TopicCodec[Any]]
    rows: list[tuple[Partition, ArchivedRecord]]

    @classmethod
    def to(cls, directory: Path) -> Written:
        schemas = InMemorySchemas()
        codecs = {topic: TopicCodec(topic, model, schemas) for topic, model in MODELS.items()}
        return cls(Vault(directory), codecs, [])

    def add(self, number: int, version: int, times_ms: Mapping[str, int]) -> None:
        """A version of an order, written to each topic at its time."""
        event = order_event(number, version)
        values = {ORDER_EVENTS: event, ORDER_STATE: event.state, POSTINGS: journal_entry(number, version)}
        for topic, value in values.items():
            partition = Partition(topic, 0)
            offset = sum(one == partition for one, _ in self.rows)
            record = ArchivedRecord(offset, times_ms[topic], 1, b"crm:%d" % number, self.codecs[topic].encode(value))
            self.rows.append((partition, record))

    def reader(self) -> ArchiveReader:
        vault = self.vault
        creator = vault.new_creator()
        subjects = tuple(
            SubjectVersion(
                subject=f"{topic}-value",
                version=1,
                schema_id=self.codecs[topic].schema_id,
                schema_text=json.dumps(avro_schema(model)),
            )
            for topic, model in MODELS.items()
        )
        surroundings = TopicSurroundings(taken_at=START, topics=(), subjects=subjects, offsets=(), access_rights=())
        sealed = creator.seal(surroundings.content(), NOW)
        holds = SurroundingsTarget(set_id=creator.key_set(NOW).set_id, taken_at=START)
        creator.add(surroundings_path("cut"), sealed, holds)
        vault.commit(creator, self.rows)
        vault.keeper.publish(NOW)
        catalogue = Catalogue()
        vault.client().load(catalogue)
        return ArchiveReader(vault.copies, catalogue, vault.people.holders["restorer"])


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ArchiveReader:
    """One order with a version each 10 ms, far more of them long before."""
    written = Written.to(tmp_path_factory.mktemp("cut"))
    for version in range(1, VERSIONS + 1):
        at_ms = milliseconds(written_at(version))
        written.add(7, version, {topic: at_ms + DELAYS_MS[topic] for topic in MODELS})
    return written.reader()


def written_at(version: int) -> datetime:
    """When the event of the version was: the first half long before the others."""
    long_ago = 3 * LONGEST_TRANSACTION if version <= VERSIONS // 2 else timedelta()
    return START - long_ago + timedelta(milliseconds=STEP_MS * version)


def versions(reader: ArchiveReader, at: datetime) -> dict[str, int]:
    """How many versions of each topic belong to the moment; they are numbered without a gap."""
    cut = Cut(reader, at)
    found = {topic: [record.offset + 1 for record in cut.records(Partition(topic, 0))] for topic in MODELS}
    for numbers in found.values():
        assert numbers == list(range(1, len(numbers) + 1))
    return {topic: len(numbers) for topic, numbers in found.items()}


@pytest.mark.parametrize("delay_ms", [0, 1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("version", [1, VERSIONS // 2, VERSIONS // 2 + 1, VERSIONS - 1, VERSIONS])
def test_a_moment_within_a_transaction_has_all_of_it(reader: ArchiveReader, version: int, delay_ms: int) -> None:
    at = written_at(version) + timedelta(milliseconds=delay_ms)
    assert versions(reader, at) == dict.fromkeys(MODELS, version)


def test_before_the_first_there_is_nothing(reader: ArchiveReader) -> None:
    assert versions(reader, written_at(1) - timedelta(milliseconds=1)) == dict.fromkeys(MODELS, 0)


def test_times_alone_would_tear_it_apart(reader: ArchiveReader) -> None:
    at = written_at(VERSIONS) + timedelta(milliseconds=1)
    alone = {topic: sum(1 for _ in reader.records(Partition(topic, 0), at)) for topic in MODELS}
    assert alone == {ORDER_EVENTS: VERSIONS, ORDER_STATE: VERSIONS - 1, POSTINGS: VERSIONS - 1}


def test_many_orders_are_cut_each_at_its_own_version(tmp_path: Path) -> None:
    written, chance = Written.to(tmp_path), random.Random(3)
    at_ms = milliseconds(START)
    moments: list[int] = []
    event_times: dict[tuple[int, int], int] = {}
    versions_of: dict[int, int] = {}
    for _ in range(150):
        # Most are close together; some lie far enough apart that no transaction reaches over.
        at_ms += chance.choice([1, 2, 3, 5, 8]) if chance.random() < 0.9 else 40 * 60 * 1000
        number = chance.randrange(6)
        version = versions_of[number] = versions_of.get(number, 0) + 1
        event_times[number, version] = at_ms
        written.add(number, version, {one: at_ms + (one != ORDER_EVENTS) * chance.randrange(12) for one in MODELS})
        moments.append(at_ms + chance.randrange(4))
    reader = written.reader()
    for moment in moments:
        cut = Cut(reader, datetime.fromtimestamp(moment / 1000, UTC))
        expected = {one for one, time_ms in event_times.items() if time_ms <= moment}
        for topic, version_of in VERSIONS_OF.items():
            values = [written.codecs[topic].decode(one.value or b"") for one in cut.records(Partition(topic, 0))]
            found = [(int(one.order_id.removeprefix("crm:")), getattr(one, version_of)) for one in values]
            assert len(found) == len(set(found))
            assert set(found) == expected, (topic, moment)

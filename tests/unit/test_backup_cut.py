"""One cut through the topics of orders: no version without its state and entries, and none of these without it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumers.backup.archive.segments import ArchivedRecord
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


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ArchiveReader:
    """One order with a version each 10 ms, far more of them long before, all in one partition of each topic."""
    vault = Vault(tmp_path_factory.mktemp("cut"))
    schemas = InMemorySchemas()
    codecs = {topic: TopicCodec(topic, model, schemas) for topic, model in MODELS.items()}
    creator = vault.new_creator()
    subjects = tuple(
        SubjectVersion(
            subject=f"{topic}-value",
            version=1,
            schema_id=schemas.id_of(f"{topic}-value", avro_schema(model)),
            schema_text=json.dumps(avro_schema(model)),
        )
        for topic, model in MODELS.items()
    )
    surroundings = TopicSurroundings(taken_at=START, topics=(), subjects=subjects, offsets=(), access_rights=())
    sealed = creator.seal(surroundings.content(), NOW)
    holds = SurroundingsTarget(set_id=creator.key_set(NOW).set_id, taken_at=START)
    creator.add(surroundings_path("cut"), sealed, holds)
    rows: list[tuple[Partition, ArchivedRecord]] = []
    for version in range(1, VERSIONS + 1):
        event = order_event(7, version)
        values = {ORDER_EVENTS: event, ORDER_STATE: event.state, POSTINGS: journal_entry(7, version)}
        for topic, value in values.items():
            at_ms = milliseconds(written_at(version)) + DELAYS_MS[topic]
            record = ArchivedRecord(version - 1, at_ms, 1, b"crm:7", codecs[topic].encode(value))
            rows.append((Partition(topic, 0), record))
    vault.commit(creator, rows)
    vault.keeper.publish(NOW)
    catalogue = Catalogue()
    vault.client().load(catalogue)
    return ArchiveReader(vault.copies, catalogue, vault.people.holders["restorer"])


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

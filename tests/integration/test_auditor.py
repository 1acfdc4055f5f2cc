"""The worker `auditor` on a real broker: sound for as long as nobody touches the topic, and loud afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from deploy.audit.watching import Auditor, AuditorSettings, AuditWatchSettings
from deploy.commands.options import Cluster
from deploy.local.endpoints import Endpoints
from deploy.topic_reading import RawRecord, read_raw
from deploy.topics import apply_topics
from producers.auditing import AuditWriter
from schemas.audit_chain import Deed
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError
from schemas.models import AuditEvent
from schemas.registry import SchemaRegistry
from schemas.topics import AUDIT
from tests.integration.conftest import LAYOUT, remove_topics
from tests.integration.streams_harness import wait_until

_SECONDS = 60.0


@pytest.fixture
def cluster(stack: Endpoints) -> Iterator[Cluster]:
    """All topics empty, for each test anew: the tests do to the audit what nobody may."""
    found = Cluster(stack.kafka(), stack.registry())
    remove_topics(stack)
    with closing(SchemaRegistry(found.registry)) as schemas:
        apply_topics(found.kafka, schemas, LAYOUT)
    yield found
    remove_topics(stack)


def write(cluster: Cluster, deeds: int) -> None:
    """One more process that leaves so many events."""
    with (
        closing(SchemaRegistry(cluster.registry)) as schemas,
        AuditWriter(cluster.kafka, schemas, "tests") as writer,
    ):
        writer.record(*(Deed("ada", "OrderViewed", f"crm:{number}") for number in range(deeds)), wait_seconds=_SECONDS)


@contextmanager
def watching(
    cluster: Cluster, notes: Path | None, data_dir: Path, whole_seconds: float = 3_600.0
) -> Iterator[tuple[Auditor, CollectorRegistry]]:
    """The worker, in a thread; `run` must end without an error."""
    audit = AuditWatchSettings(interval_seconds=0.1, whole_seconds=whole_seconds, notes=notes)
    settings = AuditorSettings(kafka=cluster.kafka, registry=cluster.registry, data_dir=data_dir, audit=audit)
    registry, stop, failed = CollectorRegistry(), Event(), list[BaseException]()
    auditor = Auditor(settings, registry)

    def run() -> None:
        try:
            auditor.run(stop)
        except BaseException as exc:  # noqa: BLE001 - told in the test's thread
            failed.append(exc)

    thread = Thread(target=run)
    thread.start()
    try:
        yield auditor, registry
    finally:
        stop.set()
        thread.join(_SECONDS)
    assert not failed, failed


def await_events(registry: CollectorRegistry, events: int) -> None:
    wait_until(lambda: registry.get_sample_value("ordersync_audit_events") == events, _SECONDS, f"{events} events")


def faults(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("ordersync_audit_faults")


def test_what_its_writers_wrote_is_sound_and_what_somebody_put_in_is_not(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(cluster, 3)
    with watching(cluster, None, tmp_path) as (auditor, registry):
        await_events(registry, 3)
        assert auditor.ready() and auditor.health() == {"severity": "fine", "faults": 0, "first_faults": []}
        write(cluster, 2)
        await_events(registry, 5)
        assert faults(registry) == 0
        assert registry.get_sample_value("ordersync_audit_verified_timestamp_seconds", {"scope": "whole"}) != 0

        forge(cluster)
        wait_until(lambda: faults(registry) == 2, _SECONDS, "both faults")
        assert auditor.ready() and auditor.health()["severity"] == "error"
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 2 and all("is not as it was written: 5: " in one for one in told)
    assert len(list((tmp_path / "notes").glob("*.json"))) == 1


def forge(cluster: Cluster) -> None:
    """Repeat the first event, with another actor."""
    first = next(read_raw(cluster, AUDIT))
    with closing(SchemaRegistry(cluster.registry)) as schemas:
        codec = TopicCodec(AUDIT, AuditEvent, schemas)
        changed = codec.decode(first.value or b"").model_copy(update={"actor": "mallory"})
        put(cluster, [RawRecord(0, first.key, codec.encode(changed))])


def put(cluster: Cluster, records: list[RawRecord]) -> None:
    producer = Producer(cluster.kafka.producer_config())
    for record in records:
        producer.produce(AUDIT, record.value, record.key)
    assert producer.flush(30) == 0


def write_anew(cluster: Cluster, records: list[RawRecord]) -> None:
    """What the owner of a broker can do: the same topic, with less on it."""
    admin = AdminClient(cluster.kafka.client_config())
    admin.delete_topics([AUDIT], operation_timeout=_SECONDS)[AUDIT].result()
    wait_until(lambda: AUDIT not in admin.list_topics(timeout=10).topics, _SECONDS, "the topic is gone")
    with closing(SchemaRegistry(cluster.registry)) as schemas:
        apply_topics(cluster.kafka, schemas, LAYOUT)
    put(cluster, records)


def test_an_end_that_is_cut_off_while_it_does_not_run_is_found_by_its_note(cluster: Cluster, tmp_path: Path) -> None:
    write(cluster, 4)
    notes = tmp_path / "notes"
    notes.mkdir()
    for _ in range(2):
        with watching(cluster, notes, tmp_path) as (_, registry):
            await_events(registry, 4)
            assert faults(registry) == 0
    [noted] = notes.iterdir()
    write_anew(cluster, list(read_raw(cluster, AUDIT))[:-1])
    with watching(cluster, notes, tmp_path) as (auditor, registry):
        await_events(registry, 3)
        assert faults(registry) == 1
        assert "the end of the chain was taken away" in str(auditor.health()["first_faults"])
    assert list(notes.iterdir()) == [noted]


def test_a_topic_that_is_written_anew_under_its_eyes_is_found(cluster: Cluster, tmp_path: Path) -> None:
    write(cluster, 4)
    records = list(read_raw(cluster, AUDIT))
    with watching(cluster, None, tmp_path, whole_seconds=0.5) as (auditor, registry):
        await_events(registry, 4)
        write_anew(cluster, records[:2])
        wait_until(lambda: (faults(registry) or 0) > 0, _SECONDS, "a fault")
        assert auditor.health()["severity"] == "error"


def test_a_beginning_that_was_deleted_is_found(cluster: Cluster, tmp_path: Path) -> None:
    write(cluster, 4)
    admin = AdminClient(cluster.kafka.client_config())
    [deleted] = admin.delete_records([TopicPartition(AUDIT, 0, 2)]).values()
    deleted.result()
    with watching(cluster, None, tmp_path) as (auditor, registry):
        await_events(registry, 2)
        assert "first 2 offsets were deleted" in str(auditor.health()["first_faults"])


def test_notes_that_cannot_be_read_end_it(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text("{}")
    for notes in (tmp_path, tmp_path / "none"):
        audit = AuditWatchSettings(notes=notes)
        settings = AuditorSettings(kafka=cluster.kafka, registry=cluster.registry, data_dir=tmp_path, audit=audit)
        with pytest.raises(ConfigurationError, match=r"notes|noted heads"):
            Auditor(settings, CollectorRegistry()).run(Event())

"""The audit on a real broker: two processes' chains side by side, and what is done to the topic behind their back."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from deploy.cli import run
from deploy.commands.options import Cluster
from deploy.local.endpoints import Endpoints
from deploy.topic_reading import RawRecord, read_raw
from producers.auditing import AuditWriter
from schemas.audit_chain import Deed, Identity
from schemas.codec import TopicCodec
from schemas.errors import Transient
from schemas.models import AuditEvent
from schemas.registry import SchemaRegistry
from schemas.topics import AUDIT, LARGEST_RECORD_BYTES

_SECONDS = 60.0


@pytest.fixture(scope="module")
def cluster(fresh_topics: Endpoints) -> Iterator[Cluster]:
    """The topics, with what two processes wrote at the same time."""
    found = Cluster(fresh_topics.kafka(), fresh_topics.registry())
    with (
        closing(SchemaRegistry(found.registry)) as schemas,
        AuditWriter(found.kafka, schemas, "tests-one") as one,
        AuditWriter(found.kafka, schemas, "tests-other") as other,
    ):
        for number in range(3):
            viewed = Deed("ada", "OrderViewed", f"crm:{number}", identified_by=Identity.SIGN_IN)
            restored = Deed("bob", "OrderRestored", f"crm:{number}", "erp", "planted")
            one.record(viewed, wait_seconds=_SECONDS)
            other.record(restored, Deed("bob", "Left", "x"), wait_seconds=_SECONDS)
        one.note(Deed("eve", "SignInFailed", "eve"))
    yield found


@pytest.fixture(autouse=True)
def environment(fresh_topics: Endpoints, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in fresh_topics.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def copied(cluster: Cluster, topic_prefix: str) -> Iterator[Callable[[list[RawRecord]], str]]:
    """Makes another topic of given records: what the owner of a broker can make of ours."""
    admin, name = AdminClient(cluster.kafka.client_config()), f"{topic_prefix}{AUDIT}"

    def make(records: list[RawRecord]) -> str:
        admin.create_topics([NewTopic(name, 1, 1)])[name].result()
        producer = Producer(cluster.kafka.producer_config())
        for record in records:
            producer.produce(name, record.value, record.key, 0)
        assert producer.flush(30) == 0
        return name

    yield make
    admin.delete_topics([name])[name].result()


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(["audit", "list", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def verified(capsys: pytest.CaptureFixture[str], *arguments: str, exit_code: int) -> Any:
    assert run(["audit", "verify", "--json", *arguments]) == exit_code
    return json.loads(capsys.readouterr().out)


def test_what_two_processes_wrote_is_listed_and_sound(capsys: pytest.CaptureFixture[str]) -> None:
    found = verified(capsys, exit_code=0)
    assert (found["events"], found["chains"], found["faults"]) == (10, 2, [])
    assert run(["audit", "verify"]) == 0
    assert "10 events of 2 chains on audit.events: all as they were written" in capsys.readouterr().out
    everything = listed(capsys)
    assert (len(everything), everything[0]["actor"], everything[0]["position"]) == (10, "eve", 9)
    [deed] = listed(capsys, "--actor", "bob", "--action", "OrderRestored", "--subject", "crm:1")
    assert (deed["reference"], deed["reason"], deed["identified_by"]) == ("erp", "planted", "stated")
    assert listed(capsys, "--since", "2999-01-01") == []
    assert len(listed(capsys, "--limit", "2")) == 2
    assert run(["audit", "list", "--subject", "crm:1", "--actor", "bob"]) == 0
    told = capsys.readouterr()
    assert (told.out.rstrip()[26:], told.err) == ("bob [stated] OrderRestored crm:1 (erp): planted", "1 of 1 events\n")


def test_every_way_to_change_the_topic_is_named(
    cluster: Cluster, copied: Callable[[list[RawRecord]], str], capsys: pytest.CaptureFixture[str]
) -> None:
    records = list(read_raw(cluster, AUDIT))
    with closing(SchemaRegistry(cluster.registry)) as schemas:
        codec = TopicCodec(AUDIT, AuditEvent, schemas)
        event = codec.decode(records[4].value or b"")
        forged = codec.encode(event.model_copy(update={"actor": "mallory"}))
    name = copied(
        [
            *records[:1],
            *records[2:4],
            RawRecord(4, "x", forged),
            *records[5:],
            RawRecord(10, "x", None),
            RawRecord(11, "x", b"no event"),
        ]
    )
    faults = verified(capsys, "--topic", name, exit_code=1)["faults"]
    assert [(fault["position"], fault["what"].partition(":")[0]) for fault in faults] == [
        (1, "it follows on event 0, which is missing before it"),
        (3, "its content is not what was hashed"),
        (9, "a tombstone, which no writer of ours writes"),
        (10, "no event of ours"),
    ]
    assert faults[1]["writer"] == event.writer and faults[1]["sequence"] == event.sequence


def test_an_end_that_was_cut_off_is_found_by_noted_heads(
    cluster: Cluster,
    copied: Callable[[list[RawRecord]], str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    note = tmp_path / "heads.json"
    verified(capsys, "--note", str(note), exit_code=0)
    assert run(["audit", "verify", "--note", str(note)]) == 2
    assert "name a new file" in capsys.readouterr().err
    assert verified(capsys, "--heads", str(note), exit_code=0)["faults"] == []
    name = copied(list(read_raw(cluster, AUDIT))[:-2])
    assert verified(capsys, "--topic", name, exit_code=0)["faults"] == []
    faults = verified(capsys, "--topic", name, "--heads", str(note), exit_code=1)["faults"]
    assert sorted((fault["sequence"], fault["position"]) for fault in faults) == [(3, 8), (5, 8)]
    note.write_text("{}")
    assert run(["audit", "verify", "--heads", str(note)]) == 2


def test_after_an_event_that_the_brokers_refuse_a_new_chain_begins_and_no_gap_is_left(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = AdminClient(cluster.kafka.client_config())

    def limit(size: int) -> None:
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, AUDIT, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result()

    with (
        closing(SchemaRegistry(cluster.registry)) as schemas,
        AuditWriter(cluster.kafka, schemas, "tests-refused") as audit,
    ):
        [before] = audit.record(Deed("ada", "Tried", "x"), wait_seconds=_SECONDS)
        limit(500)
        try:
            with pytest.raises(Transient, match="nothing was done"):
                audit.record(Deed("ada", "Tried", "x", reason=random.Random(1).randbytes(2_000).hex()), wait_seconds=60)
        finally:
            limit(LARGEST_RECORD_BYTES)
        [after] = audit.record(Deed("ada", "Tried", "x"), wait_seconds=_SECONDS)
    assert (after.chain_id != before.chain_id, after.sequence) == (True, 0)
    assert verified(capsys, exit_code=0)["faults"] == []

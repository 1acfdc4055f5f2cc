"""Verbs of the command line against a real cluster, registry and database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka import Producer

from deploy.cli import run
from deploy.demo.business import create_tables
from deploy.demo.transactions import System
from deploy.local.endpoints import Endpoints
from schemas import mapping
from schemas.codec import TopicCodec
from schemas.models import OriginalMessage, Rejection, Violation
from schemas.registry import SchemaRegistry
from schemas.topics import CATALOGUE, REJECTED
from tests.conftest import DatabaseFactory

SOURCES = Path(mapping.__file__).parent / "sources"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def cluster(stack: Endpoints, monkeypatch: pytest.MonkeyPatch) -> Endpoints:
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    return stack


def partitions_of(stack: Endpoints) -> int:
    """What other tests may have chosen before on the shared cluster."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(stack.kafka().client_config())
    topics = admin.list_topics(timeout=20).topics
    return len(topics[REJECTED].partitions) if REJECTED in topics else 6


def reject(stack: Endpoints, rule: str) -> Rejection:
    rejection = Rejection(
        rejection_id=str(uuid4()),
        stage="streams",
        order_id=None,
        violations=[Violation(rule=rule, message="10.00 + tax 1.00 is not 12.00")],
        rejected_at=NOW,
        code_version="1",
        original=OriginalMessage(topic="orders.captured", partition=0, offset=7, timestamp_at=NOW, value=b"\x00x"),
    )
    registry = SchemaRegistry(stack.registry())
    producer = Producer(stack.kafka().client_config())
    producer.produce(REJECTED, TopicCodec(REJECTED, Rejection, registry).encode(rejection), b"crm:1")
    assert producer.flush(30) == 0
    registry.close()
    return rejection


def test_topics_apply_creates_and_the_second_time_changes_nothing(
    cluster: Endpoints, capsys: pytest.CaptureFixture[str]
) -> None:
    count = str(partitions_of(cluster))
    assert run(["topics", "apply", "--partitions", count, "--json"]) == 0
    capsys.readouterr()
    assert run(["topics", "apply", "--partitions", count, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(["topics", "apply", "--partitions", "1"]) == 2
    assert "cannot shrink" in capsys.readouterr().err
    registry = SchemaRegistry(cluster.registry())
    for topic in CATALOGUE.values():
        assert TopicCodec(topic.name, topic.model, registry).schema_id > 0
    registry.close()


def test_dead_letters_are_listed_by_rule_and_shown_with_their_bytes_to_who_says_why(
    cluster: Endpoints, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["topics", "apply", "--partitions", str(partitions_of(cluster))]) == 0
    rule = f"test.{uuid4().hex}"
    rejection = reject(cluster, rule)
    reject(cluster, "test.other")
    capsys.readouterr()
    assert run(["dead-letters", "list", "--rule", rule, "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["rejection_id"] == rejection.rejection_id
    assert listed["origin"] == "orders.captured/0/7"
    assert run(["dead-letters", "show", rejection.rejection_id]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["event"], "value_hex" in told["original"]) == (None, False), "nobody knows what is in it"
    assert run(["dead-letters", "show", rejection.rejection_id, "--unmasked", "--reason", "to mend it"]) == 0
    assert json.loads(capsys.readouterr().out)["original"]["value_hex"] == "0078"
    assert run(["dead-letters", "show", "none"]) == 2


@pytest.mark.parametrize("system", System)
def test_a_mapping_agrees_with_its_database_until_a_column_goes(
    system: System, database_factory: DatabaseFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    database = database_factory(system.value)
    create_tables({system: database})
    command = ["mappings", "check", str(SOURCES / f"{system}.toml"), "--database", database.conninfo()]
    assert run(command) == 0
    columns = {
        System.CRM: ("sales_order", "gross_amount"),
        System.INVENTORY: ("shipment", "carrier"),
        System.FINANCE: ("payment", "means"),
    }
    table, column = columns[system]
    with psycopg.connect(database.conninfo()) as connection:
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}".encode())
    assert run(command) == 2
    assert column in capsys.readouterr().err

"""A worker that tells the CRM's own records how each order stands, on a real broker and database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from deploy.demo.business import create_tables
from deploy.demo.transactions import System
from deploy.local.endpoints import Endpoints
from deploy.partitioning import partition_of
from schemas.attributes import CanonicalModel, OrderId
from schemas.codec import TopicCodec
from schemas.models import (
    AwaitedRecord,
    Mismatch,
    OriginalMessage,
    ParkedOrder,
    Rejection,
    RuleWarning,
    Violation,
)
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings
from schemas.topics import CATALOGUE, CUSTOMERS, MISMATCHES, ORDER_STATE, ORDERS_CAPTURED, PARKED, REJECTED
from tests.conftest import DatabaseFactory
from tests.contract.sink_samples import order_event
from tests.integration.conftest import LAYOUT
from tests.unit.order_samples import COMMITTED_AT

Tell = Callable[[str, str, CanonicalModel | None], None]

_PLACED = (
    "INSERT INTO sales_order (order_number, customer_number, status, ordered_on, currency, net_amount, tax_amount, "
    "gross_amount) SELECT number, 'C1', 'placed', '2026-11-01', 'EUR', 1, 0, 1 FROM generate_series(1, 6) AS number"
)
_SEEN = "SELECT sync_status, sync_message, sync_version, erp_number, fulfilment_status FROM sales_order"
_NOTHING = (None,) * 5


@pytest.fixture
def crm(database_factory: DatabaseFactory) -> DatabaseSettings:
    """A CRM with six orders."""
    database = database_factory("crm")
    create_tables({System.CRM: database})
    with psycopg.connect(database.conninfo()) as session:
        session.execute("INSERT INTO customer (customer_number, name) VALUES ('C1', 'One')")
        session.execute(_PLACED)
    return database


@contextmanager
def telling(stack: Endpoints) -> Iterator[Tell]:
    with closing(SchemaRegistry(stack.registry())) as registry:
        producer = Producer(stack.kafka().producer_config())

        def tell(topic: str, key: str, value: CanonicalModel | None) -> None:
            codec: TopicCodec[Any] = TopicCodec(topic, CATALOGUE[topic].model, registry)
            place = partition_of(key.split("/")[0].encode(), LAYOUT.order_partitions)
            producer.produce(topic, None if value is None else codec.encode(value), key.encode(), place)

        yield tell
        assert producer.flush(30) == 0


def write_back(stack: Endpoints, database: DatabaseSettings, *, mapping: str | None = "crm") -> tuple[int, str]:
    """Exit code and messages of the worker, which ends when it has told everything."""
    settings = {
        **stack.environment(),
        **{f"ORDERSYNC_DATABASE__{name.upper()}": str(getattr(database, name)) for name in ("host", "port", "dbname")},
        "ORDERSYNC_DATABASE__USER": database.user,
        "ORDERSYNC_DATABASE__PASSWORD": database.password.get_secret_value() if database.password else "",
        "ORDERSYNC_METRICS_PORT": "0",
    }
    argv = [sys.executable, "-m", "deploy.cli", "worker", "write-back-crm", "--until-done"]
    mapped = {} if mapping is None else {"ORDERSYNC_MAPPING": mapping}
    ended = subprocess.run(
        argv, env={**os.environ, **settings, **mapped}, capture_output=True, text=True, timeout=120, check=False
    )
    return ended.returncode, ended.stderr


def refusal(number: int, **changes: Any) -> Rejection:
    original = OriginalMessage(topic=ORDERS_CAPTURED, partition=0, offset=number, timestamp_at=COMMITTED_AT)
    values: dict[str, Any] = {
        "rejection_id": f"refusal-{number}",
        "stage": "streams",
        "order_id": OrderId(f"crm:{number}"),
        "violations": [
            Violation(rule="total", message="lines and total differ"),
            Violation(rule="tax", message="no tax"),
        ],
        "rejected_at": COMMITTED_AT,
        "code_version": "1",
        "original": original,
    }
    return Rejection(**(values | changes))


def difference(number: int) -> Mismatch:
    return Mismatch(
        mismatch_id=f"crm:{number}/erp/note",
        order_id=OrderId(f"crm:{number}"),
        system="erp",
        reference="state",
        kind="different",
        field="note",
        expected="by hand",
        detected_at=COMMITTED_AT,
    )


def seen(database: DatabaseSettings) -> dict[int, tuple[Any, ...]]:
    with psycopg.connect(database.conninfo()) as session:
        found = session.execute(_SEEN.replace("SELECT", "SELECT order_number,")).fetchall()
    return {row[0]: tuple(row[1:]) for row in found}


def test_records_tell_how_their_orders_stand(fresh_topics: Endpoints, crm: DatabaseSettings) -> None:
    state = {number: order_event(number, 2).state for number in range(1, 9)}
    later = state[4].processed_at + timedelta(seconds=1)
    with telling(fresh_topics) as tell:
        for number in (1, 3, 4, 5):
            tell(ORDER_STATE, f"crm:{number}", state[number])
        warned = [RuleWarning(rule="credit", message="near the limit")]
        tell(ORDER_STATE, "crm:5", state[5].model_copy(update={"version": 3, "warnings": warned}))
        tell(ORDER_STATE, "shop:1", state[1].model_copy(update={"order_id": OrderId("shop:1"), "version": 9}))
        tell(ORDER_STATE, "crm:no-number", state[1].model_copy(update={"order_id": OrderId("crm:no-number")}))
        waiting = [AwaitedRecord(topic=CUSTOMERS, key="C9")]
        parked = ParkedOrder(
            order_id=OrderId("crm:2"), awaits=waiting, parked_at=COMMITTED_AT, deadline_at=COMMITTED_AT, held=[]
        )
        tell(PARKED, "crm:2", parked)
        tell(MISMATCHES, "crm:3/erp/note", difference(3))
        tell(REJECTED, "whatever", refusal(4, rejected_at=later))
        # Refused before its version was made: mended.
        tell(REJECTED, "whatever", refusal(5, rejected_at=state[5].processed_at - timedelta(seconds=1)))
        tell(REJECTED, "whatever", refusal(7, order_id=None))

    assert write_back(fresh_topics, crm)[0] == 0
    axis = state[1].fulfilment_status
    assert seen(crm) == {
        1: ("accepted", None, 2, "crm:1", axis),
        2: ("waiting", "waits for C9 of master.customers", None, "crm:2", None),
        3: ("differs", "erp: note different, by hand in state", 2, "crm:3", axis),
        4: ("refused", "total: lines and total differ; tax: no tax", 2, "crm:4", axis),
        5: ("accepted", "credit: near the limit", 3, "crm:5", axis),
        6: _NOTHING,
    }

    before = versions_of_rows(crm)
    with telling(fresh_topics) as tell:
        tell(PARKED, "crm:2", None)
        tell(MISMATCHES, "crm:3/erp/note", None)
        tell(
            ORDER_STATE,
            "crm:4",
            state[4].model_copy(update={"version": 3, "processed_at": later + timedelta(seconds=1)}),
        )
        tell(ORDER_STATE, "crm:5", state[5])
        tell(ORDER_STATE, "crm:1", state[1])
    assert write_back(fresh_topics, crm)[0] == 0
    told = seen(crm)
    # What waited and vanished is told of no more; an older version changes nothing; what is as it was is not written.
    assert told[2] == _NOTHING
    assert (told[3][0], told[4][:3]) == ("accepted", ("accepted", None, 3))
    assert told[5] == ("accepted", "credit: near the limit", 3, "crm:5", axis)
    after = versions_of_rows(crm)
    assert {number for number in after if after[number] != before[number]} == {2, 3, 4}


def versions_of_rows(database: DatabaseSettings) -> dict[int, Any]:
    with psycopg.connect(database.conninfo()) as session:
        return dict(session.execute("SELECT order_number, xmin::text FROM sales_order").fetchall())


def test_a_capture_of_the_same_database_does_not_take_it_for_news(
    fresh_topics: Endpoints, crm: DatabaseSettings
) -> None:
    with psycopg.connect(crm.conninfo(), autocommit=True) as session:
        session.execute("CREATE PUBLICATION everything FOR TABLE sales_order")
        session.execute("SELECT pg_create_logical_replication_slot('watcher', 'pgoutput')")
        with telling(fresh_topics) as tell:
            tell(ORDER_STATE, "crm:6", order_event(6, 2).state)
        assert write_back(fresh_topics, crm)[0] == 0

        def updates(origin: str) -> int:
            found = session.execute(
                "SELECT data FROM pg_logical_slot_peek_binary_changes('watcher', NULL, NULL, 'proto_version', '1', "
                "'publication_names', 'everything', 'origin', %s)",
                (origin,),
            )
            return sum(data[:1] == b"U" for (data,) in found)

        assert updates("any") > 0 and updates("none") == 0


def test_an_erp_is_told_of_every_order_in_a_table(fresh_topics: Endpoints, database_factory: DatabaseFactory) -> None:
    erp = database_factory("erp")
    with telling(fresh_topics) as tell:
        tell(ORDER_STATE, "api:9", order_event(9).state.model_copy(update={"order_id": OrderId("api:9")}))
    assert write_back(fresh_topics, erp, mapping=None)[0] == 0
    with psycopg.connect(erp.conninfo()) as session:
        found = session.execute("SELECT order_id, status FROM ordersync_order WHERE order_number = 'api:9'").fetchall()
    assert found == [("api:9", "accepted")]


def test_a_missing_column_is_named_with_what_to_do(fresh_topics: Endpoints, crm: DatabaseSettings) -> None:
    with psycopg.connect(crm.conninfo()) as session:
        session.execute("ALTER TABLE sales_order DROP COLUMN sync_message")
    code, messages = write_back(fresh_topics, crm)
    assert code == 2 and "ALTER TABLE public.sales_order ADD COLUMN sync_message" in messages, messages

"""The peer of the sink benchmark: Debezium's JDBC sink, best settings, into the ERP's own tables.

It writes flat rows, so it is given one event for each row that our sink makes of an order's event, with the same
columns; a connector for each table, all at once. The schemas stand in its configuration, so that the events are small.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from psycopg import sql

from consumers.erp import sink as erp
from consumers.erp.rows import OrderRows
from consumers.erp.tables import PARTS, SALES_ORDER
from consumers.postgres.bulk import Table
from deploy.local.endpoints import Endpoints
from tests.benchmarks.peers.connect import JSON_CONVERTER, KafkaConnect
from tests.benchmarks.peers.debezium_artifacts import SINK_VERSION, fetch_sink
from tests.contract.sink_samples import order_event
from tests.contract.sink_workbench import PARTITIONS

NAME = f"Debezium JDBC sink {SINK_VERSION}"
SESSIONS = "PostgreSQL JDBC Driver"
"""How its sessions call themselves."""
_SAMPLES = 500
_WAIT_SECONDS = 120
_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "integer": {"type": "int32"},
    "bigint": {"type": "int64"},
    "timestamp with time zone": {"type": "string", "name": "io.debezium.time.ZonedTimestamp", "version": 1},
}


class JdbcSink(KafkaConnect):
    """Kafka Connect with one JDBC sink for each table that an order has rows of."""

    def __init__(self, home: Path, stack: Endpoints, dbname: str, prefix: str) -> None:
        self._prefix = prefix
        self._admin = AdminClient(stack.kafka().client_config())
        self._tables = [table for table in (SALES_ORDER, *PARTS) if OrderRows([order_event(1)]).by_table[table]]
        # They never subscribe: they only ask what the connectors' groups have committed.
        self._groups = {
            table: Consumer(stack.kafka().client_config(**{"group.id": f"connect-{table.name}"}))
            for table in self._tables
        }
        create_tables(stack, dbname)
        connectors = [self._connector(stack, dbname, table) for table in self._tables]
        super().__init__(home, fetch_sink(), _worker(stack), connectors)

    def produce(self, stack: Endpoints, orders: int) -> int:
        """The rows of so many orders, each row an event on its table's topic; gives the number of events."""
        topics = [NewTopic(self._prefix + table.name, PARTITIONS, 1) for table in self._tables]
        for created in self._admin.create_topics(topics).values():
            created.result(_WAIT_SECONDS)
        producer = Producer(stack.kafka().producer_config(**{"queue.buffering.max.messages": 1_000_000}))
        samples = [OrderRows([order_event(number)]).by_table for number in range(_SAMPLES)]
        count = 0
        for number in range(orders):
            for table in self._tables:
                for row in samples[number % _SAMPLES][table]:
                    key, value = _event(table, (f"crm:{number}", *row[1:]))
                    producer.produce(self._prefix + table.name, value, key, number % PARTITIONS)
                    count += 1
            producer.poll(0)
            if number % 5_000 == 0:
                producer.flush(_WAIT_SECONDS)
        assert producer.flush(_WAIT_SECONDS) == 0
        return count

    def committed(self) -> int:
        """Events that the connectors' groups have committed, which they do every half second."""
        return sum(
            max(place.offset, 0)
            for table, consumer in self._groups.items()
            for place in consumer.committed(
                [TopicPartition(self._prefix + table.name, number) for number in range(PARTITIONS)], _WAIT_SECONDS
            )
        )

    def require_alive(self) -> None:
        """Raises SystemExit with the last words if it has ended, or one of its connectors."""
        super().require_alive()
        log = self.log
        if "JDBC sink connector failure" in log:
            raise SystemExit(f"a connector failed:\n{log[-6000:]}")

    def stop(self) -> None:
        """End it in order."""
        for consumer in self._groups.values():
            consumer.close()
        super().stop()

    def _connector(self, stack: Endpoints, dbname: str, table: Table) -> dict[str, str]:
        database = stack.database(dbname)
        columns = _columns(stack, dbname, table)
        return {
            "name": table.name,
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "tasks.max": "1",
            "topics": self._prefix + table.name,
            "connection.url": f"jdbc:postgresql://{database.host}:{database.port}/{database.dbname}"
            "?reWriteBatchedInserts=true",
            "connection.username": database.user,
            "connection.password": database.password.get_secret_value() if database.password else "",
            "collection.name.format": table.name,
            "insert.mode": "upsert",
            "primary.key.mode": "record_key",
            "schema.evolution": "none",
            "batch.size": "5000",
            "use.reduction.buffer": "true",
            "dialect.postgres.unnest.insert.enabled": "true",
            "key.converter": JSON_CONVERTER,
            "key.converter.schema.content": _schema([column for column in columns if column["field"] in table.key]),
            "value.converter": JSON_CONVERTER,
            "value.converter.schema.content": _schema(columns),
            "consumer.override.auto.offset.reset": "earliest",
            "consumer.override.max.poll.records": "5000",
            "consumer.override.fetch.min.bytes": "262144",
        }


def create_tables(stack: Endpoints, dbname: str) -> None:
    """The ERP's tables, by its own script, with texts for dates.

    With unnest inserts this version neither converts its own date type nor casts texts to dates.
    """
    script = Path(erp.__file__).with_name("tables.sql")
    dates = (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE data_type = 'date' AND table_schema = 'public'"
    )
    change = sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE text")
    with psycopg.connect(stack.database(dbname).conninfo()) as session:
        session.execute(script.read_bytes())
        for table, column in session.execute(dates).fetchall():
            session.execute(change.format(sql.Identifier(table), sql.Identifier(column)))


def _worker(stack: Endpoints) -> dict[str, str]:
    return {
        "bootstrap.servers": stack.bootstrap_servers,
        "key.converter": JSON_CONVERTER,
        "value.converter": JSON_CONVERTER,
        "offset.flush.interval.ms": "500",
    }


def _columns(stack: Endpoints, dbname: str, table: Table) -> list[dict[str, Any]]:
    """The fields of a table's events, as Connect describes them."""
    query = (
        "SELECT column_name, data_type, numeric_scale, numeric_precision FROM information_schema.columns "
        "WHERE table_name = %s ORDER BY ordinal_position"
    )
    with psycopg.connect(stack.database(dbname).conninfo()) as session:
        found = session.execute(query, (table.name,)).fetchall()
    return [
        {"field": name, "optional": name not in table.key, **_type(kind, scale, precision)}
        for name, kind, scale, precision in found
    ]


def _type(kind: str, scale: int | None, precision: int | None) -> dict[str, Any]:
    if kind != "numeric":
        return _TYPES[kind]
    parameters = {"scale": str(scale), "connect.decimal.precision": str(precision)}
    return {
        "type": "bytes",
        "name": "org.apache.kafka.connect.data.Decimal",
        "version": 1,
        "parameters": parameters,
    }


def _schema(fields: Sequence[dict[str, Any]]) -> str:
    # A properties file would take the backslashes of other forms for its own.
    return json.dumps({"type": "struct", "optional": False, "fields": list(fields)})


def _event(table: Table, row: tuple[Any, ...]) -> tuple[bytes, bytes]:
    values = dict(_named(table, row))
    return orjson.dumps({name: values[name] for name in table.key}), orjson.dumps(values)


def _named(table: Table, row: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    for name, value in zip(table.columns, row, strict=True):
        if isinstance(value, Decimal):
            yield name, float(value)
        elif isinstance(value, datetime):
            yield name, value.astimezone(UTC).isoformat()
        elif isinstance(value, date):
            yield name, value.isoformat()
        else:
            yield name, value

"""The peer of the capture benchmark: Debezium's PostgreSQL connector under Kafka Connect, with its best settings."""

from __future__ import annotations

from pathlib import Path

from deploy.local.endpoints import Endpoints
from tests.benchmarks.peers.connect import JSON_CONVERTER, KafkaConnect
from tests.benchmarks.peers.debezium_artifacts import CONNECTOR_VERSION, fetch

NAME = f"Debezium {CONNECTOR_VERSION}, JSON"
SLOT = "bench_debezium"
PUBLICATION = "bench_debezium"
TOPIC_PREFIX = "debezium"
TABLES = ("sales_order", "sales_order_line")
TOPICS = tuple(f"{TOPIC_PREFIX}.public.{table}" for table in TABLES)


class DebeziumConnector(KafkaConnect):
    """Kafka Connect with one connector; goes on where its slot and its offsets file stand."""

    def __init__(self, home: Path, stack: Endpoints, dbname: str) -> None:
        super().__init__(home, fetch(), _worker(stack), [_connector(stack, dbname)])


def _worker(stack: Endpoints) -> dict[str, str]:
    return {
        "bootstrap.servers": stack.bootstrap_servers,
        "key.converter": JSON_CONVERTER,
        "value.converter": JSON_CONVERTER,
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        "offset.flush.interval.ms": "10000",
    }


def _connector(stack: Endpoints, dbname: str) -> dict[str, str]:
    database = stack.database(dbname)
    return {
        "name": "bench",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": database.host,
        "database.port": str(database.port),
        "database.user": database.user,
        "database.password": database.password.get_secret_value() if database.password else "",
        "database.dbname": database.dbname,
        "plugin.name": "pgoutput",
        "slot.name": SLOT,
        "publication.name": PUBLICATION,
        "publication.autocreate.mode": "disabled",
        "snapshot.mode": "no_data",
        "table.include.list": ",".join(f"public.{table}" for table in TABLES),
        "topic.prefix": TOPIC_PREFIX,
        "max.batch.size": "16384",
        "max.queue.size": "65536",
        "poll.interval.ms": "10",
        "statistics.metrics.enabled": "false",
        "producer.override.linger.ms": "20",
        "producer.override.batch.size": str(512 * 1024),
        "producer.override.compression.type": "lz4",
        "producer.override.buffer.memory": str(128 * 1024 * 1024),
    }

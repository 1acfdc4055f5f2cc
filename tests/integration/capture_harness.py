"""A capture under test: its own database, topics of its own, the worker in a process or a thread, and what it wrote."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.endpoints import Endpoints
from deploy.topics import TopicLayout, apply_topics
from schemas.codec import TopicCodec
from schemas.models import Rejection
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings
from schemas.topics import CATALOGUE

DEADLINE_SECONDS = 60.0
PARTITIONS = 3


@dataclass(frozen=True)
class Written:
    """One record as the capture wrote it."""

    topic: str
    partition: int | None
    offset: int | None
    key: str | None
    value: Any


@dataclass
class CaptureWorld:
    """A source database and the topics of one capture."""

    stack: Endpoints
    database: DatabaseSettings
    prefix: str
    data_dir: Path
    mapping: str
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.registry = SchemaRegistry(self.stack.registry())
        topics = [
            replace(topic, name=self.prefix + name)
            for name, topic in CATALOGUE.items()
            if "capture" in (*topic.writers, *topic.readers) or name == "orders.rejected"
        ]
        self._names = [topic.name for topic in topics]
        apply_topics(self.stack.kafka(), self.registry, TopicLayout(order_partitions=PARTITIONS), topics)

    def close(self) -> None:
        """Remove the topics."""
        admin = AdminClient(self.stack.kafka().client_config())
        for future in admin.delete_topics(self._names).values():
            future.result()
        self.registry.close()

    def environment(self) -> dict[str, str]:
        """What the worker's process reads."""
        database = self.database
        own = {
            "ORDERSYNC_MAPPING": self.mapping,
            "ORDERSYNC_DATA_DIR": str(self.data_dir),
            "ORDERSYNC_TOPIC_PREFIX": self.prefix,
            "ORDERSYNC_SLOT": f"slot_{database.dbname}",
            "ORDERSYNC_DATABASE__HOST": database.host,
            "ORDERSYNC_DATABASE__PORT": str(database.port),
            "ORDERSYNC_DATABASE__DBNAME": database.dbname,
            "ORDERSYNC_DATABASE__USER": database.user,
        }
        if database.password is not None:
            own["ORDERSYNC_DATABASE__PASSWORD"] = database.password.get_secret_value()
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
        return inherited | self.stack.environment() | own | self.settings

    def start(self, command: Sequence[str] = ("deploy.cli", "worker")) -> CaptureProcess:
        """The worker, in a process of its own; `command` is the module that runs it, and its first arguments."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        log = (self.data_dir / "worker.log").open("ab")
        with log:
            begins_at = log.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", *command, "capture-test"],
                env=self.environment(),
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=log,
            )
        return CaptureProcess(process, self.data_dir / "worker.log", begins_at)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A session in the source."""
        return psycopg.connect(self.database.conninfo(), autocommit=True)

    def wait_confirmed(self, process: CaptureProcess | None = None) -> None:
        """Return when the capture has confirmed all that is committed now."""
        with self.connect() as connection:
            ((end,),) = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchall()

            if process is not None:
                process.wait_ready()

            def confirmed() -> bool:
                if process is not None:
                    process.require_alive()
                query = (
                    "SELECT count(*) FROM pg_replication_slots WHERE database = %s AND slot_name = %s "
                    "AND confirmed_flush_lsn >= %s::pg_lsn"
                )
                slot = f"slot_{self.database.dbname}"
                return connection.execute(query, (self.database.dbname, slot, end)).fetchone() == (1,)

            wait_until(confirmed, f"the capture of {self.database.dbname} has confirmed {end}")

    def written(self, topic: str) -> list[Written]:
        """Everything on a topic of the catalogue, decoded, in the order of each partition."""
        name = self.prefix + topic
        codec: TopicCodec[Any] = TopicCodec(name, CATALOGUE[topic].model, self.registry)
        consumer = Consumer(
            self.stack.kafka().client_config(
                **{"group.id": f"{self.prefix}reader", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
            )
        )
        try:
            partitions = [
                TopicPartition(name, number, 0) for number in consumer.list_topics(name).topics[name].partitions
            ]
            ends = {p.partition: consumer.get_watermark_offsets(p, timeout=30)[1] for p in partitions}
            consumer.assign(partitions)
            found: list[Written] = []
            deadline = time.monotonic() + DEADLINE_SECONDS
            while len(found) < sum(ends.values()):
                assert time.monotonic() < deadline, f"{len(found)} of {sum(ends.values())} records of {name} came"
                for message in consumer.consume(5_000, 0.5):
                    assert message.error() is None, message.error()
                    key, value = message.key(), message.value()
                    found.append(
                        Written(
                            topic,
                            message.partition(),
                            message.offset(),
                            None if key is None else key.decode(),
                            None if value is None else codec.decode(value),
                        )
                    )
            return found
        finally:
            consumer.close()

    def events(self, topic: str) -> dict[str, list[Any]]:
        """Captured events by key, in their order, each event id once."""
        by_key: dict[str, list[Any]] = defaultdict(list)
        seen: set[str] = set()
        for record in self.written(topic):
            assert record.key == record.value.order_id
            if record.value.event_id not in seen:
                seen.add(record.value.event_id)
                by_key[record.value.order_id].append(record.value)
        return dict(by_key)

    def rejections(self) -> list[Rejection]:
        """The dead letters."""
        return [record.value for record in self.written("orders.rejected")]


@dataclass
class CaptureProcess:
    """A worker's process."""

    process: subprocess.Popen[bytes]
    log: Path
    begins_at: int

    def wait_started(self) -> None:
        """Return when it handles signals and has begun its work."""

        def started() -> bool:
            self.require_alive()
            return b" started" in self.log.read_bytes()[self.begins_at :]

        wait_until(started, "the worker starts")

    def require_alive(self) -> None:
        code = self.process.poll()
        assert code is None, f"the capture ended with {code}:\n{self.log.read_text()[-4000:]}"

    def wait_ready(self) -> None:
        """Return when the snapshot is behind it: a new slot is confirmed before anything is written."""
        self.wait_started()

        def ready() -> bool:
            self.require_alive()
            return self.get("/health/ready").status_code == 200

        wait_until(ready, "the capture is ready")

    def get(self, path: str) -> httpx.Response:
        """What it serves there."""
        self.wait_started()
        port = re.findall(rb"metrics on port (\d+)", self.log.read_bytes()[self.begins_at :])[0].decode()
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}")
        except httpx.TransportError:
            self.process.wait(DEADLINE_SECONDS)
            self.require_alive()
            raise

    def metric(self, name: str, **labels: str) -> float | None:
        """A metric as it is now, None if it has no such sample."""
        for family in text_string_to_metric_families(self.get("/metrics").text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    def wait_settled(self) -> None:
        """Return when nothing is read again any more: until then orders may wait for it, behind what is confirmed."""

        def settled() -> bool:
            self.require_alive()
            families = text_string_to_metric_families(self.get("/metrics").text)
            samples = [sample for family in families for sample in family.samples]
            return not any(sample.value for sample in samples if sample.name == "ordersync_capture_rereading")

        wait_until(settled, "nothing is read again")

    def logged(self, text: str) -> int:
        """How often this run has logged the text."""
        self.require_alive()
        return self.log.read_bytes()[self.begins_at :].count(text.encode())

    def wait_logged(self, text: str) -> None:
        """Return when this run has logged the text."""
        wait_until(lambda: self.logged(text) > 0, f"the log says {text!r}")

    def wait(self, seconds: float) -> None:
        """Let it run on for so long; it must not end by itself."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"the capture ended with {code}:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """As the kernel would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.wait_started()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def wait_until(condition: Callable[[], bool], what: str, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Ask until it is so."""
    deadline = time.monotonic() + deadline_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {deadline_seconds:.0f} s: {what}"
        time.sleep(0.02)

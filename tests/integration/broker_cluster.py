"""Three real brokers on loopback, with the configuration, certificates and passwords of the compose file."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.compose import provisioning
from deploy.local.artifacts import fetch_artifacts
from deploy.local.java import JavaProgram
from deploy.local.kafka import kafka_program
from deploy.local.ports import LOOPBACK, Ports, accepts
from deploy.local.process import ChildProcess, Command
from deploy.local.server import plain_environment
from deploy.topics import TopicChange
from schemas.settings import DatabaseSettings, KafkaSettings, RegistrySettings
from tests.integration.streams_harness import wait_until

COMPOSE = Path(provisioning.__file__).parent
NODES = (1, 2, 3)
_CLIENT, _CONTROLLER, _INTERNAL = 9092, 9093, 9094
_START_SECONDS = 180


class BrokerCluster:
    """The brokers `kafka-1` to `kafka-3`; each may be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.secrets = home / "secrets"
        ports = Ports(home / "ports.json")
        self._ports = {
            (node, port): ports.claim(f"{node}-{port}") for node in NODES for port in (_CLIENT, _CONTROLLER, _INTERNAL)
        }
        self._program = kafka_program(fetch_artifacts(), recording=False)
        self._processes = {
            node: ChildProcess(f"kafka-{node}", home / f"kafka-{node}.log", home / f"kafka-{node}.pid")
            for node in NODES
        }

    @property
    def bootstrap_servers(self) -> str:
        """Where clients with passwords come in."""
        return ",".join(f"{LOOPBACK}:{self._ports[node, _CLIENT]}" for node in NODES)

    @property
    def administration(self) -> KafkaSettings:
        """How the provisioning comes in: by certificate, at the brokers' own listener."""
        return KafkaSettings(
            bootstrap_servers=",".join(f"{LOOPBACK}:{self._ports[node, _INTERNAL]}" for node in NODES),
            security_protocol="SSL",
            ca_location=self.secrets / "ca.pem",
            certificate_location=self.secrets / "admin.crt",
            key_location=self.secrets / "admin.key",
        )

    def start(self) -> None:
        """Make the secrets, format and start all brokers, and wait until each is known to the others."""
        subprocess.run([COMPOSE / "secrets.sh", self.secrets], check=True, capture_output=True)
        # As the script leaves them for containers, others may read them: here nobody else does.
        for password in (self.secrets / "passwords").iterdir():
            password.chmod(0o600)
        with ThreadPoolExecutor(len(NODES)) as pool:
            list(pool.map(self._format, NODES))
        for node in NODES:
            self.spawn(node)
        self.await_brokers(len(NODES))

    def spawn(self, node: int) -> None:
        """Start one broker, on the data that it has."""
        directory = self._directory(node)
        argv = self._program.argv(directory, [], ["kafka.Kafka", str(directory / "server.properties")])
        self._processes[node].spawn(Command(argv, directory, plain_environment()))

    def kill(self, node: int) -> None:
        """SIGKILL."""
        process = self._processes[node]
        assert process.alive, process.tail()
        process.stop(signal.SIGKILL, 30)

    def await_brokers(self, number: int) -> None:
        """Wait until so many brokers are registered and take clients."""
        # The client must outlive its futures; it complains of brokers that are away on purpose.
        admin = AdminClient(self.administration.client_config(log_level=0))

        def are_there() -> bool:
            try:
                return len(admin.list_topics(timeout=2).brokers) == number and self._accepting() == number
            except KafkaException:
                return False

        wait_until(are_there, _START_SECONDS, lambda: f"{number} brokers: {self.told()}")

    def await_full_replication(self) -> None:
        """Wait until every replica of every partition is in sync."""
        admin = AdminClient(self.administration.client_config(log_level=0))

        def is_full() -> bool:
            topics = admin.list_topics(timeout=30).topics.values()
            parts = [part for topic in topics for part in topic.partitions.values()]
            return all(len(part.isrs) == len(part.replicas) for part in parts)

        wait_until(is_full, _START_SECONDS, lambda: f"every replica in sync: {self.told()}")

    def provision(self, registry: RegistrySettings, database: DatabaseSettings, partitions: int) -> list[TopicChange]:
        """What the service `cluster` of the compose file does."""
        return provisioning.prepare_cluster(
            provisioning.ProvisioningSettings(
                kafka=self.administration,
                registry=registry,
                database=database,
                passwords=self.secrets / "passwords",
                order_partitions=partitions,
            )
        )

    def stop(self) -> None:
        """Kill all brokers."""
        for process in self._processes.values():
            process.stop(signal.SIGKILL, 30)

    def told(self) -> str:
        """The ends of the logs."""
        return "\n".join(f"{process.name}: {process.tail()}" for process in self._processes.values())

    def _accepting(self) -> int:
        return sum(accepts(self._ports[node, _CLIENT]) for node in NODES)

    def _directory(self, node: int) -> Path:
        return self.home / f"kafka-{node}"

    def _format(self, node: int) -> None:
        directory = self._directory(node)
        directory.mkdir(parents=True)
        configuration = directory / "server.properties"
        configuration.write_text(self._on_loopback(node))
        program: JavaProgram = self._program
        arguments = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id=b3JkZXJzeW5jLWNvbXBvc2U"]
        subprocess.run(
            program.argv(directory, ["-XX:TieredStopAtLevel=1"], [*arguments, "--config", str(configuration)]),
            cwd=directory,
            env=plain_environment(),
            check=True,
            capture_output=True,
        )

    def _on_loopback(self, node: int) -> str:
        """The configuration of the compose file, with the names and paths of this machine."""
        text = (COMPOSE / "kafka" / "server.properties").read_text().replace("@NODE@", str(node))
        text = text.replace("/run/secrets/broker.pem", str(self.secrets / f"kafka-{node}.pem"))
        text = text.replace("/run/secrets/ca.pem", str(self.secrets / "ca.pem"))
        text = text.replace("/var/lib/kafka/data", str(self._directory(node) / "data"))
        text = re.sub(r"kafka-(\d):(\d{4})", lambda m: f"{LOOPBACK}:{self._ports[int(m[1]), int(m[2])]}", text)
        return re.sub(r"://:(\d{4})", lambda m: f"://{LOOPBACK}:{self._ports[node, int(m[1])]}", text)


@contextmanager
def three_brokers(home: Path) -> Iterator[BrokerCluster]:
    """Brokers in a directory that is removed at the end."""
    cluster = BrokerCluster(home)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(home, ignore_errors=True)

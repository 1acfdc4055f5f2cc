"""The stack in containers, for machines with a Docker engine: the same servers from their makers' images."""

from __future__ import annotations

import gc
import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import docker  # type: ignore[import-untyped]
import httpx
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from docker.errors import DockerException  # type: ignore[import-untyped]
from pydantic import SecretStr
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from deploy.local.endpoints import Endpoints, PostgresEndpoint
from deploy.local.ports import free_port
from deploy.local.server import await_condition

_KAFKA = "apache/kafka:4.2.2"
_POSTGRES = "postgres:18"
_REGISTRY = "apicurio/apicurio-registry:3.3.3"
_START_SECONDS = 180.0


def engine_fault() -> str | None:
    """Why no Docker engine can be used, or None where one answers."""
    with warnings.catch_warnings():
        # The client leaves its socket open where nobody answers; collected here, it troubles no test.
        warnings.simplefilter("ignore", ResourceWarning)
        fault = _ask_engine()
        gc.collect()
    return fault


def _ask_engine() -> str | None:
    try:
        with closing(docker.from_env()) as client:
            client.ping()
    except DockerException as exc:
        return str(exc)
    return None


@contextmanager
def container_stack() -> Iterator[Endpoints]:
    """All three servers on free ports of the engine's host; removed at the end."""
    password = secrets.token_urlsafe(16)
    with ExitStack() as running:
        network = running.enter_context(Network())
        kafka, kafka_port = _kafka()
        running.enter_context(kafka)
        postgres = running.enter_context(_postgres(network, password))
        registry = _registry(network, password)
        host = postgres.get_container_host_ip()
        database = PostgresEndpoint(
            host=host, port=postgres.get_exposed_port(5432), user="postgres", password=SecretStr(password)
        )
        endpoints = Endpoints(bootstrap_servers=f"{host}:{kafka_port}", registry_url="", postgres=database)
        _await(lambda: _created_registry_database(endpoints), _POSTGRES)
        running.enter_context(registry)
        url = f"http://{host}:{registry.get_exposed_port(8080)}/apis/ccompat/v7"
        _await(lambda: _registry_answers(url), _REGISTRY)
        _await(lambda: _kafka_answers(endpoints.bootstrap_servers), _KAFKA)
        yield endpoints.model_copy(update={"registry_url": url})


def _kafka() -> tuple[DockerContainer, int]:
    # The broker tells its clients its own address, so the port on the host is chosen beforehand.
    port = free_port()
    container = DockerContainer(_KAFKA).with_bind_ports(port, port)
    host = container.get_docker_client().host()
    container.with_envs(
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_LISTENERS=f"PLAINTEXT://:{port},CONTROLLER://:9093",
        KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://{host}:{port}",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
        KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
    )
    return container, port


def _postgres(network: Network, password: str) -> DockerContainer:
    settings = ("wal_level=logical", "max_wal_senders=20", "max_replication_slots=20", "max_connections=200")
    command = ["postgres", *(part for setting in settings for part in ("-c", setting))]
    container = DockerContainer(_POSTGRES).with_env("POSTGRES_PASSWORD", password).with_exposed_ports(5432)
    return container.with_command(command).with_network(network).with_network_aliases("postgres")


def _registry(network: Network, password: str) -> DockerContainer:
    container = DockerContainer(_REGISTRY).with_network(network).with_exposed_ports(8080)
    return container.with_envs(
        APICURIO_STORAGE_KIND="sql",
        APICURIO_STORAGE_SQL_KIND="postgresql",
        APICURIO_DATASOURCE_URL="jdbc:postgresql://postgres:5432/registry",
        APICURIO_DATASOURCE_USERNAME="postgres",
        APICURIO_DATASOURCE_PASSWORD=password,
    )


def _await(condition: Callable[[], bool], image: str) -> None:
    if not await_condition(condition, _START_SECONDS):
        raise TimeoutError(f"{image} did not answer within {_START_SECONDS:.0f} s")


def _created_registry_database(endpoints: Endpoints) -> bool:
    conninfo = endpoints.database("postgres").conninfo(connect_timeout="2")
    try:
        with closing(psycopg.connect(conninfo, autocommit=True)) as connection:
            connection.execute("CREATE DATABASE registry")
    except psycopg.errors.DuplicateDatabase:
        return True
    except psycopg.OperationalError:
        return False
    return True


def _registry_answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/subjects", timeout=2.0).is_success
    except httpx.TransportError:
        return False


def _kafka_answers(bootstrap_servers: str) -> bool:
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=2.0).brokers)
    except KafkaException:
        return False

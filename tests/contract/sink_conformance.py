"""What every sink must do; a sink's own test inherits these tests and says how to make records and see effects."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, ClassVar

import psycopg
import pytest
from pydantic import SecretStr

from consumers.registry import SinkDefinition
from consumers.settings import SinkSettings
from consumers.sink import Advance, Batch, Partition
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from schemas.errors import PositionConflict
from schemas.settings import DatabaseSettings
from schemas.topics import REJECTED
from tests.conftest import DatabaseFactory
from tests.contract.sink_workbench import (
    DEADLINE_SECONDS,
    PARTITIONS,
    Cluster,
    Sent,
    Wire,
    Worker,
    WorkerProcess,
    working,
)

Version = tuple[int, int]
"""Number of an order, and its version."""
GARBAGE = b"\x00\x00\x00\x00\x01 not Avro"


class SinkConformance:
    """The promises of `consumers.sink`, on real servers."""

    definition: ClassVar[SinkDefinition[Any]]
    topics: ClassVar[tuple[str, ...]]
    """Topics of the catalogue that the tests need, beside `orders.rejected`."""
    topic: ClassVar[str]
    """The one that the tests write to."""
    refuses_garbage: ClassVar[bool] = True
    replaces_versions: ClassVar[bool] = False
    """Whether only the latest version of an order has an effect that stays."""

    @pytest.fixture
    def cluster(self, stack: Endpoints, topic_prefix: str) -> Iterator[Cluster]:
        with closing(Cluster(stack, topic_prefix, {*self.topics, REJECTED})) as cluster:
            yield cluster

    @abstractmethod
    @pytest.fixture
    def settings(self, cluster: Cluster) -> SinkSettings:
        """Settings of the worker; the group and the destination belong to the test."""

    @abstractmethod
    def value(self, cluster: Cluster, number: int, version: int) -> bytes:
        """The record of one version of one order."""

    @abstractmethod
    def effects(self, cluster: Cluster, settings: Any) -> list[Version]:
        """What the destination holds, sorted; every repetition counts."""

    def common(self, cluster: Cluster) -> dict[str, Any]:
        """The settings that every sink has."""
        return {
            "kafka": cluster.stack.kafka(),
            "registry": cluster.stack.registry(),
            "topic_prefix": cluster.prefix,
            "group_id": f"{cluster.prefix}{self.definition.name}",
            "session_timeout_seconds": 6,
            "batch_size": 500,
        }

    def expected(self, versions: Iterable[Version]) -> list[Version]:
        """The effects that these versions must have, each sent once or more often."""
        wanted = set(versions)
        if self.replaces_versions:
            wanted = set(dict(sorted(wanted)).items())
        return sorted(wanted)

    def sent(self, cluster: Cluster, versions: Iterable[Version]) -> list[Sent]:
        return [
            Sent(self.topic, key_of(number), self.value(cluster, number, version), number % PARTITIONS)
            for number, version in versions
        ]

    def until_effects(self, cluster: Cluster, settings: SinkSettings, worker: Worker, wanted: list[Version]) -> None:
        worker.until(lambda: self.effects(cluster, settings) == wanted, f"{len(wanted)} effects")

    def has_effects(self, cluster: Cluster, settings: SinkSettings, number: int) -> bool:
        """Whether so many effects are there before the deadline."""
        return await_condition(lambda: len(self.effects(cluster, settings)) >= number, DEADLINE_SECONDS)

    def test_every_version_has_its_effect_in_order(self, cluster: Cluster, settings: SinkSettings) -> None:
        versions = [(number, version) for version in (1, 2, 3) for number in range(40)]
        cluster.produce(self.sent(cluster, versions))
        with working(self.definition, settings, cluster) as worker:
            self.until_effects(cluster, settings, worker, self.expected(versions))
            worker.until_count("written", len(versions))
        assert worker.count("refused") == 0

    def test_positions_survive_and_nothing_is_read_again(self, cluster: Cluster, settings: SinkSettings) -> None:
        first, second = [(number, 1) for number in range(30)], [(number, 2) for number in range(20)]
        cluster.produce(self.sent(cluster, first))
        with working(self.definition, settings, cluster) as worker:
            self.until_effects(cluster, settings, worker, self.expected(first))
        cluster.produce(self.sent(cluster, second))
        with working(self.definition, settings, cluster) as worker:
            self.until_effects(cluster, settings, worker, self.expected(first + second))
            worker.until_count("written", len(second))

    def test_garbage_does_not_stop_the_others(self, cluster: Cluster, settings: SinkSettings) -> None:
        versions = [(number, 1) for number in range(30)]
        records = self.sent(cluster, versions)
        poison = Sent(self.topic, key_of(7), GARBAGE, 7 % PARTITIONS)
        cluster.produce([*records[:15], poison, *records[15:]])
        with working(self.definition, settings, cluster) as worker:
            worker.until(lambda: worker.count("written") + worker.count("refused") == 31, "every record handled")
            assert self.effects(cluster, settings) == self.expected(versions)
        refused = [rejection.original.value for rejection in cluster.values(REJECTED)]
        assert refused == ([GARBAGE] if self.refuses_garbage else [])

    def test_killed_workers_lose_and_double_nothing(self, cluster: Cluster, settings: SinkSettings) -> None:
        versions = [(number, version) for version in (1, 2) for number in range(1500)]
        small = settings.model_copy(update={"batch_size": 50})
        half = len(versions) // 2
        cluster.produce(self.sent(cluster, versions[:half]))
        for enough in (1, 400):
            process = WorkerProcess(self.definition.name, small, cluster)
            seen = self.has_effects(cluster, settings, enough)
            process.kill()
            assert seen
        cluster.produce(self.sent(cluster, versions[half:]))
        with working(self.definition, settings, cluster) as worker:
            self.until_effects(cluster, settings, worker, self.expected(versions))
        assert cluster.values(REJECTED) == []

    def test_frozen_worker_that_wakes_up_has_no_effect(self, cluster: Cluster, settings: SinkSettings) -> None:
        versions = [(number, 1) for number in range(1500)]
        small = settings.model_copy(update={"batch_size": 50})
        cluster.produce(self.sent(cluster, versions))
        frozen = WorkerProcess(self.definition.name, small, cluster)
        try:
            assert self.has_effects(cluster, settings, 1)
            frozen.freeze()
            with working(self.definition, settings, cluster) as worker:
                self.until_effects(cluster, settings, worker, self.expected(versions))
                frozen.thaw()
                more = [(number, 1) for number in range(1500, 1800)]
                cluster.produce(self.sent(cluster, more))
                self.until_effects(cluster, settings, worker, self.expected(versions + more))
        finally:
            frozen.thaw()
            frozen.stop()
        assert self.effects(cluster, settings) == self.expected(versions + more)


class DatabaseSinkConformance(SinkConformance):
    """The promises of sinks whose positions lie in a PostgreSQL database."""

    last_table: ClassVar[str]
    """The table that a batch writes last."""

    @pytest.fixture
    def database(self, database_factory: DatabaseFactory) -> DatabaseSettings:
        return database_factory(self.definition.name)

    @pytest.fixture
    def settings(self, cluster: Cluster, database: DatabaseSettings) -> SinkSettings:
        settings: SinkSettings = self.definition.settings(**self.common(cluster), database=database)
        return settings

    @abstractmethod
    def query(self) -> str:
        """Selects `order_id, version` of what the database holds."""

    @abstractmethod
    def unacceptable(self, cluster: Cluster, number: int) -> bytes:
        """A record of an order that can be read, but whose value the database refuses."""

    def effects(self, cluster: Cluster, settings: Any) -> list[Version]:
        with psycopg.connect(settings.database.conninfo()) as session:
            try:
                rows = session.execute(self.query()).fetchall()
            except psycopg.errors.UndefinedTable:
                return []
        return sorted((int(order_id.partition(":")[2]), version) for order_id, version in rows)

    def test_value_that_the_database_refuses_is_found_and_rejected(self, cluster: Cluster, settings: Any) -> None:
        records = self.sent(cluster, [(number, 1) for number in range(60)])
        wrong = {13: self.unacceptable(cluster, 13), 14: GARBAGE, 44: self.unacceptable(cluster, 44)}
        cluster.produce([one._replace(value=wrong.get(number, one.value)) for number, one in enumerate(records)])
        with working(self.definition, settings, cluster) as worker:
            # By the effects: a sink that reads dead letters as well counts those that it wrote itself.
            worker.until(lambda: worker.count("refused") == len(wrong), "what is wrong is refused")
            wanted = self.expected([(number, 1) for number in range(60) if number not in wrong])
            worker.until(lambda: self.effects(cluster, settings) == wanted, "every other record is handled")
        assert self.effects(cluster, settings) == wanted
        rejected = [rejection.original.value for rejection in cluster.values(REJECTED)]
        assert sorted(rejected) == sorted(wrong.values())

    def test_the_same_batch_twice_is_one_effect(self, cluster: Cluster, settings: SinkSettings) -> None:
        versions = [(number, 1) for number in range(20)]
        cluster.produce(self.sent(cluster, versions * 2))
        with working(self.definition, settings, cluster) as worker:
            worker.until_count("written", 40)
        assert self.effects(cluster, settings) == self.expected(versions)

    def test_older_versions_never_overwrite(self, cluster: Cluster, settings: SinkSettings) -> None:
        newer, older = [(number, 5) for number in range(20)], [(number, 3) for number in range(20)]
        with working(self.definition, settings, cluster) as worker:
            for handled, versions in ((20, newer), (40, older)):
                cluster.produce(self.sent(cluster, versions))
                worker.until_count("written", handled)
        assert self.effects(cluster, settings) == self.expected(newer + older)

    def test_kill_between_write_and_commit_leaves_nothing(self, cluster: Cluster, settings: Any) -> None:
        with working(self.definition, settings, cluster) as worker:
            worker.until(worker.ready, "the tables are made")
        versions = [(number, 1) for number in range(50)]
        cluster.produce(self.sent(cluster, versions))
        with psycopg.connect(settings.database.conninfo()) as blocker:
            blocker.execute(f"LOCK TABLE {self.last_table} IN ACCESS EXCLUSIVE MODE")
            process = WorkerProcess(self.definition.name, settings, cluster)
            try:
                assert await_condition(lambda: _waits_for_lock(settings.database), DEADLINE_SECONDS)
            finally:
                process.kill()
            blocker.rollback()
        # The server notices the dead client when it gives the lock.
        assert await_condition(lambda: not _others(settings.database), DEADLINE_SECONDS)
        assert self.effects(cluster, settings) == []
        assert self._positions(settings) == {}
        with working(self.definition, settings, cluster) as worker:
            self.until_effects(cluster, settings, worker, self.expected(versions))
            worker.until_count("written", 50)

    def test_another_workers_position_refuses_the_batch(self, cluster: Cluster, settings: Any) -> None:
        owner, zombie = (self.definition.create(settings, cluster.registry) for _ in range(2))
        partition = Partition(cluster.prefix + self.topic, 0)
        with closing(owner), closing(zombie):
            owner.prepare()
            for expected, reached in ((None, 10), (10, 20)):
                owner.write(Batch([], {partition: Advance(expected, reached)}, None))
            for stale in (None, 10):
                with pytest.raises(PositionConflict):
                    zombie.write(Batch([], {partition: Advance(stale, 99)}, None))
            assert zombie.positions([partition]) == {partition: 20}

    def test_database_away_is_waited_for(self, cluster: Cluster, settings: Any) -> None:
        versions = [(number, 1) for number in range(60)]
        with _wire(settings.database) as (wire, database):
            beyond = settings.model_copy(update={"database": database, "retry_limit_seconds": 0.5})
            with working(self.definition, beyond, cluster) as worker:
                cluster.produce(self.sent(cluster, versions[:20]))
                self.until_effects(cluster, settings, worker, self.expected(versions[:20]))
                # Effects are seen a moment before the worker hears of its commit.
                worker.until_count("written", 20)
                wire.cut()
                cluster.produce(self.sent(cluster, versions[20:]))
                worker.until(lambda: worker.count("retried") > 0 and not worker.ready(), "the worker waits")
                wire.mend()
                self.until_effects(cluster, settings, worker, self.expected(versions))
                worker.until(lambda: worker.count("written") == 60 and worker.ready(), "each once")
        assert cluster.values(REJECTED) == []

    def test_connection_ended_by_the_server_is_opened_anew(self, cluster: Cluster, settings: Any) -> None:
        with working(self.definition, settings, cluster) as worker:
            for start in (0, 20):
                versions = [(number, 1) for number in range(start, start + 20)]
                cluster.produce(self.sent(cluster, versions))
                worker.until_count("written", start + 20)
                with psycopg.connect(settings.database.conninfo(), autocommit=True) as session:
                    session.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
        assert self.effects(cluster, settings) == self.expected((number, 1) for number in range(40))

    def _positions(self, settings: Any) -> dict[tuple[str, int], int]:
        with psycopg.connect(settings.database.conninfo()) as session:
            rows = session.execute("SELECT topic, partition, next_offset FROM sink_position").fetchall()
        return {(topic, number): offset for topic, number, offset in rows}


def key_of(number: int) -> bytes:
    """The key of an order's records."""
    return f"crm:{number}".encode()


@contextmanager
def _wire(database: DatabaseSettings) -> Iterator[tuple[Wire, DatabaseSettings]]:
    with closing(Wire(database.host, database.port)) as wire:
        values = database.model_dump() | {"host": "127.0.0.1", "port": wire.port}
        values["password"] = database.password and SecretStr(database.password.get_secret_value())
        yield wire, DatabaseSettings(**values)


def _waits_for_lock(database: DatabaseSettings) -> bool:
    return bool(_others(database, "AND wait_event_type = 'Lock'"))


def _others(database: DatabaseSettings, more: str = "") -> list[Any]:
    with psycopg.connect(database.conninfo()) as session:
        return session.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            f"AND application_name LIKE 'ordersync %' {more}"
        ).fetchall()

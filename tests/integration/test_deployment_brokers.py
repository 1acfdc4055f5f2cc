"""Three brokers as the compose file has them: one is killed under load, and every effect happens once all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from deploy.local.endpoints import Endpoints
from schemas.topics import CATALOGUE, ORDER_EVENTS
from tests.integration.broker_cluster import NODES, BrokerCluster, three_brokers
from tests.integration.streams_harness import Scene, StreamsProcess, assert_exactly_once, wait_until
from tests.integration.test_streams_crashes import shuffled_lives
from tests.unit.order_lives import customer, product

# Three brokers take as much processor time as the whole of an ordinary test module.
pytestmark = [pytest.mark.integration, pytest.mark.long]

ORDERS = 150
PARTITIONS = 6
GROUP = "ordersync-streams"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, stack: Endpoints) -> Iterator[BrokerCluster]:
    with three_brokers(tmp_path_factory.mktemp("brokers") / "home") as made:
        changes = made.provision(stack.registry(), stack.database("postgres"), PARTITIONS)
        assert {change.topic for change in changes} >= set(CATALOGUE)
        yield made


@pytest.fixture
def landscape(cluster: BrokerCluster, stack: Endpoints) -> Endpoints:
    """The three brokers, with the registry of the session's stack."""
    return stack.model_copy(
        update={"bootstrap_servers": cluster.bootstrap_servers, "security_directory": cluster.secrets, "launcher": None}
    )


def coordinator(landscape: Endpoints) -> int:
    """The broker that the group's workers report to: what hurts most when it dies."""
    admin = AdminClient(landscape.kafka().client_config())
    found = admin.describe_consumer_groups([GROUP], request_timeout=30)[GROUP].result(30).coordinator
    assert found is not None and found.id in NODES
    return int(found.id)


@pytest.mark.timeout(900)
def test_a_broker_is_killed_under_load_and_nothing_is_lost(
    cluster: BrokerCluster, landscape: Endpoints, tmp_path: Path
) -> None:
    topics = AdminClient(landscape.kafka().client_config()).list_topics(timeout=30).topics
    assert {len(part.replicas) for name in CATALOGUE for part in topics[name].partitions.values()} == {3}
    with closing(Scene(landscape, tmp_path, GROUP, landscape.registry_url)) as scene:
        scene.master(customer("C1"), product("P1"), product("P2"))
        events = scene.subscribe(ORDER_EVENTS)
        workers = SupervisedWorkers(scene, landscape.environment("streams"))
        captured = shuffled_lives(range(ORDERS))
        half = len(captured) // 2
        scene.capture(*captured[:half])
        wait_until(lambda: workers.go_on() and len(events.poll()) > half // 4, 240, workers.told)
        cluster.kill(coordinator(landscape))
        assert len(events.poll()) < len(captured), "all was done before the broker was killed"
        scene.capture(*captured[half:])
        wait_until(lambda: workers.go_on() and len(events.poll()) >= len(captured), 300, workers.told)
        assert_exactly_once(scene, ORDERS)
        events.close()


class SupervisedWorkers:
    """Two stream workers that are started again when they end, as every supervisor does."""

    def __init__(self, scene: Scene, environment: dict[str, str]) -> None:
        self._scene = scene
        self._environment = environment
        self._workers = {slot: self._start(slot) for slot in ("0", "1")}

    def go_on(self) -> bool:
        """Start again what has ended; with code 1, by which a worker asks for just that."""
        for slot, worker in self._workers.items():
            if worker.process.poll() is not None:
                assert worker.process.returncode == 1, worker.log()[-3000:]
                self._workers[slot] = self._start(slot)
        return True

    def told(self) -> str:
        """The ends of all logs."""
        return "\n".join(worker.log()[-1500:] for worker in self._scene.workers)

    def _start(self, slot: str) -> StreamsProcess:
        return self._scene.work(extra=self._environment, slot=slot)

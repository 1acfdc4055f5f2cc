"""A running reconciliation of a traded world, whose rounds the tests take themselves."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from threading import Event

import psycopg
from prometheus_client import CollectorRegistry

from consumers.reading import key_of
from consumers.reconcile.comparison import ERP
from consumers.reconcile.metrics import ReconcileMetrics
from consumers.reconcile.rounds import Rounds
from consumers.reconcile.settings import ContinuousSettings
from consumers.reconcile.topic import TopicReader, value_of
from consumers.reconcile.watched import Watched
from consumers.reconcile.worker import ReconcileWorker, open_rounds
from deploy.demo.business import Business, BusinessPlan, create_tables
from deploy.demo.transactions import System
from deploy.local.endpoints import Endpoints
from schemas.codec import TopicCodec
from schemas.models import Mismatch, OrderState
from schemas.topics import MISMATCHES
from tests.conftest import DatabaseFactory
from tests.integration.reconcile_world import World, world_of


@contextmanager
def traded_world(stack: Endpoints, database_factory: DatabaseFactory, orders: int) -> Iterator[World]:
    """Traded orders with their lives, and all systems agreeing about them."""
    databases = {system: database_factory(system.value) for system in System}
    create_tables(databases)
    business = Business(databases, BusinessPlan(orders=orders, seed=5, today=date(2026, 11, 21), with_faults=False))
    try:
        business.open()
        business.trade()
    finally:
        business.close()
    mappings = {system.value: database for system, database in databases.items()}
    erp, ledger = database_factory("erp"), database_factory("ledger")
    with world_of(stack, mappings, erp, ledger) as world:
        world.capture_sources()
        world.write_everywhere()
        world.keep()
        yield world


@dataclass
class Watch:
    """A running reconciliation of a world, whose rounds the test takes itself."""

    world: World
    directory: Path
    settings: ContinuousSettings = field(init=False)
    rounds: Rounds = field(init=False)
    registry: CollectorRegistry = field(init=False)

    @contextmanager
    def running(self, **settings: object) -> Iterator[Rounds]:
        """One life of the worker."""
        self._configure(settings)
        watched = Watched(self.settings)
        with ExitStack() as opened:
            opened.callback(watched.close)
            metrics = ReconcileMetrics(self.registry)
            self.rounds = opened.enter_context(open_rounds(self.settings, watched, self.world.registry, metrics))
            yield self.rounds

    @contextmanager
    def working(self, **settings: object) -> Iterator[ReconcileWorker]:
        """One life of the worker, which takes its rounds itself."""
        self._configure(settings)
        stop, worker = Event(), ReconcileWorker(self.settings, self.world.registry, self.registry)
        with ThreadPoolExecutor(1) as thread:
            work = thread.submit(worker.run, stop)
            try:
                yield worker
            finally:
                stop.set()
                work.result()

    def _configure(self, settings: dict[str, object]) -> None:
        values = dict(self.world.settings) | {"data_dir": self.directory, "settle_seconds": 0, "late_seconds": 900}
        self.settings = ContinuousSettings(**{"examined_at_once": 7} | values | settings)
        self.registry = CollectorRegistry()

    def look(self, *, source: bool = False, full: bool = False) -> list[str]:
        """Take rounds until nothing is due, and give what stands open."""
        if source:
            self.rounds.source()
        if full:
            self.rounds.full()
        for _ in range(2):
            # What captures and streams may still bring is judged in the round after.
            self.rounds.steady()
            while self.rounds.waiting:
                self.rounds.steady()
        return sorted(self.open())

    def open(self) -> dict[str, Mismatch]:
        """What stands open on the topic."""
        codec = TopicCodec(MISMATCHES, Mismatch, self.world.registry)
        with closing(TopicReader(self.settings.kafka, MISMATCHES)) as reader:
            latest = {key_of(message): value_of(message) for message in reader.scan({}, reader.ends())}
        return {key: codec.decode(value) for key, value in latest.items() if value is not None}


def paid(world: World) -> list[OrderState]:
    chosen = [one for one in world.states.values() if one.fulfilment and one.settlement and one.settlement.payments]
    return sorted(chosen, key=lambda one: one.order_id)


def by_hand(watch: Watch, statement: str, system: str = ERP) -> None:
    database = watch.settings.erp if system == ERP else watch.settings.ledger
    with psycopg.connect(database.conninfo(application_name="psql")) as connection:
        assert connection.execute(statement.encode()).rowcount > 0, statement

"""A rolling upgrade: two versions side by side under load, one with an attribute more; nothing is lost or doubled."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import pytest

from deploy.local.endpoints import Endpoints
from schemas.settings import DatabaseSettings
from schemas.topics import POSTINGS
from tests.conftest import DatabaseFactory
from tests.integration.next_release import next_release, reference
from tests.integration.streams_harness import HOSTED, Scene, StreamsProcess, assert_exactly_once, life, wait_until
from tests.unit.order_lives import customer, product

_VERSIONS = 10
_AT_ONCE = 4
_BETWEEN = 3
"""So many more orders are everywhere before the next process is replaced."""
_PAUSE_SECONDS = 0.05


@dataclass
class Trading:
    """Orders that are in the middle of their lives whenever something is replaced."""

    scene: Scene
    orders: int = 0
    """Whose last event is written."""
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Trade until the end of the block, and finish the lives that have begun."""
        thread = threading.Thread(target=self._trade, name="trading")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _trade(self) -> None:
        while not self._stop.is_set():
            lives = [life(number) for number in range(self.orders, self.orders + _AT_ONCE)]
            for events in zip(*lives, strict=True):
                self.scene.capture(*events)
                self._stop.wait(_PAUSE_SECONDS)
            self.orders += _AT_ONCE


@dataclass(frozen=True)
class Installation:
    """Workers of both versions in the same groups, on the same databases."""

    scene: Scene
    erp: DatabaseSettings
    ledger: DatabaseSettings
    newer: Mapping[str, str]
    """The environment of the next version."""

    def streams(self, slot: str, version: Mapping[str, str]) -> StreamsProcess:
        """A stream worker that has its partitions."""
        worker = self.scene.work(HOSTED, version, slot=slot)
        wait_until(worker.has_partitions, 60, lambda: f"partitions: {worker.log()[-3000:]}")
        return worker

    def sink(self, name: str, version: Mapping[str, str]) -> StreamsProcess:
        """A sink that has its partitions."""
        database = self.erp if name == "erp" else self.ledger
        told = {f"ORDERSYNC_DATABASE__{key.upper()}": value for key, value in _said(database).items()}
        command = (sys.executable, "-m", "deploy.cli", "worker", name)
        worker = self.scene.work(command, {**version, **told}, group_id=f"{self.scene.group}-{name}")
        wait_until(lambda: _has_partitions(worker), 60, lambda: f"partitions: {worker.log()[-3000:]}")
        return worker

    def finished(self) -> int:
        """How many orders the ERP has in their last version."""
        with psycopg.connect(self.erp.conninfo()) as erp:
            ((found,),) = erp.execute("SELECT count(*) FROM sales_order WHERE version = %s", (_VERSIONS,)).fetchall()
        return int(found)

    def has_finished(self, orders: int) -> bool:
        """Whether the ERP has so many."""
        return self.finished() >= orders


def _said(database: DatabaseSettings) -> dict[str, str]:
    told = database.model_dump(mode="json", exclude={"password"}, exclude_none=True)
    assert database.password is not None
    return {key: str(value) for key, value in told.items()} | {"password": database.password.get_secret_value()}


def _has_partitions(worker: StreamsProcess) -> bool:
    worker.assert_alive()
    return "with a position" in worker.log()


@pytest.mark.long
def test_old_and_new_version_work_side_by_side_and_nothing_is_lost(
    fresh_topics: Endpoints, database_factory: DatabaseFactory, tmp_path: Path
) -> None:
    scene = Scene(fresh_topics, tmp_path, "tests-upgrade", fresh_topics.registry_url)
    newer = next_release(tmp_path / "next")
    installed = Installation(scene, database_factory("erp"), database_factory("ledger"), newer)
    trading = Trading(scene)
    try:
        scene.master(customer("C1"), product("P1"), product("P2"))
        running: dict[str, StreamsProcess] = {name: installed.sink(name, {}) for name in ("erp", "warehouse")} | {
            f"streams {slot}": installed.streams(slot, {}) for slot in ("0", "1")
        }
        starts: dict[str, Callable[[], StreamsProcess]] = {
            "erp": lambda: installed.sink("erp", newer),
            "warehouse": lambda: installed.sink("warehouse", newer),
            "streams 0": lambda: installed.streams("0", newer),
            "streams 1": lambda: installed.streams("1", newer),
        }
        with trading.going_on():
            wait_until(lambda: installed.finished() >= _BETWEEN, 60, "orders flow before the upgrade")
            # As the guide says: schemas first, readers before writers.
            next_version(installed, "apply")
            for name, start in starts.items():
                assert running[name].terminated(60) == 0, running[name].log()[-3000:]
                running[name] = start()
                enough = installed.finished() + _BETWEEN
                wait_until(partial(installed.has_finished, enough), 60, f"orders flow with a new {name}")
                for worker in running.values():
                    worker.assert_alive()
        first, end = trading.orders, trading.orders + _BETWEEN
        next_version(installed, "capture", first, end)
        assert_exactly_once(scene, end)
        wait_until(lambda: installed.finished() == end, 60, lambda: f"{installed.finished()} of {end} in the ERP")
        require_ledger(installed)
        said = json.loads(next_version(installed, "read", 0, end))
        assert said == {f"crm:{number}": reference(number) if number >= first else None for number in range(end)}
    finally:
        scene.close()


def next_version(installed: Installation, what: str, first: int = 0, end: int = 0) -> str:
    """What a process of the next version does, with these orders, or says of them."""
    endpoints = installed.scene.directory / "endpoints.json"
    installed.scene.stack.write(endpoints)
    command = [sys.executable, "-m", "tests.integration.next_release", str(endpoints), what, str(first), str(end)]
    done = subprocess.run(
        command,
        env=installed.scene.environment(installed.newer),
        # Python looks into this directory first, and the version must be that of the environment.
        cwd=installed.scene.directory,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def require_ledger(installed: Installation) -> None:
    """Every journal entry stands in the ledger once, and debits equal credits."""
    postings = installed.scene.subscribe(POSTINGS)
    posted = {entry.entry_id for _, entry in postings.read_to_end()}
    postings.close()

    def held() -> set[str]:
        with psycopg.connect(installed.ledger.conninfo()) as ledger:
            return {entry_id for (entry_id,) in ledger.execute("SELECT entry_id FROM journal_entry").fetchall()}

    wait_until(lambda: held() == posted, 60, lambda: f"{len(held())} of {len(posted)} entries")
    with psycopg.connect(installed.ledger.conninfo()) as ledger:
        ((imbalance,),) = ledger.execute("SELECT sum(debit_amount - credit_amount) FROM journal_line").fetchall()
    assert imbalance == 0

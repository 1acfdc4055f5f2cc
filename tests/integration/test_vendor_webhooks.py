"""Webhooks reach servers that fail in every way: nothing lost, each order in sequence, doubles with the same id."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from standardwebhooks.webhooks import Webhook as Verifier

from consumers.postgres.text import copied
from consumers.vendors.deliveries.book import DeliveryBook
from consumers.vendors.deliveries.queue import DELIVERY, QUEUE, rows_of
from consumers.vendors.deliveries.settings import DispatchSettings
from consumers.vendors.profiles import Sending, VendorProfiles
from consumers.vendors.webhooks.worker import WebhooksWorker
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from schemas.errors import ConfigurationError
from schemas.models import VendorUpdate
from schemas.settings import DatabaseSettings
from tests.conftest import DatabaseFactory
from tests.integration.vendor_server import FAULTS, VendorServer
from tests.unit.vendor_lives import ACME, BOLT, SECRET, profiles_file, update

DEADLINE_SECONDS = 90.0
ROOT = Path(__file__).parents[2]
QUICK = {"allow_http": True, "timeout_seconds": 1, "retry_first_seconds": 0.1, "retry_limit_seconds": 0.3}
LOOPBACK = {"private_networks": ["127.0.0.0/8"]}


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return prepared(database_factory("webhooks"))


def prepared(database: DatabaseSettings) -> DatabaseSettings:
    """The database with empty queues."""
    book = DeliveryBook(database, "webhook", "test")
    book.prepare()
    book.close()
    return database


def settings_of(database: DatabaseSettings, vendors: Path, **more: Any) -> DispatchSettings:
    told = {"subscribers": Sending.model_validate(QUICK | LOOPBACK)} | more
    return DispatchSettings(database=database, vendors=vendors, lease_seconds=4, poll_seconds=0.05, **told)


def queue(database: DatabaseSettings, vendors: Path, updates: Iterable[VendorUpdate]) -> None:
    """Put them into the queues, as the sink does."""
    profiles = VendorProfiles.load(vendors)
    book = DeliveryBook(database, "webhook", "test")
    with book.database.transaction("filling the queues") as cursor:
        DELIVERY.create_staged(cursor)
        DELIVERY.stage(cursor, copied(row for one in updates for row in rows_of(one, profiles)))
        cursor.execute(QUEUE)
    book.close()


def states(database: DatabaseSettings) -> dict[str, int]:
    with psycopg.connect(database.conninfo()) as session:
        return dict(session.execute("SELECT state, count(*) FROM delivery GROUP BY state").fetchall())


@contextmanager
def worker(settings: DispatchSettings) -> Iterator[Callable[[Callable[[], bool], str], None]]:
    """A worker in a thread; gives what waits for a condition, or fails with what the worker met."""
    metrics = CollectorRegistry()
    hosted, stop, failures = WebhooksWorker(settings, metrics), threading.Event(), []

    def run() -> None:
        try:
            hosted.run(stop)
        except Exception as exc:  # noqa: BLE001  the test that waits is told
            failures.append(exc)

    def until(condition: Callable[[], bool], what: str) -> None:
        met = await_condition(lambda: bool(failures) or condition(), DEADLINE_SECONDS)
        assert not failures, repr(failures)
        assert met, what

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield until
    finally:
        stop.set()
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive(), "the worker does not stop"
    assert not failures, failures


def require_in_sequence(server: VendorServer) -> None:
    """The first receipts of each order are in its sequence, and what came twice is the same."""
    heard: dict[str, int] = {}
    for one in server.delivered():
        order = one.data["order_id"]
        assert one.data["sequence"] == heard.get(order, 0) + 1
        heard[order] = one.data["sequence"]
    bodies: dict[str, bytes] = {}
    for one in server.received:
        assert bodies.setdefault(one.message_id, one.body) == one.body


def test_every_way_to_fail_ends_in_a_delivery(database: DatabaseSettings, tmp_path: Path) -> None:
    orders = {f"crm:{number}": fault for number, fault in enumerate(FAULTS)}

    def choose(data: dict[str, Any], before: int) -> str:
        return orders[data["order_id"]] if before == 0 and data["sequence"] == 1 else "ok"

    with VendorServer(choose) as server:
        vendors = profiles_file(tmp_path, {ACME: server.url}, **QUICK, **LOOPBACK)
        queue(database, vendors, [update(number, sequence) for number in range(len(FAULTS)) for sequence in (1, 2, 3)])
        with worker(settings_of(database, vendors)) as until:
            until(lambda: states(database) == {"delivered": 3 * len(FAULTS)}, "everything is delivered")
        require_in_sequence(server)
        assert {one.answer for one in server.received} == {*FAULTS, "ok"}
        for one in server.received:
            Verifier(SECRET).verify(one.body, dict(one.headers))


def test_a_dead_vendor_delays_nobody(database: DatabaseSettings, tmp_path: Path) -> None:
    with VendorServer(lambda *_: "hang") as dead, VendorServer(lambda *_: "accepted") as alive:
        vendors = profiles_file(tmp_path, {ACME: dead.url, BOLT: alive.url}, **QUICK, **LOOPBACK)
        queue(database, vendors, [update(number) for number in range(60)])
        queue(database, vendors, [update(number, vendor_id=BOLT, update_id=f"b{number}") for number in range(200)])
        with worker(settings_of(database, vendors)) as until:
            until(lambda: len(alive.delivered()) == 200, "the living one has everything")
            until(lambda: len(dead.received) >= 4, "the dead one was tried")
            # Bounded: no more are tried than there are connections, and then one now and then.
            assert len(dead.received) < 60
        assert states(database) == {"delivered": 200, "waiting": 60}


def test_an_answer_without_end_is_cut_off(database: DatabaseSettings, tmp_path: Path) -> None:
    with VendorServer(lambda *_: "endless") as server:
        vendors = profiles_file(tmp_path, {ACME: server.url}, **QUICK, **LOOPBACK)
        queue(database, vendors, [update(1)])
        with worker(settings_of(database, vendors)) as until:
            until(lambda: states(database) == {"delivered": 1}, "the status counts")


def test_an_answer_may_acknowledge(database: DatabaseSettings, tmp_path: Path) -> None:
    with VendorServer(lambda data, _: "taken" if data["sequence"] == 1 else "ok") as server:
        vendors = profiles_file(tmp_path, {ACME: server.url}, **QUICK, **LOOPBACK)
        queue(database, vendors, [update(1), update(1, 2)])
        with worker(settings_of(database, vendors)) as until:
            until(lambda: states(database) == {"delivered": 2}, "both are delivered")
    book = DeliveryBook(database, "webhook", "test")
    assert [one.message_id for one in book.unacknowledged({ACME: 0})] == ["1-2"]
    book.close()


def test_who_is_gone_gets_nothing_more_until_it_is_opened(database: DatabaseSettings, tmp_path: Path) -> None:
    answers = ["gone"]
    with VendorServer(lambda *_: answers[-1]) as server:
        vendors = profiles_file(tmp_path, {ACME: server.url}, **(QUICK | {"connections": 1}), **LOOPBACK)
        queue(database, vendors, [update(number) for number in range(5)])
        with worker(settings_of(database, vendors)) as until:
            until(lambda: _closed(database), "it is closed")
        with worker(settings_of(database, vendors)) as until:
            assert len(server.received) == 1
            answers.append("ok")
            with psycopg.connect(database.conninfo()) as session:
                session.execute("UPDATE subscriber SET closed_at = NULL, closed_because = NULL")
            until(lambda: states(database) == {"delivered": 5}, "nothing was lost")


def test_what_is_given_up_is_a_dead_letter_and_lets_the_next_pass(database: DatabaseSettings, tmp_path: Path) -> None:
    with VendorServer(lambda data, _: "unknown" if data["sequence"] == 1 else "ok") as server:
        vendors = profiles_file(tmp_path, {ACME: server.url}, **QUICK, **LOOPBACK, give_up_seconds=0.5)
        queue(database, vendors, [update(1), update(1, 2)])
        with worker(settings_of(database, vendors)) as until:
            until(lambda: states(database) == {"dead": 1, "delivered": 1}, "the second is delivered")
        with psycopg.connect(database.conninfo()) as session:
            row = session.execute("SELECT problem, attempts > 1 FROM delivery WHERE state = 'dead'").fetchone()
        assert row == ("it answered 404", True)


def test_private_addresses_are_not_asked(database: DatabaseSettings, tmp_path: Path) -> None:
    with VendorServer(lambda *_: "ok") as server:
        vendors = profiles_file(tmp_path, {ACME: server.url}, **QUICK)
        queue(database, vendors, [update(1)])
        with worker(settings_of(database, vendors)) as until:
            until(lambda: "127.0.0.1, which is not public" in _problem(database), "it is refused")
        assert server.received == []


def test_killed_and_frozen_workers_lose_nothing(database: DatabaseSettings, tmp_path: Path, stack: Endpoints) -> None:
    chance = random.Random(7)
    kinds = ("ok", "ok", "ok", "ok", "ok", "error", "reset", "cut")
    with VendorServer(lambda *_: chance.choice(kinds)) as server:
        vendors = profiles_file(tmp_path, {ACME: server.url}, **QUICK, **LOOPBACK)
        queue(database, vendors, [update(number, sequence) for number in range(20) for sequence in (1, 2, 3, 4, 5)])
        settings = settings_of(database, vendors)
        for share, sign in ((10, signal.SIGKILL), (30, signal.SIGSTOP)):
            process = _process(settings, tmp_path)
            try:
                assert await_condition(lambda share=share: len(server.delivered()) >= share, DEADLINE_SECONDS)
                process.send_signal(sign)
                if sign is signal.SIGSTOP:
                    with worker(settings) as until:
                        until(lambda: len(server.delivered()) >= 60, "another takes over")
                    process.send_signal(signal.SIGCONT)
            finally:
                process.kill()
                process.wait()
        with worker(settings) as until:
            until(lambda: states(database) == {"delivered": 100}, "everything is delivered")
        require_in_sequence(server)
        assert len(server.delivered()) == 100


def test_a_lease_must_outlive_every_timeout(database: DatabaseSettings, tmp_path: Path) -> None:
    vendors = profiles_file(tmp_path, {ACME: "https://vendor.example/"}, timeout_seconds=30)
    with pytest.raises(ConfigurationError, match="has to be 32 or more"):
        WebhooksWorker(settings_of(database, vendors), CollectorRegistry())


def environment_of(settings: DispatchSettings, directory: Path) -> dict[str, str]:
    """Of a worker in a process of its own."""
    database = settings.database
    own = {
        "ORDERSYNC_DATABASE__HOST": database.host,
        "ORDERSYNC_DATABASE__PORT": str(database.port),
        "ORDERSYNC_DATABASE__DBNAME": database.dbname,
        "ORDERSYNC_DATABASE__USER": database.user,
        "ORDERSYNC_VENDORS": str(settings.vendors),
        "ORDERSYNC_LEASE_SECONDS": str(settings.lease_seconds),
        "ORDERSYNC_POLL_SECONDS": str(settings.poll_seconds),
        "ORDERSYNC_SUBSCRIBERS": settings.subscribers.model_dump_json(),
        "ORDERSYNC_DATA_DIR": str(directory),
    }
    if database.password is not None:
        own["ORDERSYNC_DATABASE__PASSWORD"] = database.password.get_secret_value()
    return dict(os.environ) | own


def _process(settings: DispatchSettings, directory: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "deploy.cli", "worker", "webhooks"]
    return subprocess.Popen(argv, cwd=ROOT, env=environment_of(settings, directory))


def _closed(database: DatabaseSettings) -> bool:
    with psycopg.connect(database.conninfo()) as session:
        return session.execute("SELECT FROM subscriber WHERE closed_at IS NOT NULL").fetchone() is not None


def _problem(database: DatabaseSettings) -> str:
    with psycopg.connect(database.conninfo()) as session:
        row = session.execute("SELECT coalesce(problem, '') FROM delivery").fetchone()
    assert row is not None
    return str(row[0])

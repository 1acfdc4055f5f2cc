"""Clients hear what becomes of their orders: only of theirs, in sequence, signed, whatever fails on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from consumers.postgres.text import copied
from consumers.privacy.key_files import add_key
from consumers.registry import PARTNER_SINKS
from consumers.vendors.deliveries.book import DeliveryBook
from consumers.vendors.deliveries.settings import DeliveriesSettings
from consumers.vendors.subscriptions.news import News, news_of_event
from consumers.vendors.subscriptions.queue import FAN_OUT, NEWS, create_staged, news_rows
from deploy.cli import run
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from schemas.models import ParkedOrder
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_EVENTS, PARKED, REJECTED, VENDOR_ACKNOWLEDGEMENTS, VENDOR_UPDATES
from tests.conftest import DatabaseFactory
from tests.contract.sink_workbench import Cluster, Sent, working
from tests.integration.test_vendor_replay import environment
from tests.integration.test_vendor_webhooks import (
    DEADLINE_SECONDS,
    ROOT,
    environment_of,
    prepared,
    settings_of,
    states,
    worker,
)
from tests.integration.vendor_server import VendorServer
from tests.unit.test_news import parked, rejection
from tests.unit.vendor_lives import ORDER_ID, line, profiles_file, version


class Office:
    """The command line over one database of queues, as an operator has it."""

    def __init__(self, database: DatabaseSettings, vendors: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.database, self.vendors, self._capsys = database, vendors, capsys

    def said(self, *arguments: str, exit_code: int = 0) -> str:
        self._capsys.readouterr()
        assert run(["webhooks", *arguments]) == exit_code
        found = self._capsys.readouterr()
        return found.out if exit_code == 0 else found.err

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(row) for row in self.said(*arguments, "--json").splitlines()]

    def subscribe(self, client: str, url: str, *others: str, system: str = "crm") -> tuple[str, str]:
        [made] = self.rows("add", "--client", client, "--url", url, "--system", system, "--allow-http", *others)
        return made["subscription_id"], made["secret"]

    def queue(self, *news: News) -> None:
        """Put news into the queues, as the sink does."""
        with (
            closing(DeliveryBook(self.database, "webhook", "test")) as book,
            book.database.transaction("filling the queues") as cursor,
        ):
            create_staged(cursor)
            NEWS.stage(cursor, copied(news_rows(news)))
            cursor.execute(FAN_OUT)


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return prepared(database_factory("subscriptions"))


@pytest.fixture
def office(
    database: DatabaseSettings,
    stack: Endpoints,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Office:
    vendors = profiles_file(tmp_path, {})
    vendors.write_text("[vendors]\n")
    settings = DeliveriesSettings(
        kafka=stack.kafka(), registry=stack.registry(), database=database, vendors=vendors, group_id="none"
    )
    for name, value in (stack.environment() | environment(settings)).items():
        monkeypatch.setenv(name, value)
    return Office(database, vendors, capsys)


def news(number: int, last: int = 3) -> list[News]:
    """The versions of one order, made now."""
    made = [version(one, [line(1)], processed_at=datetime.now(UTC)) for one in range(1, last + 1)]
    order_id = f"crm:{number}"
    return [
        news_of_event(one.model_copy(update={"state": one.state.model_copy(update={"order_id": order_id})}))
        for one in made
    ]


def in_order(server: VendorServer) -> dict[str, list[int]]:
    """The versions that a server took, order by order."""
    heard: dict[str, list[int]] = {}
    for one in server.delivered():
        heard.setdefault(one.data["order_id"], []).append(one.data["version"])
    return heard


def test_each_client_hears_of_its_own_orders_in_their_sequence(office: Office) -> None:
    with (
        VendorServer(lambda *_: "ok") as ours,
        VendorServer(lambda *_: "ok") as others,
        VendorServer(lambda *_: "ok") as every,
    ):
        _, secret = office.subscribe("shop", ours.url)
        office.subscribe("other", others.url, system="other")
        office.subscribe("all", every.url, "--type", "order.rejected", system="*")
        office.queue(*(one for number in range(5) for one in news(number)))
        with worker(settings_of(office.database, office.vendors)) as until:
            until(lambda: states(office.database) == {"delivered": 15}, "everything is delivered")
        assert in_order(ours) == {f"crm:{number}": [1, 2, 3] for number in range(5)}
        assert (others.received, every.received) == ([], [])
        for one in ours.received:
            assert Verifier(secret).verify(one.body, dict(one.headers))["type"] == "order.changed"


def test_what_was_decided_before_somebody_subscribed_is_not_told_and_nothing_twice(office: Office) -> None:
    before = news(1)
    with VendorServer(lambda *_: "ok") as server:
        office.subscribe("shop", server.url)
        after = news(2)
        for _ in range(2):
            office.queue(*before, *after)
        with worker(settings_of(office.database, office.vendors)) as until:
            until(lambda: states(office.database) == {"delivered": 3}, "only what came later")
        assert in_order(server) == {"crm:2": [1, 2, 3]}


def test_an_address_that_the_worker_must_not_send_to_stops_nobody_else(office: Office) -> None:
    with VendorServer(lambda *_: "ok") as server:
        wrong, _ = office.subscribe("wrong", server.url)
        office.subscribe("shop", server.url)
        with (
            closing(DeliveryBook(office.database, "webhook", "test")) as book,
            book.database.transaction("an address of before") as cursor,
        ):
            cursor.execute("UPDATE subscription SET url = 'ftp://127.0.0.1/' WHERE subscription_id = %s", (wrong,))
        office.queue(*news(1))
        with worker(settings_of(office.database, office.vendors)) as until:
            until(lambda: states(office.database) == {"delivered": 3, "waiting": 3}, "the other's are delivered")
            office.said("delete", wrong)
            office.queue(*news(2))
            until(lambda: states(office.database) == {"delivered": 6}, "the worker goes on")


def test_a_client_that_hangs_delays_nobody(office: Office) -> None:
    with VendorServer(lambda *_: "hang") as dead, VendorServer(lambda *_: "ok") as alive:
        office.subscribe("dead", dead.url)
        office.subscribe("alive", alive.url)
        office.queue(*(one for number in range(40) for one in news(number)))
        with worker(settings_of(office.database, office.vendors)) as until:
            until(lambda: len(alive.delivered()) == 120, "the living one has everything")
        assert len(dead.received) < 40
        assert in_order(alive) == {f"crm:{number}": [1, 2, 3] for number in range(40)}


def test_a_secret_is_changed_without_a_gap_while_the_worker_runs(office: Office) -> None:
    with VendorServer(lambda *_: "ok") as server:
        subscription, old = office.subscribe("shop", server.url)
        with worker(settings_of(office.database, office.vendors)) as until:
            office.queue(*news(1, 1))
            until(lambda: len(server.received) == 1, "the first is there")
            new = office.said("rotate", subscription).strip()
            sent = [1]

            def is_signed_by_both() -> bool:
                # A message after the other until the worker has seen the new secret.
                if len(server.received) == sent[-1]:
                    sent.append(sent[-1] + 1)
                    office.said("ping", subscription)
                return " " in server.received[-1].headers["webhook-signature"]

            until(is_signed_by_both, "both secrets sign")
            last = server.received[-1]
            for secret in (old, new):
                assert Verifier(secret).verify(last.body, dict(last.headers))["type"] == "webhook.ping"
        office.said("rotate", subscription, "--retire")
        office.said("ping", subscription)
        with worker(settings_of(office.database, office.vendors)) as until:
            until(lambda: " " not in server.received[-1].headers["webhook-signature"], "the new one signs alone")
        Verifier(new).verify(server.received[-1].body, dict(server.received[-1].headers))
    told = office.said("list", "--json")
    assert old not in told and new not in told


def test_sealed_secrets_sign_and_the_database_has_none_in_plain(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "webhook.keys"
    add_key(keys)

    def stored() -> dict[str, list[str]]:
        with psycopg.connect(office.database.conninfo()) as session:
            return dict(session.execute("SELECT subscription_id, secrets FROM subscription").fetchall())

    def signed_by(secret: str, subscription: str) -> None:
        before = len(server.received)
        office.said("ping", subscription)
        with worker(settings_of(office.database, office.vendors, secret_keys=keys)) as until:
            until(lambda: len(server.received) > before, "the ping is there")
        last = server.received[-1]
        assert Verifier(secret).verify(last.body, dict(last.headers))["type"] == "webhook.ping"

    with VendorServer(lambda *_: "ok") as server:
        plain, first = office.subscribe("plain", server.url)
        assert "names no file" in office.said("seal", exit_code=2)
        monkeypatch.setenv("ORDERSYNC_SECRET_KEYS", str(keys))
        sealed, second = office.subscribe("sealed", server.url)
        assert stored()[plain] == [first] and second not in str(stored())
        signed_by(first, plain)
        signed_by(second, sealed)
        office.said("rotate", sealed)
        office.said("rotate", sealed, "--retire")
        # A new key comes first, and the old one goes when everything is sealed anew.
        before = stored()
        add_key(keys)
        assert "2 secrets are sealed" in office.said("seal")
        assert not {one for some in before.values() for one in some} & {
            one for some in stored().values() for one in some
        }
        keys.write_text(keys.read_text().splitlines()[0])
        signed_by(first, plain)
        assert first not in str(stored())

        # What is moved to another subscription, or was sealed by a key that is gone, is used for nothing.
        with psycopg.connect(office.database.conninfo()) as session:
            move = "UPDATE subscription SET secrets = %s WHERE subscription_id = %s"
            session.execute(move, (stored()[plain], sealed))
        office.queue(*news(1, 1))
        with worker(settings_of(office.database, office.vendors, secret_keys=keys)) as until:
            until(lambda: states(office.database)["delivered"] >= 4, "the other has its message")
        assert {one["client"]: one["waiting"] for one in office.rows("list")} == {"plain": 0, "sealed": 1}
        monkeypatch.delenv("ORDERSYNC_SECRET_KEYS")
        office.subscribe("third", server.url)
        office.queue(*news(2, 1))
        with worker(settings_of(office.database, office.vendors)) as until:
            until(lambda: states(office.database)["delivered"] == 5, "who was never sealed has its message")
        assert states(office.database)["waiting"] == 3, "without a key the others wait"
        monkeypatch.setenv("ORDERSYNC_SECRET_KEYS", str(keys))
        assert "does not open" in office.said("seal", exit_code=1)


def test_who_is_gone_or_away_for_too_long_is_switched_off_and_told(office: Office) -> None:
    with VendorServer(lambda *_: "gone") as gone, VendorServer(lambda *_: "error") as away:
        office.subscribe("gone", gone.url)
        office.subscribe("away", away.url)
        office.queue(*news(1))
        settings = settings_of(office.database, office.vendors)
        impatient = settings.subscribers.model_copy(update={"give_up_seconds": 0.3})
        with worker(settings.model_copy(update={"subscribers": impatient})) as until:
            until(lambda: all(one["closed_at"] for one in office.rows("list")), "both are closed")
        reasons = {one["client"]: one["closed_because"] for one in office.rows("list")}
        assert "410" in reasons["gone"] and "given up" in reasons["away"]
        waiting = states(office.database)
        office.queue(*news(2))
        assert states(office.database) == waiting
        assert {one["message_type"] for one in office.rows("dead-letters")} == {"order.changed"}
        [closed] = [one["subscription_id"] for one in office.rows("list", "--client", "gone")]
        assert "is open" in office.said("open", closed)
        assert "is not closed" in office.said("open", closed, exit_code=2)


def test_private_addresses_are_not_asked_unless_a_setting_allows_it(office: Office) -> None:
    with VendorServer(lambda *_: "ok") as server:
        office.subscribe("shop", server.url)
        office.queue(*news(1, 1))
        settings = settings_of(office.database, office.vendors)
        guarded = settings.subscribers.model_copy(update={"private_networks": ()})
        with worker(settings.model_copy(update={"subscribers": guarded})) as until:
            until(lambda: "not public" in str(office.rows("list")[0]["last_problem"]), "it is refused")
        assert server.received == []


def test_a_subscription_that_ends_takes_what_waits_with_it(office: Office) -> None:
    with VendorServer(lambda *_: "hang") as server, VendorServer(lambda *_: "ok") as other:
        subscription, _ = office.subscribe("shop", server.url)
        office.subscribe("other", other.url)
        with worker(settings_of(office.database, office.vendors)) as until:
            office.queue(*news(1))
            until(lambda: bool(server.received), "it is tried")
            assert "3 messages were waiting" in office.said("delete", subscription)
            office.queue(*news(2))
            until(lambda: states(office.database) == {"delivered": 6}, "the other has everything")
        assert [one["client"] for one in office.rows("list")] == ["other"]
    for verb in ("ping", "delete", "rotate", "retry"):
        assert "there is no subscription" in office.said(verb, subscription, exit_code=2)


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/", "https://user:pw@a.example/", "https://a.example/#x", "https://", "https://a.example:0/"],
)
def test_an_address_that_is_none_is_refused(office: Office, url: str) -> None:
    told = office.said("add", "--client", "shop", "--url", url, "--system", "crm", exit_code=2)
    assert "no address for webhooks" in told and office.rows("list") == []


def test_a_worker_that_is_killed_loses_and_reorders_nothing(office: Office, tmp_path: Path) -> None:
    with VendorServer(lambda _, before: "ok" if before else "cut") as server:
        office.subscribe("shop", server.url)
        office.queue(*(one for number in range(10) for one in news(number)))
        settings = settings_of(office.database, office.vendors)
        for share in (5, 15):
            argv = [sys.executable, "-m", "deploy.cli", "worker", "webhooks"]
            process = subprocess.Popen(argv, cwd=ROOT, env=environment_of(settings, tmp_path))
            try:
                assert await_condition(lambda share=share: len(server.delivered()) >= share, DEADLINE_SECONDS)
                process.send_signal(signal.SIGKILL)
            finally:
                process.kill()
                process.wait()
        with worker(settings) as until:
            until(lambda: states(office.database) == {"delivered": 30}, "everything is delivered")
        assert in_order(server) == {f"crm:{number}": [1, 2, 3] for number in range(10)}


@pytest.fixture
def cluster(stack: Endpoints, topic_prefix: str) -> Iterator[Cluster]:
    topics = {ORDER_EVENTS, VENDOR_UPDATES, VENDOR_ACKNOWLEDGEMENTS, PARKED, REJECTED}
    with closing(Cluster(stack, topic_prefix, topics)) as cluster:
        yield cluster


def test_the_whole_way_and_again(
    cluster: Cluster, office: Office, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = datetime.now(UTC)
    settings = DeliveriesSettings(
        kafka=cluster.stack.kafka(),
        registry=cluster.stack.registry(),
        topic_prefix=cluster.prefix,
        session_timeout_seconds=6,
        group_id=f"{cluster.prefix}d",
        database=database,
        vendors=office.vendors,
    )
    monkeypatch.setenv("ORDERSYNC_TOPIC_PREFIX", cluster.prefix)
    with VendorServer(lambda *_: "ok") as server:
        subscription, _ = office.subscribe("shop", server.url)
        _produce(cluster)
        with (
            working(PARTNER_SINKS["deliveries"], settings, cluster),
            worker(settings_of(database, office.vendors)) as until,
        ):
            until(lambda: states(database) == {"delivered": 4}, "everything is delivered")
            assert _told(server.delivered()) == ["order.changed", "order.changed", "order.rejected", "order.waiting"]
            versions = [one.data["version"] for one in server.delivered() if "version" in one.data]
            assert versions == [1, 2]
            before = len(server.received)
            again: Callable[..., str] = lambda *more: office.said(  # noqa: E731
                "replay", subscription, "--from", began.isoformat(), *more
            )
            assert "4 messages" in again()
            until(lambda: states(database) == {"delivered": 8}, "all came again")
            assert {one.message_id for one in server.received[before:]} == {
                one.message_id for one in server.delivered()
            }
            assert [one.data["version"] for one in server.received[before:] if "version" in one.data] == [1, 2]
            assert "0 messages" in again("--order", "crm:none")
            assert "0 messages" in office.said("replay", subscription, "--from", "2100-01-01")


def _told(received: list[Any]) -> list[str]:
    return sorted(json.loads(one.body)["type"] for one in received)


def _produce(cluster: Cluster) -> None:
    now = datetime.now(UTC)
    events = [version(number, [line(1)], processed_at=now) for number in (1, 2)]
    waits: ParkedOrder = parked("C1").model_copy(update={"parked_at": now})
    told = [
        *(Sent(ORDER_EVENTS, ORDER_ID.encode(), cluster.codec(ORDER_EVENTS).encode(one), 1) for one in events),
        Sent(PARKED, ORDER_ID.encode(), cluster.codec(PARKED).encode(waits), 1),
        Sent(REJECTED, ORDER_ID.encode(), cluster.codec(REJECTED).encode(rejection(rejected_at=now)), 1),
        Sent(REJECTED, b"x", cluster.codec(REJECTED).encode(rejection(order_id=None, rejected_at=now)), 1),
    ]
    cluster.produce(told)

"""From a version of an order to a vendor's server, and `ordersync vendors` over its queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumers.registry import PARTNER_SINKS
from consumers.vendors.deliveries.settings import DeliveriesSettings
from consumers.vendors.settings import VendorsSettings
from deploy.cli import run
from deploy.local.endpoints import Endpoints
from schemas.models import VendorAcknowledgement
from schemas.settings import DatabaseSettings
from schemas.topics import ORDER_EVENTS, PARKED, REJECTED, VENDOR_ACKNOWLEDGEMENTS, VENDOR_UPDATES
from tests.conftest import DatabaseFactory
from tests.contract.sink_workbench import Cluster, Sent, working
from tests.integration.test_vendor_webhooks import LOOPBACK, QUICK, settings_of, states, worker
from tests.integration.vendor_server import VendorServer
from tests.unit.vendor_lives import ACME, BOLT, ORDER_ID, line, profiles_file, version

LINES = [line(1, ACME), line(2, BOLT)]
LATER = [line(1, ACME, 9), line(2, BOLT)]


@pytest.fixture
def cluster(stack: Endpoints, topic_prefix: str) -> Iterator[Cluster]:
    topics = {ORDER_EVENTS, VENDOR_UPDATES, VENDOR_ACKNOWLEDGEMENTS, PARKED, REJECTED}
    with closing(Cluster(stack, topic_prefix, topics)) as cluster:
        yield cluster


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return database_factory("vendors")


def environment(settings: DeliveriesSettings) -> dict[str, str]:
    database = settings.database
    password = {} if database.password is None else {"PASSWORD": database.password.get_secret_value()}
    values = {"HOST": database.host, "PORT": str(database.port), "DBNAME": database.dbname, "USER": database.user}
    reached = {f"ORDERSYNC_DATABASE__{name}": value for name, value in (values | password).items()}
    return reached | {"ORDERSYNC_VENDORS": str(settings.vendors), "ORDERSYNC_TOPIC_PREFIX": settings.topic_prefix}


def test_the_whole_way_and_again(
    cluster: Cluster,
    database: DatabaseSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    began = datetime.now(UTC)
    answers = ["error"]
    codec = cluster.codec(ORDER_EVENTS)
    common = {
        "kafka": cluster.stack.kafka(),
        "registry": cluster.stack.registry(),
        "topic_prefix": cluster.prefix,
        "session_timeout_seconds": 6,
    }
    with VendorServer(lambda *_: answers[-1]) as server:
        vendors = profiles_file(tmp_path, {ACME: server.url}, **QUICK, **LOOPBACK, give_up_seconds=0.2)
        vendors.write_text(f'[vendors."{ACME}"]\nacknowledge_within_minutes = 0.0001\n' + vendors.read_text())
        telling = VendorsSettings(**common, group_id=f"{cluster.prefix}v", data_dir=tmp_path)
        queueing = DeliveriesSettings(**common, group_id=f"{cluster.prefix}d", database=database, vendors=vendors)
        for name, value in (cluster.stack.environment() | environment(queueing)).items():
            monkeypatch.setenv(name, value)

        def told(*arguments: str) -> list[dict[str, Any]]:
            capsys.readouterr()
            assert run(["vendors", *arguments, "--json"]) == 0
            return [json.loads(row) for row in capsys.readouterr().out.splitlines()]

        def done(*arguments: str) -> str:
            capsys.readouterr()
            assert run(["vendors", *arguments]) == 0
            return capsys.readouterr().out

        events = [version(1, LINES), version(2, LATER), version(3, LATER, status="cancelled")]
        cluster.produce(Sent(ORDER_EVENTS, ORDER_ID.encode(), codec.encode(one), 1) for one in events)
        with (
            working(PARTNER_SINKS["vendors"], telling, cluster),
            working(PARTNER_SINKS["deliveries"], queueing, cluster) as sink,
            worker(settings_of(database, vendors)) as until,
        ):
            sink.until(lambda: len(cluster.values(VENDOR_UPDATES)) == 5, "ACME hears three times, BOLT twice")
            until(lambda: states(database) == {"dead": 3}, "all are given up")
            assert [one["message_type"] for one in told("dead-letters")] == [
                "order.confirmation",
                "order.change",
                "order.cancellation",
            ]
            answers.append("ok")
            assert "3 updates" in done("retry", "--vendor", ACME)
            until(lambda: states(database) == {"delivered": 3}, "all are delivered")
            assert [one.data["sequence"] for one in server.delivered()] == [1, 2, 3]
            assert len(told("unacknowledged")) == 3
            assert "1 deliveries" in done("acknowledge", "--vendor", ACME, server.delivered()[0].message_id, "unknown")
            assert len(told("unacknowledged")) == 2
            _acknowledge(cluster, server)
            until(lambda: told("unacknowledged") == [], "all are acknowledged")

            before = len(server.received)
            assert "3 deliveries" in done("replay", "--vendor", ACME, "--from", began.isoformat())
            until(lambda: states(database) == {"delivered": 6}, "all came again")
            again = [(one.message_id, one.data["sequence"]) for one in server.received[before:]]
            assert again == [(one.message_id, one.data["sequence"]) for one in server.delivered()]
            assert "0 deliveries" in done("replay", "--vendor", ACME, "--from", "2100-01-01")
            assert "0 deliveries" in done("replay", "--vendor", ACME, "--from", "2020-01-01", "--order", "crm:none")
        assert told("status")[0]["waiting"] == 0
        _refuses(capsys)


def _refuses(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, problem in (
        (["replay", "--vendor", "V-NONE", "--from", "2020-01-01"], "no vendor 'V-NONE'"),
        (["replay", "--vendor", ACME, "--from", "yesterday"], "is no time"),
        (["retry", "--vendor", "V-NONE"], "no vendor 'V-NONE'"),
        (["open", "--vendor", ACME], "is not closed"),
    ):
        capsys.readouterr()
        assert run(["vendors", *arguments]) == 2
        assert problem in capsys.readouterr().err


def _acknowledge(cluster: Cluster, server: VendorServer) -> None:
    codec = cluster.codec(VENDOR_ACKNOWLEDGEMENTS)
    now = datetime.now(UTC)
    said = [
        VendorAcknowledgement(
            update_id=one.data["update_id"], vendor_id=ACME, order_id=ORDER_ID, acknowledged_at=now, channel="api"
        )
        for one in server.delivered()
    ]
    cluster.produce(Sent(VENDOR_ACKNOWLEDGEMENTS, b"k", codec.encode(one), 1) for one in said)


def test_a_secret_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "acme.secret"
    assert run(["vendors", "secret", str(path)]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    made = path.read_text()
    assert run(["vendors", "secret", str(path)]) == 2
    assert path.read_text() == made
    vendors = profiles_file(tmp_path, {ACME: "https://vendor.example/"}, secret_file=str(path))
    capsys.readouterr()
    assert run(["vendors", "check", str(vendors)]) == 0
    assert capsys.readouterr().out == "V-ACME: webhook\n"
    path.write_text("nothing")
    assert run(["vendors", "check", str(vendors)]) == 2

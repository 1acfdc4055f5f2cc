"""`ordersync reconcile compare|totals` against real servers: every pair, a restored copy, a changed one, bad names."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.cli import run
from deploy.local.endpoints import Endpoints
from schemas.codec import TopicCodec
from schemas.models import FxRate, OrderEvent, OrderState, SourcePosition
from schemas.topics import FX_RATES, ORDER_EVENTS, ORDER_STATE
from tests.conftest import DatabaseFactory
from tests.integration.reconcile_watch import traded_world
from tests.integration.reconcile_world import NOW, World
from tests.integration.systems_environment import systems_environment

PREFIX = "restore.pairs."
PAIRS = [
    ("source", "state"), ("source", "erp"), ("source", "ledger"),
    ("state", "erp"), ("state", "ledger"), ("ledger", "erp"),
]  # fmt: skip


@pytest.fixture(scope="module")
def world(stack: Endpoints, module_database_factory: DatabaseFactory) -> Iterator[World]:
    """Twenty traded orders; a restored state without one of them; two versions of one order; one rate."""
    with traded_world(stack, module_database_factory, 20) as world:
        _restore(world)
        yield world
        admin = AdminClient(stack.kafka().client_config())
        admin.delete_topics([PREFIX + ORDER_STATE])[PREFIX + ORDER_STATE].result()


def _restore(world: World) -> None:
    topic = PREFIX + ORDER_STATE
    admin = AdminClient(world.settings.kafka.client_config())
    if topic in admin.list_topics(timeout=10).topics:
        admin.delete_topics([topic])[topic].result()
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    world.registry.register(f"{topic}-value", TopicCodec(ORDER_STATE, OrderState, world.registry).records.schema)
    codec = TopicCodec(topic, OrderState, world.registry)
    world.produce(topic, {order_id: codec.encode(world.states[order_id]) for order_id in sorted(world.states)[1:]})


@pytest.fixture
def named(stack: Endpoints, world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world's systems in the environment, as a deployment names them."""
    for key, value in systems_environment(stack, world.settings).items():
        monkeypatch.setenv(key, value)
    return world


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["reconcile", *arguments, "--json"])
    out, err = capsys.readouterr()
    assert out, err
    found: dict[str, Any] = json.loads(out)
    return code, found


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_systems_that_agree_are_equal(named: World, capsys: pytest.CaptureFixture[str], left: str, right: str) -> None:
    code, found = answer(capsys, "compare", left, right)
    assert (code, found["equal"], found["shown"]) == (0, True, [])
    assert found["left_orders"] == found["right_orders"] > 0
    assert all(total["equal"] for total in found["totals"])


def test_a_restored_copy_differs_by_what_it_lacks(
    named: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lacking = sorted(named.states)[0]
    files = "--csv", str(tmp_path / "cutover.csv"), "--html", str(tmp_path / "cutover.html")
    code, found = answer(capsys, "compare", "state", f"state:{PREFIX}", *files)
    assert (code, found["differing_orders"]) == (3, 1)
    with (tmp_path / "cutover.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    order = named.states[lacking].order
    assert order is not None
    assert [(row["order_id"], row["kind"], Decimal(row["amount"])) for row in rows] == [
        (lacking, "missing", order.payable_amount)
    ]
    assert (tmp_path / "cutover.totals.csv").exists()
    assert lacking in (tmp_path / "cutover.html").read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_named(named: World, capsys: pytest.CaptureFixture[str]) -> None:
    for right, told in (("crm", "'crm' is no system"), ("state:restore.nothing.", "restore.nothing.orders.state")):
        assert run(["reconcile", "compare", "erp", right]) == 2
        assert told in capsys.readouterr().err


def test_orders_are_consolidated_as_of_a_time(named: World, capsys: pytest.CaptureFixture[str]) -> None:
    state = next(one for one in named.states.values() if one.order is not None)
    order = state.order
    assert order is not None
    later = {"version": 9, "processed_at": NOW + timedelta(days=1), "order_status": "cancelled"}
    versions = [
        state.model_copy(update={"version": 8, "processed_at": NOW, "order_status": "placed"}),
        state.model_copy(update=later),
    ]
    codec = TopicCodec(ORDER_EVENTS, OrderEvent, named.registry)
    named.produce_all(
        ORDER_EVENTS,
        [
            (one.order_id, codec.encode(OrderEvent(event_type="OrderChanged", topic="x", captured_at=NOW, state=one)))
            for one in versions
        ],
    )
    wanted = "JPY" if order.document_currency_code != "JPY" else "CHF"
    arguments = "totals", "--currency", wanted, "--as-of", (NOW + timedelta(hours=1)).isoformat()
    code, found = answer(capsys, *arguments)
    assert (code, found["missing_rates"]) == (3, [order.document_currency_code])
    rate = FxRate(
        rate_key=f"{order.document_currency_code}:{wanted}:2026-11-20",
        base_currency_code=order.document_currency_code,
        quote_currency_code=wanted,
        rate_date=date(2026, 11, 20),
        rate=Decimal(2),
        provider="ECB",
        source=SourcePosition(system="finance", transaction_id=1, position=1, sequence=0),
        committed_at=NOW,
        captured_at=NOW,
    )
    named.produce(FX_RATES, {rate.rate_key: TopicCodec(FX_RATES, FxRate, named.registry).encode(rate)})
    code, found = answer(capsys, *arguments)
    assert (code, [total["order_status"] for total in found["totals"]]) == (0, ["placed"])
    assert Decimal(found["sum"]["payable_amount"]) == round(order.payable_amount * 2, 0 if wanted == "JPY" else 2)
    _, found = answer(capsys, "totals", "--as-of", (NOW + timedelta(days=2)).isoformat())
    assert [total["order_status"] for total in found["totals"]] == ["cancelled"]

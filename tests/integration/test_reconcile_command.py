"""`ordersync reconcile --repair` against real servers, where the policy asks for a second person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.audit.policy import VARIABLE
from deploy.cli import run
from deploy.local.endpoints import Endpoints
from tests.conftest import DatabaseFactory
from tests.integration.reconcile_watch import traded_world
from tests.integration.reconcile_world import World
from tests.integration.systems_environment import systems_environment

POLICY = """
version = "1"
identified_by = ["stated"]
people = { ada = "operator", eve = "viewer", grace = "finance" }
deeds.repair = { two_people = true, ask = ["operator"], approve = ["finance"] }
"""
NEEDS_APPROVAL, DIFFERS = 5, 3


@pytest.fixture(scope="module")
def world(stack: Endpoints, module_database_factory: DatabaseFactory) -> Iterator[World]:
    with traded_world(stack, module_database_factory, 20) as world:
        yield world


@pytest.fixture(autouse=True)
def environment(stack: Endpoints, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The world's systems, and the policy."""
    (tmp_path / "policy.toml").write_text(POLICY)
    told = systems_environment(stack, world.settings) | {VARIABLE: str(tmp_path / "policy.toml")}
    for key, value in told.items():
        monkeypatch.setenv(key, value)


def plant(world: World, order_id: str, amount: str = "0.01") -> None:
    """Somebody changes an order in the ERP by hand."""
    world.execute(
        world.settings.erp,
        f"UPDATE sales_order SET payable_amount = payable_amount + {amount} WHERE order_id = '{order_id}'",
    )


def payable(world: World, order_id: str) -> Decimal:
    with psycopg.connect(world.settings.erp.conninfo()) as connection:
        found = connection.execute("SELECT payable_amount FROM sales_order WHERE order_id = %s", (order_id,)).fetchone()
    assert found is not None
    return Decimal(found[0])


def repair(capsys: pytest.CaptureFixture[str], actor: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and what the command told; nothing where it stopped before it compared anything."""
    capsys.readouterr()
    who = ("--reason", "changed by hand", "--actor", actor)
    code = run(["reconcile", "--settle-seconds", "0", "--repair", "--json", *who, *arguments])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


def requests(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(["approvals", "list", "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_nothing_is_repaired_before_a_second_person_has_approved_exactly_that(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = sorted(world.states)[:2]
    right = {order_id: payable(world, order_id) for order_id in (first, second)}
    plant(world, first)
    assert repair(capsys, "eve")[0] not in (0, DIFFERS)
    assert requests(capsys) == []
    assert repair(capsys, "ada")[0] == NEEDS_APPROVAL
    [asked] = requests(capsys)
    assert (asked["kind"], asked["requester"], asked["state"]) == ("repair", "ada", "waits")
    assert first in asked["told"][0]
    assert payable(world, first) != right[first]

    decide = ["approvals", "approve", asked["request_id"], "--reason", "compared", "--actor"]
    assert [run([*decide, who]) for who in ("ada", "eve", "grace")] == [2, 2, 0]
    # One order more differs: that is not what was approved.
    plant(world, second)
    assert repair(capsys, "ada")[0] == NEEDS_APPROVAL
    assert (payable(world, first), payable(world, second)) != (right[first], right[second])

    code, told = repair(capsys, "ada", "--order", first)
    assert [(one["order_id"], one["done"]) for one in told["repairs"]] == [(first, True)]
    assert (code, payable(world, first)) == (DIFFERS, right[first])
    # An approval serves once.
    plant(world, first)
    assert repair(capsys, "ada", "--order", first)[0] == NEEDS_APPROVAL
    assert payable(world, first) != right[first]
    assert run(["audit", "verify"]) == 0


def test_a_dry_run_asks_nobody(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    order_id = sorted(world.states)[-1]
    plant(world, order_id)
    before = requests(capsys)
    capsys.readouterr()
    assert run(["reconcile", "--settle-seconds", "0", "--repair", "--dry-run", "--json"]) == DIFFERS
    told = json.loads(capsys.readouterr().out)
    assert order_id in {one["order_id"] for one in told["repairs"]}
    assert not any(one["done"] for one in told["repairs"])
    assert requests(capsys) == before

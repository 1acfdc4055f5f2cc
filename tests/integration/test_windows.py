"""A span of captured events processed again, on a real broker with a real stream worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import run
from deploy.local.endpoints import Endpoints
from schemas.attributes import OrderId
from schemas.topics import AUDIT, ORDER_EVENTS, REJECTED
from tests.integration.streams_harness import Scene, wait_until
from tests.unit.order_lives import Item, Life, customer, order, product

GROUP = "tests-windows"
LENIENT = """
tenant = "acme"
version = "1"
author = "ada"
approver = "grace"
approved_on = 2026-11-20
reason = "The shop rounds otherwise"

[[changes]]
rule = "order.payable_total"
enabled = false
reason = "The shop rounds otherwise"
"""


@pytest.fixture
def scene(fresh_topics: Endpoints, tmp_path: Path) -> Iterator[Scene]:
    """The topics, two master records and a worker."""
    made = Scene(fresh_topics, tmp_path, GROUP, fresh_topics.registry_url)
    try:
        made.master(customer("C1"), product("P1"))
        made.working()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def cluster(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in scene.stack.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORDERSYNC_GROUP", GROUP)


def window(capsys: pytest.CaptureFixture[str], since: datetime, *arguments: str, exit_code: int = 0) -> Any:
    """What `process window` says of everything since then."""
    capsys.readouterr()
    found = run(["process", "window", "--from", since.isoformat(), "--json", *arguments])
    said = capsys.readouterr()
    assert found == exit_code, said
    return json.loads(said.out)


def wrong(life: Life, note: str) -> Any:
    """An order whose total is wrong."""
    facts = order([Item("1", "P1", "2", "10")], order_id=life.order_id, note=note)
    return life.ordered(facts.model_copy(update={"payable_amount": facts.payable_amount + 1}))


def test_events_that_a_corrected_rule_would_accept_are_replayed_once(
    scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    since = datetime.now(UTC) - timedelta(seconds=1)
    names = ("right", "wrong", "overtaken", "hopeless", "waiting")
    right, mended, overtaken, hopeless, waiting = (Life(order_id=OrderId(f"crm:window-{name}")) for name in names)
    rejected, events, audits = scene.subscribe(REJECTED), scene.subscribe(ORDER_EVENTS), scene.subscribe(AUDIT)
    first = right.ordered(order([Item("1", "P1", "2", "10")], order_id=right.order_id))
    scene.capture(first, first, wrong(mended, "one"), wrong(mended, "two"), wrong(overtaken, "old"))
    scene.capture(overtaken.ordered(order([Item("1", "P1", "2", "10")], order_id=overtaken.order_id, note="new")))
    unknown = order([Item("1", "P1", "2", "10")], order_id=hopeless.order_id)
    scene.capture(hopeless.ordered(unknown.model_copy(update={"document_currency_code": "QQQ"})))
    scene.capture(waiting.ordered(order([Item("1", "P-none", "2", "10")], order_id=waiting.order_id)))
    worker = scene.workers[0]
    wait_until(
        lambda: sum(len(rejected.of(one.order_id)) for one in (mended, overtaken, hopeless)) == 4, 30, worker.log
    )
    wait_until(lambda: len(events.of(overtaken.order_id)) == 1, 30, worker.log)

    said = window(capsys, since, "--dry-run", exit_code=4)
    assert (said["events"], said["orders"]) == (8, 5)
    assert said["outcomes"] == {
        "accepted": 2,
        "no effect": 1,
        "parked": 1,
        "rejected": 4,
        "not processed yet": 0,
    }
    assert said["rules"]["order.payable_total"] == 3
    assert said["parked"] == [[waiting.order_id, ["waits for P-none on master.products"]]]
    assert (said["accepted_now"], said["overtaken"]) == ([], [overtaken.order_id])
    assert sorted(order_id for order_id, _ in said["rejected_again"]) == sorted(
        [mended.order_id, mended.order_id, hopeless.order_id]
    )

    rules = tmp_path / "rules.toml"
    rules.write_text(LENIENT)
    # Nobody works meanwhile: only the audit can tell that the events were replayed before.
    assert worker.terminated() == 0
    tried = window(capsys, since, "--dry-run", "--rules-file", str(rules), exit_code=4)
    assert tried["accepted_now"] == [mended.order_id] * 2 and tried["replayed"] == 0
    done = window(capsys, since, "--rules-file", str(rules), "--reason", "rule corrected", exit_code=4)
    assert done["replayed"] == 2
    again = window(capsys, since, "--rules-file", str(rules), "--reason", "rule corrected", exit_code=4)
    assert again["replayed"] == 0 and again["outcomes"]["not processed yet"] == 2
    scene.working(rules_file=str(rules))
    wait_until(lambda: len(events.of(mended.order_id)) == 2, 30, scene.workers[1].log)
    assert [event.state.order.note for event in events.of(mended.order_id)] == ["one", "two"]
    wait_until(lambda: len(audits.of(mended.order_id)) == 2, 10, "the audits")
    assert {audit.reason for audit in audits.of(mended.order_id)} == {"rule corrected"}
    last = window(capsys, since, "--rules-file", str(rules), "--reason", "rule corrected", exit_code=4)
    assert last["replayed"] == 0 and last["outcomes"]["rejected"] == 2
    assert sorted({order_id for order_id, _ in last["rejected"]}) == sorted([overtaken.order_id, hopeless.order_id])


def test_window_ends_before_what_came_later_and_tells_what_nobody_has_processed(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scene.workers[0].terminated() == 0
    since = datetime.now(UTC)
    life = Life(order_id=OrderId("crm:window-later"))
    scene.capture(life.ordered(order([Item("1", "P1", "2", "10")], order_id=life.order_id)))
    until = datetime.now(UTC) + timedelta(milliseconds=2)
    wait_until(lambda: datetime.now(UTC) > until + timedelta(milliseconds=2), 5, "the clock")
    scene.capture(life.ordered(None))
    said = window(capsys, since, "--to", until.isoformat(), "--dry-run")
    assert (said["events"], said["outcomes"]["not processed yet"]) == (1, 1)
    assert run(["process", "window", "--from", since.isoformat(), "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "2 captured events of 1 orders" in shown.out and "--until-done" in shown.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "2026-11-21", "--to", "2026-11-20", "--dry-run"], "exchange the times"),
        (["--from", "last night", "--dry-run"], "is no time"),
        (["--from", "2026-11-21"], "--reason"),
        (["--to", "2026-11-21"], "--from"),
    ],
)
def test_wrong_windows_are_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(["process", "window", *arguments]) == 2
    assert message in capsys.readouterr().err

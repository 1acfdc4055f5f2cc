"""Refused events that are mended and replayed, on a real broker and with a real stream worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from deploy.audit.policy import VARIABLE
from deploy.cli import run
from deploy.local.endpoints import Endpoints
from deploy.replaying import REPLAY_OF, REPLAY_REASON
from schemas.attributes import OrderId
from schemas.topics import AUDIT, ORDER_EVENTS, ORDERS_CAPTURED, REJECTED
from tests.integration.api_harness import Api, webhook
from tests.integration.conftest import LAYOUT
from tests.integration.streams_harness import Scene, Subscriber, wait_until
from tests.unit.order_lives import Item, Life, customer, order, product

POLICY = """
version = "1"
identified_by = ["stated"]
people = { ada = "operator", bob = "operator", eve = "viewer", grace = "finance" }
deeds.edited-replay = { two_people = true, ask = ["operator"], approve = ["finance", "admin"] }
deeds.rule-change = { two_people = true, ask = ["operator"], approve = ["finance"] }
"""
ITEMS = [Item("1", "P1", "3", "9.99")]


@pytest.fixture(scope="module")
def scene(fresh_topics: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One worker for all tests of the module."""
    made = Scene(fresh_topics, tmp_path_factory.mktemp("letters"), "tests-dead-letters", fresh_topics.registry_url)
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


def wrong(life: Life, note: str = "first") -> Any:
    """An order with a total that no rule lets pass."""
    facts = order(ITEMS, order_id=life.order_id, note=note)
    return life.ordered(facts.model_copy(update={"payable_amount": facts.payable_amount + 1}))


def letters(rejected: Subscriber, order_id: OrderId, count: int = 1) -> list[str]:
    """Ids of the dead letters about an order, once there are so many."""
    wait_until(lambda: len(rejected.of(order_id)) == count, 30, lambda: f"{rejected.seen}")
    return [letter.rejection_id for letter in rejected.of(order_id)]


def captured(scene: Scene, order_id: OrderId) -> list[dict[str, Any]]:
    """Headers of each captured record of an order."""
    consumer = Consumer(scene.stack.kafka().client_config(**{"group.id": "tests", "isolation.level": "read_committed"}))
    consumer.assign([TopicPartition(ORDERS_CAPTURED, n, OFFSET_BEGINNING) for n in range(LAYOUT.order_partitions)])
    parts = [TopicPartition(ORDERS_CAPTURED, number) for number in range(LAYOUT.order_partitions)]
    ends = [consumer.get_watermark_offsets(part, 10)[1] for part in parts]
    found: list[dict[str, Any]] = []

    def has_all() -> bool:
        messages = consumer.consume(100, 0.1)
        found.extend(dict(message.headers() or []) for message in messages if message.key() == order_id.encode())
        return all(end in (0, part.offset) for end, part in zip(ends, consumer.position(parts), strict=True))

    wait_until(has_all, 20, "all captured records")
    consumer.close()
    return found


def test_mended_event_becomes_a_version_and_mending_it_again_changes_nothing(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    life, rejected, events = (
        Life(order_id=OrderId("crm:mended")),
        scene.subscribe(REJECTED),
        scene.subscribe(ORDER_EVENTS),
    )
    audits = scene.subscribe(AUDIT)
    event = wrong(life)
    scene.capture(event)
    [letter] = letters(rejected, life.order_id)
    right = order(ITEMS, order_id=life.order_id).payable_amount
    mend = ["dead-letters", "edit", letter, "--set", f"order.payable_amount={right}", "--reason", "typo", "--json"]
    assert run([*mend, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "not replayed (dry run)"
    for expected in ("replayed", "was replayed before", "was replayed before"):
        assert run(mend) == 0
        assert json.loads(capsys.readouterr().out)["outcome"] == expected
    wait_until(lambda: len(events.of(life.order_id)) == 1, 30, scene.workers[0].log)
    # What comes after it in its partition is there, so nothing more can come of the replays.
    scene.capture(life.ordered(order(ITEMS, order_id=life.order_id, note="later")))
    wait_until(lambda: len(events.of(life.order_id)) == 2, 30, scene.workers[0].log)
    first, second = events.of(life.order_id)
    assert (first.state.version, second.state.version, second.state.order.note) == (1, 2, "later")
    assert first.state.event_id == event.event_id and first.state.order_source == event.source
    _, replayed, _ = captured(scene, life.order_id)
    assert (replayed[REPLAY_OF], replayed[REPLAY_REASON]) == (letter.encode(), b"typo")
    wait_until(lambda: bool(audits.of(life.order_id)), 10, "the audit")
    [audit] = audits.of(life.order_id)
    assert (audit.action, audit.reference, audit.reason) == ("DeadLetterMended", letter, "typo")
    assert len(audit.changes) == 1 and audit.changes[0].startswith("order.payable_amount: ")
    assert letters(rejected, life.order_id) == [letter]
    assert run(["dead-letters", "show", letter]) == 0
    assert [deed["audit_id"] for deed in json.loads(capsys.readouterr().out)["replays"]] == [audit.audit_id]


def test_edit_waits_for_a_second_person_serves_once_and_lets_nothing_else_through(
    scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "policy.toml"))
    life, rejected = Life(order_id=OrderId("crm:two")), scene.subscribe(REJECTED)
    audits = scene.subscribe(AUDIT)
    scene.capture(wrong(life))
    [letter] = letters(rejected, life.order_id)
    right = order(ITEMS, order_id=life.order_id).payable_amount
    as_ada = ["--reason", "typo", "--actor", "ada"]
    mend = ["dead-letters", "edit", letter, "--set", f"order.payable_amount={right}", *as_ada]

    def open_requests() -> list[dict[str, Any]]:
        capsys.readouterr()
        assert run(["approvals", "list", "--json"]) == 0
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        return found

    def decided(request: str, who: str, verb: str = "approve") -> int:
        return run(["approvals", verb, request, "--reason", "compared", "--actor", who])

    assert run(mend) == 5
    [asked] = open_requests()
    request = asked["request_id"]
    assert (asked["kind"], asked["requester"], asked["state"]) == ("edited-replay", "ada", "waits")
    assert letter in asked["told"][0]
    assert [decided(request, who) for who in ("ada", "grace")] == [2, 0]
    # Another edit of the same letter is another deed.
    assert run(["dead-letters", "edit", letter, "--set", "order.note=other", *as_ada]) == 5
    assert run(mend) == 0
    wait_until(lambda: bool(audits.of(life.order_id)), 30, "the audit")
    [deed] = audits.of(life.order_id)
    assert (deed.action, deed.actor, deed.approval_id) == ("DeadLetterMended", "ada", request)
    assert [one["state"] for one in open_requests()] == ["waits"]
    assert run(["audit", "verify"]) == 0


def test_file_of_rules_is_approved_by_its_content(
    scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "policy.toml"))
    rules = tmp_path / "rules.toml"
    rules.write_text("one")
    check = ["approvals", "check", "rule-change", str(rules)]
    assert run(check) == 5
    assert run(["approvals", "request", "rule-change", str(rules), "--reason", "new rule", "--actor", "ada"]) == 0
    request = capsys.readouterr().out.strip()
    assert [run(check), run(["approvals", "list"])] == [5, 0]
    assert f"{request} rule-change waits\n" in capsys.readouterr().out
    assert run(["approvals", "approve", request, "--reason", "read", "--actor", "grace"]) == 0
    assert run(check) == 0
    rules.write_text("two")
    assert run(check) == 5


def test_newer_image_that_was_accepted_since_wins_over_a_replay(scene: Scene) -> None:
    life, rejected, events = (
        Life(order_id=OrderId("crm:crossed")),
        scene.subscribe(REJECTED),
        scene.subscribe(ORDER_EVENTS),
    )
    scene.capture(wrong(life), life.ordered(order(ITEMS, order_id=life.order_id, note="newer")))
    [letter] = letters(rejected, life.order_id)
    wait_until(lambda: len(events.of(life.order_id)) == 1, 30, scene.workers[0].log)
    right = order(ITEMS, order_id=life.order_id).payable_amount
    settings = ["--set", f"order.payable_amount={right}", "--set", "order.note=older"]
    assert run(["dead-letters", "edit", letter, *settings, "--reason", "late"]) == 0
    scene.capture(life.ordered(order(ITEMS, order_id=life.order_id, note="newest")))
    wait_until(lambda: len(events.of(life.order_id)) == 2, 30, scene.workers[0].log)
    assert [event.state.order.note for event in events.of(life.order_id)] == ["newer", "newest"]


def test_replay_as_it_came_is_refused_again_until_what_it_needs_is_there(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    life, rejected = Life(order_id=OrderId("crm:again")), scene.subscribe(REJECTED)
    scene.capture(wrong(life))
    [letter] = letters(rejected, life.order_id)
    assert run(["dead-letters", "replay", letter, "--reason", "try"]) == 0
    first, second = letters(rejected, life.order_id, 2)
    assert first == letter != second
    capsys.readouterr()
    assert run(["dead-letters", "replay", letter, "--reason", "try again", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "was replayed before"
    assert run(["dead-letters", "replay", "none", "--reason", "x"]) == 2
    assert run(["dead-letters", "replay", letter]) == 2, "without a reason"


def test_a_webhook_that_no_mapping_read_becomes_an_order_once_the_mapping_is_mended(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rejected, events = scene.subscribe(REJECTED), scene.subscribe(ORDER_EVENTS)
    api = Api(scene, tmp_path / "api")
    body, headers = webhook("orders/create", id=77, financial_status="odd")
    answer = httpx.post(f"{api.url}/v1/shops/outlet/orders", content=body, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["status"]) == (200, "kept"), answer.text
    letter = answer.json()["rejection_id"]
    # It was durable before the answer.
    rejected.read_to_end()
    [kept] = [one for _, one in rejected.seen if one.rejection_id == letter]
    assert kept.original.value == body
    shops, replay = tmp_path / "api" / "shops.toml", ["dead-letters", "replay", letter, "--reason", "mapping mended"]
    assert run(replay) == 2 and "--shops FILE" in capsys.readouterr().err
    assert run([*replay, "--shops", str(shops)]) == 2 and "still cannot read" in capsys.readouterr().err
    built_in = Path(str(files("schemas.mapping") / "shops" / "shopify.toml")).read_text()
    (shops.parent / "mended.toml").write_text(built_in.replace("\npaid = ", '\nodd = "placed"\npaid = ', 1))
    shops.write_text(shops.read_text() + 'mapping = "mended.toml"\n')
    assert run([*replay, "--shops", str(shops)]) == 0
    wait_until(lambda: len(events.of(OrderId("outlet:77"))) == 1, 60, lambda: "the order is placed")
    assert run([*replay, "--shops", str(shops)]) == 0 and "was replayed before" in capsys.readouterr().out

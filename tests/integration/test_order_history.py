"""`ordersync orders show` on a real broker, with a real stream worker: everything that led to each version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from deploy.cli import run
from deploy.local.endpoints import Endpoints
from schemas.attributes import OrderId
from schemas.masking import MASK
from schemas.topics import AUDIT, ORDER_EVENTS, ORDERS_CAPTURED, PARKED, PAYMENTS_CAPTURED, REJECTED
from streams.rules.facts import Section
from streams.rules.ruleset import builtin_rules
from tests.integration.streams_harness import Scene, wait_until
from tests.unit.order_lives import Item, Life, customer, order, payment, product, shipment

ITEMS = [Item("1", "P1", "3", "9.99"), Item("2", "P-late", "1", "5")]
ID = OrderId("crm:history")


@pytest.fixture(scope="module")
def scene(fresh_topics: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A worker, and one order that was refused, waited, was placed, changed, shipped and paid."""
    made = Scene(fresh_topics, tmp_path_factory.mktemp("history"), "tests-history", fresh_topics.registry_url)
    life = Life(order_id=ID)
    try:
        made.master(customer("C1"), product("P1"))
        worker = made.working()
        rejected, parked, events = made.subscribe(REJECTED), made.subscribe(PARKED), made.subscribe(ORDER_EVENTS)
        facts = order(ITEMS, order_id=ID)
        made.capture(life.ordered(facts.model_copy(update={"payable_amount": facts.payable_amount + 1})))
        wait_until(lambda: len(rejected.of(ID)) == 1, 30, worker.log)
        first = life.ordered(order(ITEMS, order_id=ID, note="first"))
        made.capture(first)
        wait_until(lambda: len(parked.of(ID)) == 1, 30, worker.log)
        made.master(product("P-late"))
        wait_until(lambda: len(events.of(ID)) == 1, 30, worker.log)
        made.capture(first, life.ordered(order([ITEMS[0]._replace(quantity="4"), ITEMS[1]], order_id=ID)))
        made.capture(life.handled(shipment(1, {"1": "4"})), life.settled(payment(1, "10")))
        wait_until(lambda: len(events.of(ID)) == 4, 30, worker.log)
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def cluster(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in scene.stack.environment().items():
        monkeypatch.setenv(name, value)


def shown(capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    assert run(["orders", "show", ID, "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_version_tells_what_came_was_asked_was_taken_and_was_written(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    history = shown(capsys)
    placed, changed = history["versions"][:2]
    assert {one["event_type"] for one in history["versions"]} == {
        "OrderPlaced",
        "OrderChanged",
        "OrderShipped",
        "OrderPaid",
    }
    assert placed["captured"]["source"] == {"system": "crm", "transaction_id": 200, "position": 200, "sequence": 0}
    assert (placed["captured"]["topic"], placed["captured"]["operation"]) == (ORDERS_CAPTURED, "upserted")
    asked = [one.rule.code for one in builtin_rules().editions[0].by_section[Section.ORDER]]
    assert (placed["rules"]["asked"], placed["rules"]["version"]) == (asked, builtin_rules().version)
    origins = {(one["topic"], one["key"]): one for one in placed["origins"]}
    assert origins["master.customers", "C1"]["attributes"]["customer_name"] == MASK
    assert origins["master.products", "P-late"]["source"]["system"] == "inventory"
    assert placed["changes"] == []
    changes = {one["path"]: (one["before"], one["after"]) for one in changed["changes"]}
    assert [float(value) for value in changes["order.order_lines[1].quantity"]] == [3, 4]
    assert changes["order.note"] == ("first", None)
    [shipped] = [one for one in history["versions"] if one["event_type"] == "OrderShipped"]
    assert shipped["origins"] == [] and shipped["rules"]["section"] == "fulfilment.captured"
    assert {entry["order_version"] for entry in shipped["journal_entries"]} == {shipped["version"]}
    assert any(change["path"].startswith("fulfilment.shipments[S1]") for change in shipped["changes"])
    [paid] = [one for one in history["versions"] if one["event_type"] == "OrderPaid"]
    assert paid["captured"]["topic"] == PAYMENTS_CAPTURED and paid["journal_entries"]


def test_persons_are_shown_to_who_says_why_and_the_audit_has_it_first(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["orders", "show", ID]) == 0
    assert "Customer C1" not in capsys.readouterr().out
    assert run(["orders", "show", ID, "--unmasked"]) == 2
    assert "--reason" in capsys.readouterr().err
    why = f"asked by the customer {uuid4().hex}"
    assert "Customer C1" in json.dumps(shown(capsys, "--unmasked", "--reason", why))
    audits = scene.subscribe(AUDIT)
    audits.read_to_end()
    [seen] = [deed for deed in audits.of(ID) if deed.reason == why]
    assert (seen.action, seen.identified_by) == ("PersonalDataViewed", "system-user")


def test_what_made_no_version_is_told_with_its_reason(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    history = shown(capsys)
    [letter] = history["rejections"]
    assert [violation["rule"] for violation in letter["violations"]] == ["order.payable_total"]
    [period] = history["parked"]
    assert period["awaits"] == [{"topic": "master.products", "key": "P-late"}]
    assert period["until"] is not None
    [again] = history["without_version"]
    assert again["outcome"] == "no effect: the same event again"
    assert again["event_id"] == history["versions"][0]["captured"]["event_id"]


def test_replayed_event_is_told_where_it_came_again_with_who_did_it(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    life = Life(order_id=OrderId("crm:replayed"))
    rejected, events = scene.subscribe(REJECTED), scene.subscribe(ORDER_EVENTS)
    facts = order([ITEMS[0]], order_id=life.order_id)
    scene.capture(life.ordered(facts.model_copy(update={"payable_amount": facts.payable_amount + 1})))
    wait_until(lambda: len(rejected.of(life.order_id)) == 1, 30, scene.workers[0].log)
    [letter] = rejected.of(life.order_id)
    mend = f"order.payable_amount={facts.payable_amount}"
    assert run(["dead-letters", "edit", letter.rejection_id, "--set", mend, "--reason", "typo"]) == 0
    wait_until(lambda: len(events.of(life.order_id)) == 1, 30, scene.workers[0].log)
    capsys.readouterr()
    assert run(["orders", "show", life.order_id, "--json"]) == 0
    history = json.loads(capsys.readouterr().out)
    [version], [audit] = history["versions"], history["audits"]
    assert version["captured"]["offset"] > letter.original.offset
    assert (audit["action"], audit["reason"]) == ("DeadLetterMended", "typo")
    assert history["without_version"] == [] and len(history["rejections"]) == 1


def test_text_tells_the_same_to_people(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["orders", "show", ID]) == 0
    text = capsys.readouterr().out
    for expected in (
        "version 1  OrderPlaced",
        "by crm, transaction 200, position 200",
        "REJECTED",
        "order.payable_total",
        "PARKED",
        "P-late on master.products",
        "order.order_lines[1].quantity: 3 -> 4",
        "<- master.customers C1 (crm, transaction 1, position 1, no. 0)",
        "no effect: the same event again",
    ):
        assert expected in text, text


def test_one_version_and_one_moment(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    history = shown(capsys)
    [second] = shown(capsys, "--version", "2")["versions"]
    assert second == history["versions"][1]
    at = history["versions"][0]["state"]["processed_at"]
    then = shown(capsys, "--as-of", at)
    assert [version["version"] for version in then["versions"]] == [1]
    assert len(then["rejections"]) == 1
    before = history["rejections"][0]["rejected_at"]
    assert shown(capsys, "--as-of", before)["versions"] == []
    assert run(["orders", "show", ID, "--version", "1"]) == 0
    assert "order.order_lines[1].quantity = 3" in capsys.readouterr().out


def test_groups_that_have_read_a_version_are_named(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    from confluent_kafka import Consumer, TopicPartition

    versions = shown(capsys)["versions"]
    place = versions[1]["record"]
    reader = Consumer(scene.stack.kafka().client_config(**{"group.id": "tests-history-reader"}))
    reader.commit(offsets=[TopicPartition(place["topic"], place["partition"], place["offset"] + 1)], asynchronous=False)
    reader.close()
    passed = ["tests-history-reader" in version["passed_by"] for version in shown(capsys)["versions"]]
    assert passed == [True, True, False, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["crm:unknown"], "no topic tells of an order"),
        ([ID, "--version", "9"], "its versions are 1 to 4"),
        ([ID, "--version", "0"], "0 is not in the range"),
        ([ID, "--as-of", "yesterday"], "is no time"),
        ([ID, "--as-of", "1999-01-01"], "nothing was known"),
    ],
)
def test_wrong_questions_are_answered_with_what_to_do(
    scene: Scene, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert run(["orders", "show", *options]) == 2
    assert message in capsys.readouterr().err


def test_order_on_the_wrong_partition_is_found_everywhere(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    from confluent_kafka import Producer

    from deploy.partitioning import partition_of
    from tests.integration.conftest import LAYOUT

    astray = OrderId("crm:astray")
    producer = Producer(scene.stack.kafka().client_config())
    event = Life(order_id=astray, systems=("crm", "inventory", "finance")).ordered(order(ITEMS, order_id=astray))
    wrong = (partition_of(astray.encode(), LAYOUT.order_partitions) + 1) % LAYOUT.order_partitions
    producer.produce(ORDERS_CAPTURED, scene.codec(ORDERS_CAPTURED).encode(event), astray, partition=wrong)
    assert producer.flush(30) == 0
    assert run(["orders", "show", astray]) == 2
    assert "--everywhere" in capsys.readouterr().err
    assert run(["orders", "show", astray, "--everywhere"]) == 0
    assert event.source.system in capsys.readouterr().out
    assert event.committed_at - event.captured_at == timedelta()

"""Orders for other departments on secured servers: sealed, opened by who holds the keys, erased, and healed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from consumers.privacy.key_files import add_key, read_keys
from consumers.privacy.sealing import pseudonym
from deploy.cli import run
from deploy.commands.options import Cluster
from deploy.demo.landscape import privacy_files, worker_plan
from deploy.local.server import await_condition
from deploy.local.stack import EmbeddedStack
from deploy.topic_reading import RawRecord, read_raw
from deploy.topics import TopicLayout, apply_topics
from schemas.codec import TopicCodec
from schemas.masking import personal_values
from schemas.models import OrderEvent, PublishedOrder, SubjectKey
from schemas.registry import SchemaRegistry
from schemas.topics import ORDER_EVENTS, ORDER_STATE, PUBLISHED, SUBJECT_ERASURES, SUBJECT_KEYS
from tests.contract.sink_samples import order_event
from tests.integration.conftest import remove_topics
from tests.integration.security_probes import readable

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "deploy" / "guide" / "subscribe.py"
DEADLINE_SECONDS = 150.0


class Office:
    """A secured installation with a publisher, and a subscriber of another department."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self.home, self.endpoints = stack.home, stack.endpoints
        self.registry = SchemaRegistry(self.endpoints.registry())
        self.files = privacy_files(self.home)
        self._producer = Producer(self.endpoints.kafka().producer_config())
        [worker] = [one for one in worker_plan(self.home, self.endpoints) if one.name == "publisher"]
        self._environment = dict(worker.environment)

    def placed(self, *events: OrderEvent) -> None:
        codec = TopicCodec(ORDER_EVENTS, OrderEvent, self.registry)
        for one in events:
            self._producer.produce(ORDER_EVENTS, codec.encode(one), one.state.order_id.encode())
        assert self._producer.flush(30) == 0

    def publish(self) -> None:
        """All that is there: the worker as it is deployed, under its own rights, until it is done."""
        argv = [sys.executable, "-m", "deploy.cli", "worker", "publisher"]
        wanted = len(self.records(ORDER_EVENTS))
        with subprocess.Popen(argv, env=self._environment, cwd=ROOT) as worker:
            done = await_condition(
                lambda: worker.poll() is not None or len(self.records(PUBLISHED)) == wanted, DEADLINE_SECONDS
            )
            assert done and worker.poll() is None, worker.returncode
            worker.terminate()
            assert worker.wait(60) == 0

    def records(self, topic: str) -> list[RawRecord]:
        return list(read_raw(Cluster(self.endpoints.kafka(), self.endpoints.registry()), topic))

    def published(self) -> list[PublishedOrder]:
        codec = TopicCodec(PUBLISHED, PublishedOrder, self.registry)
        return [codec.decode(one.value or b"") for one in self.records(PUBLISHED)]

    def keys(self, subject: str) -> list[RawRecord]:
        """Those that a reader finds who follows the tombstones."""
        found = {one.key: one for one in self.records(SUBJECT_KEYS) if one.key.startswith(self.pseudonym(subject))}
        return [one for one in found.values() if one.value is not None]

    def pseudonym(self, subject: str) -> str:
        return pseudonym(read_keys(self.files.pseudonym_key)[0], subject)

    def write(self, topic: str, key: str, value: bytes | None) -> None:
        self._producer.produce(topic, value, key.encode(), partition=0)
        assert self._producer.flush(30) == 0

    def subscribed(self, *more: str) -> list[str]:
        """What the guide's program prints of everything."""
        addresses = (self.endpoints.bootstrap_servers, self.endpoints.registry_url)
        argv = [sys.executable, str(PROGRAM), *addresses, str(self.endpoints.security_directory), *more]
        # Each run is a group of its own, from the beginning.
        code = PROGRAM.read_text().replace("-my-program", f"-{os.urandom(6).hex()}")
        argv[1:2] = ["-c", code]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            lines = [program.stdout.readline() for _ in self.published()]
            program.kill()
        return lines

    def opened(self) -> list[dict[str, Any]]:
        """What it opens with the key-encryption keys, of each record."""
        lines = self.subscribed(str(self.files.encryption_keys))
        return [json.loads(line.split(maxsplit=4)[4]) for line in lines]

    def privacy(self, *arguments: str) -> int:
        return run(["privacy", arguments[0], "--home", str(self.home), *arguments[1:]])

    def on_disk(self, topic: str, content: bytes) -> list[str]:
        """Files of a topic's partition that hold these bytes."""
        files = (self.home / "kafka" / "data" / f"{topic}-0").iterdir()
        return [one.name for one in files if one.suffix == ".log" and content in _bytes(one)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        # Removed while we look.
        return b""


@pytest.fixture
def office(secured: EmbeddedStack) -> Iterator[Office]:
    """The session's secured stack with empty topics: what other tests wrote there is no order."""
    remove_topics(secured.endpoints)
    registry = SchemaRegistry(secured.endpoints.registry())
    apply_topics(secured.endpoints.kafka(), registry, TopicLayout(order_partitions=1))
    registry.close()
    office = Office(secured)
    yield office
    office.registry.close()


def test_other_departments_get_orders_and_nothing_personal(office: Office) -> None:
    events = [order_event(number, version) for version in (1, 2) for number in range(1, 40)]
    office.placed(*events)
    office.publish()
    assert [(one.state.order_id, one.state.version) for one in office.published()] == [  # type: ignore[attr-defined]
        (one.state.order_id, one.state.version) for one in events
    ]
    # The customer's country, which is not personal, is the same two letters.
    personal = {text.encode() for one in events for text in personal_values(one) if text != "DE"}
    assert len(personal) > 40
    for topic in (PUBLISHED, SUBJECT_KEYS):
        raw = [one.key.encode() + (one.value or b"") for one in office.records(topic)]
        assert raw and not [text for text in personal for one in raw if text in one]
    lines = office.subscribed()
    assert [line.split()[:2] for line in lines] == [[one.state.order_id, str(one.state.version)] for one in events]
    assert not [text for text in personal if text.decode() in "".join(lines)]


def test_the_broker_keeps_other_departments_from_what_is_plain_and_from_the_keys(office: Office) -> None:
    for principal, may in (
        ("subscriber", {PUBLISHED}),
        ("subscriber-personal", {PUBLISHED, SUBJECT_KEYS, SUBJECT_ERASURES}),
    ):
        found = readable(office.endpoints.kafka(principal))
        assert {topic for topic, is_read in found.items() if is_read} == may
        assert not found[ORDER_EVENTS] and not found[ORDER_STATE]


def test_who_holds_the_keys_opens_what_is_sealed_until_it_is_erased(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.placed(order_event(1), order_event(2))
    office.publish()
    [one, other] = office.opened()
    assert one["/state/order/delivery_name"] == "Erika Mustermann"
    assert one["/state/order/delivery_address"]["street_name"] == "Hauptstraße 1"
    assert one["/state/order/salesperson_id"] == "S-1"
    [key] = office.keys("customer:C-00001")
    assert key.value is not None and office.on_disk(SUBJECT_KEYS, key.value[-60:])

    assert office.privacy("erase", "customer:C-00001", "--reason", "asked for it, ticket 7") == 0
    assert "1 keys destroyed" in capsys.readouterr().out
    assert office.keys("customer:C-00001") == []
    # On all that was published before; who sold is somebody else, and so is the other customer.
    assert office.opened() == [{"/state/order/salesperson_id": "S-1"}, other]
    gone = lambda: not office.on_disk(SUBJECT_KEYS, (key.value or b"")[-60:])  # noqa: E731
    assert await_condition(gone, DEADLINE_SECONDS), "the destroyed key lies on the broker's disk"

    # A later version of the order brings the values again; they are not sealed for who was erased.
    office.placed(order_event(1, 4))
    office.publish()
    assert office.published()[-1].state.version == 4  # type: ignore[attr-defined]
    assert office.opened() == [{"/state/order/salesperson_id": "S-1"}, other, {"/state/order/salesperson_id": "S-1"}]
    assert office.privacy("verify") == 0
    assert office.privacy("erase", "customer:C-00001", "--reason", "again") == 0
    assert "was erased before" in capsys.readouterr().out
    assert office.privacy("readmit", "customer:C-00001", "--reason", "orders again, and agreed") == 0
    office.placed(order_event(1, 5))
    office.publish()
    assert [bool(found.get("/state/order/delivery_name")) for found in office.opened()] == [False, True, False, True]


_POLICY = """
version = "1"
identified_by = ["stated"]
[people]
ann = "operator"
joe = "admin"
[deeds.erasure]
two_people = true
ask = ["operator"]
approve = ["admin"]
"""


def test_an_erasure_waits_for_the_second_person_that_the_policy_wants(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "approvals.toml"
    policy.write_text(_POLICY)
    monkeypatch.setenv("ORDERSYNC_APPROVAL_POLICY", str(policy))
    office.placed(order_event(1))
    office.publish()
    deed = ("erase", "customer:C-00001", "--reason", "asked for it", "--actor", "ann")
    assert office.privacy(*deed) == 5
    assert office.records(SUBJECT_ERASURES) == [] and office.keys("customer:C-00001")
    capsys.readouterr()
    assert run(["approvals", "list", "--home", str(office.home), "--json"]) == 0
    [request] = json.loads(capsys.readouterr().out)
    assert request["kind"] == "erasure" and office.pseudonym("customer:C-00001") in request["told"][0]
    decided = ["approvals", "approve", request["request_id"], "--home", str(office.home), "--reason", "it is right"]
    assert run([*decided, "--actor", "ann"]) == 2
    assert run([*decided, "--actor", "joe"]) == 0
    assert office.privacy("erase", "customer:C-00002", *deed[2:]) == 5, "approved was somebody else's"
    assert office.privacy(*deed) == 0
    assert office.keys("customer:C-00001") == []


def test_a_destroyed_key_that_comes_back_opens_nothing_and_is_destroyed_again(office: Office) -> None:
    office.placed(order_event(1))
    office.publish()
    [key] = office.keys("customer:C-00001")
    assert office.privacy("erase", "customer:C-00001", "--reason", "asked for it") == 0
    # As a restored copy of the topic would.
    office.write(SUBJECT_KEYS, key.key, key.value)
    assert office.opened() == [{"/state/order/salesperson_id": "S-1"}]
    assert office.privacy("verify") == 3
    office.placed(order_event(2))
    office.publish()
    assert office.keys("customer:C-00001") == []
    assert office.privacy("verify") == 0


def test_an_erasure_that_was_lost_is_found_in_the_audit_and_done_again(office: Office) -> None:
    office.placed(order_event(1))
    office.publish()
    [key] = office.keys("customer:C-00001")
    assert office.privacy("erase", "customer:C-00001", "--reason", "asked for it") == 0
    admin = AdminClient(office.endpoints.kafka().client_config())
    for future in admin.delete_topics([SUBJECT_ERASURES], operation_timeout=30).values():
        future.result()
    gone = lambda: SUBJECT_ERASURES not in admin.list_topics(timeout=10).topics  # noqa: E731
    assert await_condition(gone, DEADLINE_SECONDS)
    apply_topics(office.endpoints.kafka(), office.registry, TopicLayout(order_partitions=1))
    office.write(SUBJECT_KEYS, key.key, key.value)
    assert office.privacy("verify") == 3
    assert office.privacy("verify", "--repair", "--reason", "restored from the backup") == 0
    assert office.privacy("verify") == 0
    assert office.keys("customer:C-00001") == []
    assert office.opened() == [{"/state/order/salesperson_id": "S-1"}]


def test_key_encryption_keys_are_changed_without_a_gap(office: Office) -> None:
    path = office.files.encryption_keys
    office.placed(order_event(1))
    office.publish()
    before = office.opened()
    assert add_key(path) == 2
    office.placed(order_event(2))
    office.publish()
    assert office.opened()[:1] == before
    assert office.privacy("rewrap", "--reason", "once a year") == 0
    path.write_text(path.read_text().splitlines()[0])
    assert office.opened()[:1] == before
    office.placed(order_event(3))
    office.publish()
    codec = TopicCodec(SUBJECT_KEYS, SubjectKey, office.registry)
    latest = {one.key: codec.decode(one.value) for one in office.records(SUBJECT_KEYS) if one.value is not None}
    assert len({one.wrapped_by for one in latest.values()}) == 1
    assert len(office.opened()) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("erase", "C-1", "--reason", "r"),
        ("erase", "customer:", "--reason", "r"),
        ("erase", "customer:C-1", "--reason", "  "),
        ("erase", "--reason", "r"),
        ("erase", "customer:C-1"),
        ("readmit", "customer:never", "--reason", "r"),
        ("show", "F" * 64),
    ],
)
def test_what_is_no_request_changes_nothing(office: Office, arguments: tuple[str, ...]) -> None:
    assert office.privacy(*arguments) == 2
    assert office.records(SUBJECT_ERASURES) == []

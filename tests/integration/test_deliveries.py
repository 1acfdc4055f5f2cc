"""Nightly files on a real broker with a real stream worker: delivered once, compared, corrected, killed, refused."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from deploy.cli import run
from deploy.local.endpoints import Endpoints
from schemas.topics import AUDIT, CUSTOMERS, DELIVERIES, ORDER_EVENTS, ORDER_STATE, ORDERS_CAPTURED, REJECTED
from tests.integration.conftest import LAYOUT
from tests.integration.outlet_files import MAPPING, Sale, write_customers, write_rows, write_sales
from tests.integration.streams_harness import Scene, wait_until
from tests.unit.order_lives import product

GROUP = "tests-deliveries"
NIGHT = datetime.now(UTC).replace(microsecond=0) - timedelta(days=9)


@pytest.fixture
def scene(fresh_topics: Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """The topics, and one product; a system of its own for each test."""
    made = Scene(fresh_topics, tmp_path, GROUP, fresh_topics.registry_url)
    for name, value in fresh_topics.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORDERSYNC_GROUP", GROUP)
    made.master(product("P1"))
    yield made
    made.close()


@pytest.fixture
def mapping(tmp_path: Path, topic_prefix: str) -> Path:
    """The guide's mapping for a system that no other test has."""
    system = topic_prefix.strip(".")
    path = tmp_path / "outlet.toml"
    path.write_text(MAPPING.read_text().replace("'outlet:'", f"'{system}:'").replace('"outlet"', f'"{system}"'))
    return path


class Night:
    """The files of one system, and the command that delivers them."""

    def __init__(self, directory: Path, mapping: Path, system: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory, self.mapping, self.system, self._capsys = directory, mapping, system, capsys

    def deliver(self, *arguments: str | Path, exit_code: int = 0) -> Any:
        """Deliver, and read what the command said."""
        self._capsys.readouterr()
        given = ["process", "files", "--mapping", self.mapping, "--json", "--wait", "40", *arguments]
        found = run([str(one) for one in given])
        said = self._capsys.readouterr()
        assert found == exit_code, said
        return json.loads(said.out) if said.out else said.err

    def id(self, number: str) -> str:
        """An order's id."""
        return f"{self.system}:{number}"


@pytest.fixture
def night(tmp_path: Path, mapping: Path, topic_prefix: str, capsys: pytest.CaptureFixture[str]) -> Night:
    return Night(tmp_path, mapping, topic_prefix.strip("."), capsys)


def offsets(scene: Scene) -> dict[str, int]:
    """How much the topics of deliveries hold, markers of transactions included."""
    consumer = Consumer(scene.stack.kafka().client_config(**{"group.id": "tests"}))
    found = {}
    for topic in (ORDERS_CAPTURED, CUSTOMERS, REJECTED, ORDER_EVENTS, DELIVERIES, AUDIT):
        numbers = consumer.list_topics(topic, 30).topics[topic].partitions
        found[topic] = sum(consumer.get_watermark_offsets(TopicPartition(topic, number), 30)[1] for number in numbers)
    consumer.close()
    return found


def captured(scene: Scene, system: str) -> list[tuple[str, bytes]]:
    """Key and value of each committed captured event of a system."""
    consumer = Consumer(scene.stack.kafka().client_config(**{"group.id": "tests", "isolation.level": "read_committed"}))
    parts = [TopicPartition(ORDERS_CAPTURED, number, OFFSET_BEGINNING) for number in range(LAYOUT.order_partitions)]
    consumer.assign(parts)
    ends = [consumer.get_watermark_offsets(part, 10)[1] for part in parts]
    found: list[tuple[str, bytes]] = []

    def has_all() -> bool:
        for message in consumer.consume(5_000, 0.1):
            key = (message.key() or b"").decode()
            if key.startswith(f"{system}:"):
                found.append((key, message.value() or b""))
        return all(end in (0, part.offset) for end, part in zip(ends, consumer.position(parts), strict=True))

    wait_until(has_all, 20, "all captured records")
    consumer.close()
    return found


def test_night_is_delivered_once_and_tells_what_became_of_it(scene: Scene, night: Night) -> None:
    worker = scene.working()
    customers = write_customers(night.directory / "customers-1.csv", ["7"], NIGHT)
    sales = [Sale("1"), Sale("2", [("P1", "1", "5"), ("P1", "3", "7.5")]), Sale("3", off_by="0.01")]
    sales += [Sale("4", [("P-unknown", "1", "1")]), Sale("5", status="odd")]
    files = [customers, write_sales(night.directory / "sales-1.csv", sales, NIGHT)]
    said = night.deliver(*files, exit_code=4)
    delivery = said["delivery"]
    assert (delivery["stated"], delivery["refused"], delivery["withdrawn"]) == (5, 1, 0)
    assert datetime.fromisoformat(delivery["as_of"]) == NIGHT
    assert {name: count for name, count in said["outcomes"].items() if count} == {
        "accepted": 2,
        "parked": 1,
        "rejected": 2,
    }
    assert said["rules"] == {"order.payable_total": 1, "mapping": 1}
    [[order_id, [reason]]] = said["refused_by_mapping"]
    assert order_id == night.id("5") and "'odd'" in reason
    assert said["parked"] == [[night.id("4"), ["waits for P-unknown on master.products"]]]
    events = scene.subscribe(ORDER_EVENTS)
    wait_until(lambda: len(events.of(night.id("2"))) == 1, 20, worker.log)
    [version] = events.of(night.id("2"))
    assert version.state.order.payable_amount == Decimal("32.73")
    assert [line.line_id for line in version.state.order.order_lines] == ["1", "2"]
    assert version.state.order_source.system == night.system and version.state.committed_at == NIGHT
    assert version.state.enrichment.customer_name == "Shop 7"
    before = offsets(scene)
    again = night.deliver(*files, exit_code=4)
    assert again["was_delivered_before"] and again["outcomes"] == said["outcomes"]
    assert offsets(scene) == before
    audits = scene.subscribe(AUDIT)
    wait_until(lambda: len(audits.of(night.system)) == 1, 10, "the audit")
    assert audits.of(night.system)[0].action == "FilesDelivered"


def test_full_delivery_deletes_what_it_lacks_and_keeps_what_it_refuses(scene: Scene, night: Night) -> None:
    worker = scene.working()
    write_customers(night.directory / "customers-1.csv", ["7"], NIGHT)
    write_sales(night.directory / "sales-1.csv", [Sale(str(n)) for n in range(1, 5)], NIGHT)
    night.deliver(night.directory / "customers-1.csv", night.directory / "sales-1.csv")
    later = NIGHT + timedelta(days=1)
    # 1 is unchanged, 2 changed, 3 cannot be read, 4 is gone.
    sales = [Sale("1"), Sale("2", remark="changed"), Sale("3", status="odd")]
    full = write_sales(night.directory / "sales-2.csv", sales, later)
    refused = night.deliver("--full", full, exit_code=2)
    assert f"1 of the 4 keys that {night.system} has on orders.captured" in refused and night.id("4") in refused
    tried = night.deliver("--full", "--dry-run", "--most-withdrawn", "25", full, exit_code=4)
    assert tried["withdrawn"] == [["orders.captured", night.id("4")]]
    assert tried["outcomes"] == {"accepted": 2, "no effect": 1}
    said = night.deliver("--full", "--most-withdrawn", "25", full, exit_code=4)
    assert said["delivery"]["withdrawn"] == 1
    assert {name: count for name, count in said["outcomes"].items() if count} == {
        "accepted": 2,
        "no effect": 1,
        "rejected": 1,
    }
    states = scene.subscribe(ORDER_STATE)
    wait_until(lambda: any(one.order_status == "deleted" for one in states.of(night.id("4"))), 20, worker.log)
    assert [one.order_status for one in states.of(night.id("3"))] == ["placed"]
    assert [one.version for one in states.of(night.id("2"))] == [1, 2]
    # A night in which nothing happened is the same delivery; what is gone is not withdrawn a second time.
    third = write_sales(night.directory / "sales-3.csv", sales, later + timedelta(days=1))
    assert night.deliver("--full", third, exit_code=4)["was_delivered_before"]
    fourth = write_sales(night.directory / "sales-4.csv", [*sales, Sale("5")], later + timedelta(days=2))
    assert night.deliver("--full", fourth, exit_code=4)["delivery"]["withdrawn"] == 0


def test_rows_that_belong_to_nobody_hold_back_every_deletion(scene: Scene, night: Night) -> None:
    scene.working()
    write_customers(night.directory / "customers-1.csv", ["7"], NIGHT)
    write_sales(night.directory / "sales-1.csv", [Sale("1"), Sale("2")], NIGHT)
    night.deliver(night.directory / "customers-1.csv", night.directory / "sales-1.csv")
    rows = [dict(row) for row in Sale("1").rows()] + [dict(row) | {"order_no": ""} for row in Sale("2").rows()]
    columns = list(rows[0])
    full = write_rows(night.directory / "sales-2.csv", columns, rows, NIGHT + timedelta(days=1))
    said = night.deliver("--full", full, exit_code=4)
    assert (said["delivery"]["withdrawn"], said["withheld"]) == (0, ["orders.captured"])
    assert {rule for _, reasons in said["refused_by_mapping"] for rule in reasons if "has no key" in rule}


def test_delivery_that_was_killed_goes_on_and_each_event_is_there_once(scene: Scene, night: Night) -> None:
    customers = write_customers(night.directory / "customers-1.csv", ["7"], NIGHT)
    sales = write_sales(night.directory / "sales-1.csv", [Sale(str(number)) for number in range(30_000)], NIGHT)
    command = [sys.executable, "-m", "deploy.cli", "process", "files", "--wait", "0", "--mapping", str(night.mapping)]
    command += [str(customers), str(sales)]
    deliveries = scene.subscribe(DELIVERIES)

    def noted() -> int:
        found = [one.stated for _, one in deliveries.poll() if one.system == night.system]
        return max(found, default=0)

    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: noted() > 0, 60, "the first part")
    killed.kill()
    killed.wait()
    assert 0 < noted() < 30_001
    # The copy of a file is the same delivery, whenever it was copied.
    os.utime(sales)
    said = night.deliver("--wait", "0", customers, sales)
    assert said["went_on"] and said["delivery"]["stated"] == 30_001
    assert datetime.fromisoformat(said["delivery"]["as_of"]) == NIGHT
    assert said["outcomes"]["not processed yet"] == 30_000
    found = captured(scene, night.system)
    assert len(found) == 30_000 == len({key for key, _ in found})
    codec = scene.codec(ORDERS_CAPTURED)
    events = [codec.decode(value) for _, value in found]
    assert len({event.event_id for event in events}) == 30_000
    assert {event.source.position for event in events} == {round(NIGHT.timestamp() * 1_000_000)}
    assert len({event.captured_at for event in events}) == 1, "whoever goes on writes the same events"


def test_changed_file_is_another_delivery_and_needs_a_later_time(scene: Scene, night: Night) -> None:
    worker = scene.working()
    customers = write_customers(night.directory / "customers-1.csv", ["7"], NIGHT)
    sales = write_sales(night.directory / "sales-1.csv", [Sale("1")], NIGHT)
    night.deliver(customers, sales)
    write_sales(sales, [Sale("1", remark="corrected")], NIGHT)
    assert "with a later --as-of" in night.deliver(customers, sales, exit_code=2)
    at = (NIGHT + timedelta(hours=1)).isoformat()
    said = night.deliver("--as-of", at, customers, sales)
    assert said["outcomes"]["accepted"] == 1
    events = scene.subscribe(ORDER_EVENTS)
    wait_until(lambda: len(events.of(night.id("1"))) == 2, 20, worker.log)
    assert events.of(night.id("1"))[1].state.order.note == "corrected"
    # What was said before may be said again, and then takes back what was said in between.
    write_sales(sales, [Sale("1")], NIGHT + timedelta(hours=2))
    assert night.deliver(customers, sales)["outcomes"]["accepted"] == 1
    wait_until(lambda: len(events.of(night.id("1"))) == 3, 20, worker.log)
    assert events.of(night.id("1"))[2].state.order.note is None
    # An older delivery that comes late changes nothing that a newer one has said; as a full one it is refused.
    late = write_sales(
        night.directory / "sales-0.csv", [Sale("1", remark="late"), Sale("2")], NIGHT - timedelta(days=1)
    )
    assert "deliver a newer" in night.deliver("--full", late, exit_code=2)
    outcomes = night.deliver(late)["outcomes"]
    assert (outcomes["accepted"], outcomes["no effect"]) == (1, 1)


def test_dry_run_says_what_would_become_of_it_and_writes_nothing(scene: Scene, night: Night) -> None:
    customers = write_customers(night.directory / "customers-1.csv", ["7"], NIGHT)
    sales = [Sale("1"), Sale("2", off_by="1"), Sale("3", customer="8"), Sale("4", status="odd")]
    file = write_sales(night.directory / "sales-1.csv", sales, NIGHT)
    before = offsets(scene)
    said = night.deliver("--dry-run", customers, file, exit_code=4)
    assert offsets(scene) == before
    assert said["stated"] == {"master.customers": 1, "orders.captured": 3}
    assert said["outcomes"] == {"accepted": 1, "parked": 1, "rejected": 1}
    assert said["rules"] == {"order.payable_total": 1}
    assert [order_id for order_id, _ in said["rejected"]] == [night.id("2")]
    assert said["parked"] == [[night.id("3"), [f"waits for {night.system}:8 on master.customers"]]]
    [[order_id, [reason]]] = said["refused"]
    assert order_id == night.id("4") and "'odd'" in reason


def test_compressed_files_and_text_for_people(scene: Scene, night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    scene.working()
    plain = [
        write_customers(night.directory / "customers-1.csv", ["7"], NIGHT),
        write_sales(night.directory / "sales-1.csv", [Sale("1"), Sale("2", off_by="1")], NIGHT),
    ]
    packed = []
    for path in plain:
        packed.append(path.with_suffix(".csv.gz"))
        with path.open("rb") as source, gzip.open(packed[-1], "wb") as target:
            shutil.copyfileobj(source, target)
    command = ["process", "files", "--mapping", str(night.mapping), *map(str, packed), "--wait", "40"]
    assert run(command) == 4
    text = capsys.readouterr().out
    assert "delivered: 3 facts stated, 0 refused by the mapping, 0 withdrawn" in text
    assert f"rejected {night.id('2')}: order.payable_total" in text
    assert run(command) == 4
    assert "was delivered before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sales-1.csv", b"", "no line with the columns' names"),
        ("sales-1.csv", b"order_no,line_no\n1,1\n", "has no column"),
        ("sales-1.csv", b"order_no,line_no\n1,1\n2\n", "line 3: 1 fields for 2 columns"),
        ("sales-1.csv", b'order_no,line_no\n1,"1\n', "line 2"),
        ("sales-1.csv", b"order_no,order_no\n", "a column has no name, or one that another has"),
        ("sales-1.csv", b"order_no\n\xff\xfe\n", "is not UTF-8"),
        ("sales-1.csv.gz", b"order_no\n", "cannot be read"),
        ("sales-1.xlsx", b"", "is of no table"),
        ("orders.csv", b"order_no\n", "their names there are sales-*.csv"),
    ],
)
def test_damaged_file_is_refused_before_anything_is_delivered(
    scene: Scene, night: Night, name: str, content: bytes, message: str
) -> None:
    path = night.directory / name
    path.write_bytes(content)
    before = offsets(scene)
    assert message in night.deliver(path, exit_code=2)
    assert offsets(scene) == before


def test_wrong_times_and_doubled_files_are_refused(scene: Scene, night: Night) -> None:
    sales = write_sales(night.directory / "sales-1.csv", [Sale("1")], NIGHT)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert "which is yet to come" in night.deliver("--as-of", tomorrow, sales, exit_code=2)
    assert "is no time" in night.deliver("--as-of", "soon", sales, exit_code=2)
    other = write_sales(night.directory / "sales-2.csv", [Sale("2")], NIGHT)
    assert "both of the table sale" in night.deliver(sales, other, exit_code=2)

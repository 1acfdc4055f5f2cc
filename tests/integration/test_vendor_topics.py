"""Each vendor reads its own topic on a secured broker: all that it is told, nothing of others, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers.registry import PARTNER_SINKS
from consumers.vendors.settings import VendorsSettings
from deploy.cli import run
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.attributes import VendorId
from schemas.codec import TopicCodec
from schemas.models import VendorUpdate
from schemas.settings import KafkaSettings
from schemas.topics import ORDER_EVENTS, REJECTED, VENDOR_UPDATES
from schemas.vendor_topics import vendor_principal, vendor_topic
from tests.contract.sink_workbench import Cluster, Sent, Worker, working
from tests.integration.security_probes import may_commit
from tests.integration.security_stack import secured_stack
from tests.unit.vendor_lives import line, version

pytestmark = pytest.mark.integration

FIRST, SECOND, LATER = VendorId("V-1"), VendorId("V-1.0 ä"), VendorId("V-10")
OWN = {vendor: vendor_topic(vendor) for vendor in (FIRST, SECOND, LATER)}
_HIDDEN = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)
_SECONDS = 60.0


@pytest.fixture(scope="module")
def secured() -> Iterator[EmbeddedStack]:
    """A stack of this file's own: what is written to it would be news to the tests of security."""
    with secured_stack() as stack:
        yield stack


def profiles(path: Path, *vendors: VendorId, more: str = "") -> None:
    """Write the vendors' file with topics for these."""
    text = "".join(f'[vendors."{vendor}"]\ntopic = true\n{more}' for vendor in vendors)
    replacement = path.with_suffix(".new")
    replacement.write_text(text or "[vendors]\n")
    replacement.rename(path)


@dataclass
class Feed:
    """The worker's settings, and what each vendor reads."""

    stack: EmbeddedStack
    vendors: Path
    settings: VendorsSettings
    cluster: Cluster
    number: int = field(default=0)

    @property
    def endpoints(self) -> Endpoints:
        return self.stack.endpoints

    def apply(self, *arguments: str) -> None:
        """As the operator does."""
        home = ("--home", str(self.stack.home))
        directory = str(self.stack.home / "security")
        assert run(["security", "users", directory, *home, "--vendors", str(self.vendors)]) == 0
        assert run(["topics", "apply", *home, "--partitions", "1", *arguments]) == 0

    def tell(self, *orders: int) -> None:
        """A version of each order with a line of every vendor."""
        codec = self.cluster.codec(ORDER_EVENTS)
        for order in orders:
            self.number += 1
            name = f"crm:{order}"
            event = version(self.number, [line(number, one, self.number) for number, one in enumerate(OWN, 1)])
            made = event.model_copy(update={"state": event.state.model_copy(update={"order_id": name})})
            self.cluster.produce([Sent(ORDER_EVENTS, name.encode(), codec.encode(made), 0)])

    def kafka(self, vendor: VendorId) -> KafkaSettings:
        """The cluster as the vendor reaches it."""
        return self.endpoints.kafka(vendor_principal(vendor).name)

    def told(self, vendor: VendorId) -> list[VendorUpdate]:
        """All that `vendors.updates` has for a vendor."""
        return [update for update in self.cluster.values(VENDOR_UPDATES) if update.vendor_id == vendor]

    def read(self, vendor: VendorId, topic: str) -> list[VendorUpdate]:
        """What the vendor reads of a topic, under its own name and group. Raises KafkaException where it may not."""
        codec: TopicCodec[VendorUpdate] = TopicCodec(topic, VendorUpdate, self.cluster.registry)
        group = f"{vendor_principal(vendor).name}.erp"
        settings = {"group.id": group, "isolation.level": "read_committed", "enable.partition.eof": True}
        settings |= {"fetch.wait.max.ms": 20}
        found: list[VendorUpdate] = []
        with closing(Consumer(self.kafka(vendor).client_config(**settings, log_level=0))) as consumer:
            error = consumer.list_topics(topic, timeout=_SECONDS).topics[topic].error
            if error is not None:
                raise KafkaException(error)
            consumer.assign([TopicPartition(topic, 0, 0)])
            while (message := consumer.poll(_SECONDS)) is not None:
                problem = message.error()
                if problem is None:
                    found.append(codec.decode(message.value() or b""))
                elif problem.code() == KafkaError._PARTITION_EOF:
                    # Its positions are its own to keep.
                    consumer.commit(offsets=[TopicPartition(topic, 0, len(found))], asynchronous=False)
                    return found
                else:
                    raise KafkaException(problem)
        raise AssertionError(f"{topic} gave nothing")

    def until_level(self, worker: Worker, *vendors: VendorId) -> None:
        """Wait until the topics of vendors have as much as they were told."""
        for vendor in vendors:
            worker.until(lambda vendor=vendor: self.shows(vendor), f"{vendor} reads all that it was told")

    def shows(self, vendor: VendorId) -> bool:
        shared = [one.model_copy(update={"delivery_name": None, "delivery_address": None}) for one in self.told(vendor)]
        return len(shared) > 0 and self.read(vendor, OWN[vendor].name) == shared


@pytest.fixture(scope="module")
def feed(secured: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    directory = tmp_path_factory.mktemp("topics")
    vendors = directory / "vendors.toml"
    endpoints = secured.endpoints
    settings = VendorsSettings(
        kafka=endpoints.kafka("vendors"),
        registry=endpoints.registry("vendors"),
        data_dir=directory,
        vendors=vendors,
        look_seconds=0.01,
        session_timeout_seconds=6,
    )
    with closing(Cluster(endpoints, "", {ORDER_EVENTS, VENDOR_UPDATES, REJECTED}, partitions=1)) as cluster:
        yield Feed(secured, vendors, settings, cluster)


def test_a_vendor_reads_its_own_topic_and_nothing_else(feed: Feed) -> None:
    profiles(feed.vendors, FIRST, SECOND)
    feed.apply("--vendors", str(feed.vendors))
    feed.tell(1, 2, 1)
    with working(PARTNER_SINKS["vendors"], feed.settings, feed.cluster) as worker:
        feed.until_level(worker, FIRST, SECOND)
        assert [one.sequence for one in feed.read(FIRST, OWN[FIRST].name)] == [1, 1, 2]
        assert {one.delivery_name for one in feed.told(FIRST)} != {None}, "there was something to hide"
    for vendor, topic in ((FIRST, OWN[SECOND].name), (SECOND, OWN[FIRST].name), (FIRST, VENDOR_UPDATES)):
        with pytest.raises(KafkaException) as denied:
            feed.read(vendor, topic)
        assert denied.value.args[0].code() in _HIDDEN
    for group in (f"{vendor_principal(LATER).name}.erp", vendor_principal(FIRST).name, "ordersync-vendors"):
        assert not may_commit(feed.kafka(FIRST), group)
    listed = AdminClient(feed.kafka(FIRST).client_config()).list_topics(timeout=_SECONDS).topics
    assert set(listed) == {OWN[FIRST].name}, "of other topics it does not even hear the names"


def test_a_vendor_that_is_added_later_reads_everything_from_the_start(feed: Feed) -> None:
    with working(PARTNER_SINKS["vendors"], feed.settings, feed.cluster) as worker:
        profiles(feed.vendors, FIRST, SECOND, LATER)
        feed.tell(3)
        feed.until_level(worker, FIRST, SECOND)
        assert OWN[LATER].name not in AdminClient(feed.endpoints.kafka().client_config()).list_topics().topics
        feed.apply("--vendors", str(feed.vendors))
        feed.tell(2)
        feed.until_level(worker, FIRST, SECOND, LATER)
        # A file that is broken for a moment takes nothing from anybody.
        feed.vendors.write_text("[vendors")
        feed.tell(1)
        feed.until_level(worker, FIRST, SECOND, LATER)
    profiles(feed.vendors, FIRST, SECOND, LATER)


def test_a_lost_file_and_a_topic_made_anew_lead_to_the_same_records(feed: Feed, tmp_path: Path) -> None:
    own = feed.settings.model_copy(update={"data_dir": tmp_path})
    # Another worker, that knows nothing, while the topic is behind.
    profiles(feed.vendors, SECOND)
    feed.tell(4)
    with working(PARTNER_SINKS["vendors"], feed.settings, feed.cluster) as worker:
        worker.until(lambda: len(feed.told(FIRST)) > len(feed.read(FIRST, OWN[FIRST].name)), "the first falls behind")
    profiles(feed.vendors, FIRST, SECOND, LATER)
    with working(PARTNER_SINKS["vendors"], own, feed.cluster) as worker:
        feed.until_level(worker, FIRST, SECOND, LATER)
    admin = AdminClient(feed.endpoints.kafka().client_config())
    admin.delete_topics([OWN[LATER].name])[OWN[LATER].name].result(_SECONDS)
    feed.apply("--vendors", str(feed.vendors))
    with working(PARTNER_SINKS["vendors"], own, feed.cluster) as worker:
        feed.until_level(worker, FIRST, SECOND, LATER)


def test_rights_stay_without_the_file_and_go_with_one_that_names_the_vendor_no_more(
    feed: Feed, capsys: pytest.CaptureFixture[str]
) -> None:
    feed.apply()
    assert feed.shows(FIRST)
    profiles(feed.vendors, SECOND, LATER)
    capsys.readouterr()
    drift = ["security", "drift", "--home", str(feed.stack.home)]
    assert run(drift) == 0
    assert run([*drift, "--vendors", str(feed.vendors)]) == 3
    assert f"{vendor_principal(FIRST).name}: read topic {OWN[FIRST].name}" in capsys.readouterr().out
    feed.apply("--vendors", str(feed.vendors))
    with pytest.raises(KafkaException):
        feed.read(FIRST, OWN[FIRST].name)
    assert feed.shows(SECOND)


def test_a_worker_without_the_file_writes_to_no_topic_of_a_vendor(feed: Feed) -> None:
    alone = feed.settings.model_copy(update={"vendors": None})
    before = len(feed.read(SECOND, OWN[SECOND].name))
    feed.tell(9)
    with working(PARTNER_SINKS["vendors"], alone, feed.cluster) as worker:
        worker.until(lambda: len(feed.told(SECOND)) > before, "the vendor is told")
    assert len(feed.read(SECOND, OWN[SECOND].name)) == before

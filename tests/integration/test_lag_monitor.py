"""The lag of consumer groups as the real broker tells it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event, Thread

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from prometheus_client import CollectorRegistry, generate_latest

from deploy.demo.patience import patiently
from deploy.local.endpoints import Endpoints
from deploy.telemetry.lag.metrics import LagMetrics
from deploy.telemetry.lag.monitor import LagMonitor
from deploy.telemetry.lag.report import GroupLag, GroupStanding, LagReport, Place
from deploy.telemetry.lag.trend import TrendSettings
from deploy.telemetry.lag.worker import LagSettings, LagWorker
from tests.integration.streams_harness import wait_until

LOOKS = 3
MARKER = 1
"""Offsets that the end of a transaction takes."""


class Flow:
    """One topic of one partition, one group that reads it, and a monitor."""

    def __init__(self, stack: Endpoints, prefix: str) -> None:
        self.kafka = stack.kafka()
        self.topic, self.group = f"{prefix}flow", f"{prefix}readers"
        self.admin = AdminClient(self.kafka.client_config())
        self.create()
        self.producer = Producer(self.kafka.client_config())
        self._committer = Consumer(self._reader())
        self._members: list[Consumer] = []
        # Groups of other tests are left out: only how long a look takes depends on them.
        others = rf"(?!{re.escape(prefix)}).*"
        self.monitor = LagMonitor(self.kafka, TrendSettings(looks=LOOKS, unread_seconds=60, ignored_groups=others))

    def create(self) -> None:
        self.admin.create_topics([NewTopic(self.topic, 1)])[self.topic].result()

    def delete(self) -> None:
        self.admin.delete_topics([self.topic], operation_timeout=30)[self.topic].result()

    def write(self, records: int, written_at: float | None = None) -> None:
        for _ in range(records):
            self.producer.produce(self.topic, b"x", partition=0, timestamp=int((written_at or time.time()) * 1000))
        assert self.producer.flush(60) == 0

    def write_in_transaction(self, records: int, *, abort: bool = False) -> None:
        producer = Producer(self.kafka.client_config(**{"transactional.id": f"{self.topic}-{abort}"}))
        producer.init_transactions(60)
        producer.begin_transaction()
        for _ in range(records):
            producer.produce(self.topic, b"x", partition=0)
        assert producer.flush(60) == 0  # an abort would drop what is not yet on the broker
        (producer.abort_transaction if abort else producer.commit_transaction)(60)

    def commit(self, offset: int) -> None:
        committer = self._members[0] if self._members else self._committer
        committer.commit(offsets=[TopicPartition(self.topic, 0, offset)], asynchronous=False)

    def join(self) -> None:
        """Somebody is in the group from now on, and reads nothing."""
        member = Consumer(self._reader())
        self._members.append(member)
        member.subscribe([self.topic])
        deadline = time.monotonic() + 60
        while not member.assignment():
            assert time.monotonic() < deadline, "the group did not take the member in"
            member.poll(0.1)
        member.pause(member.assignment())

    def report(self) -> LagReport:
        return patiently(self.monitor.look)

    def look(self) -> GroupLag:
        found = self.report().group(self.group)
        assert found is not None
        return found

    def close(self) -> None:
        for client in (*self._members, self._committer):
            client.close()
        self.monitor.close()

    def _reader(self) -> dict[str, object]:
        return self.kafka.client_config(**{"group.id": self.group, "enable.auto.commit": False})


@pytest.fixture
def flow(stack: Endpoints, topic_prefix: str) -> Iterator[Flow]:
    with closing(Flow(stack, topic_prefix)) as made:
        yield made


def standings(flow: Flow, between: Callable[[int], object] = lambda number: None) -> list[GroupStanding]:
    found = []
    for number in range(LOOKS):
        between(number)
        found.append(flow.look().standing)
    return found


def test_a_group_that_has_read_all_has_no_lag_however_long_nothing_comes(flow: Flow) -> None:
    flow.write(5, written_at=time.time() - 10_000)
    flow.commit(5)
    for _ in range(LOOKS + 1):
        seen = flow.look()
        assert (seen.lag_records, seen.lag_seconds, seen.standing) == (0, 0.0, GroupStanding.FINE)


def test_markers_and_aborted_records_are_no_lag(flow: Flow) -> None:
    flow.write_in_transaction(3)
    flow.commit(3)
    flow.write_in_transaction(4, abort=True)
    for _ in range(LOOKS + 1):
        seen = flow.look()
        assert seen.partitions[0].end == 3 + 1 + 4 + 1
        assert (seen.lag_records, seen.lag_seconds, seen.standing) == (0, 0.0, GroupStanding.FINE)
    flow.write(1)
    assert flow.look().lag_records == 1


def test_lag_is_the_age_of_the_next_unread_record(flow: Flow) -> None:
    now = time.time()
    flow.write(2, written_at=now - 500)
    flow.write(3, written_at=now - 120)
    flow.commit(2)
    report = flow.report()
    seen = report.group(flow.group)
    assert seen is not None and seen.lag_records == 3
    assert seen.lag_seconds == pytest.approx(report.observed_at.timestamp() - (now - 120), abs=0.01)
    flow.commit(5)
    assert flow.look().lag_seconds == 0


def test_lag_is_never_negative(flow: Flow) -> None:
    flow.write(2, written_at=time.time() + 3_600)
    flow.commit(0)
    seen = flow.look()
    assert (seen.lag_records, seen.lag_seconds) == (2, 0.0)
    flow.commit(500)
    assert (flow.look().lag_records, flow.look().lag_seconds) == (0, 0.0)


def test_stalled_has_members_that_do_not_move(flow: Flow) -> None:
    flow.write(5)
    flow.join()
    flow.commit(2)
    assert standings(flow) == [GroupStanding.FINE, GroupStanding.FINE, GroupStanding.STALLED]
    assert flow.look().members
    flow.commit(5)
    assert flow.look().standing is GroupStanding.FINE


def test_stopped_has_no_members(flow: Flow) -> None:
    flow.write(5)
    flow.commit(2)
    assert standings(flow) == [GroupStanding.FINE, GroupStanding.FINE, GroupStanding.STOPPED]
    assert not flow.look().members


def test_slow_moves_but_falls_back_and_then_catches_up(flow: Flow) -> None:
    then = time.time() - 60

    def fall_back(number: int) -> None:
        flow.write(3, written_at=then)
        flow.commit(number)

    assert standings(flow, fall_back) == [GroupStanding.FINE, GroupStanding.FINE, GroupStanding.SLOW]
    flow.commit(5)
    assert flow.look().standing is GroupStanding.FINE


def test_rewound_reads_a_second_time(flow: Flow) -> None:
    flow.write(5)
    flow.commit(5)
    assert flow.look().standing is GroupStanding.FINE
    flow.commit(1)
    assert flow.look().standing is GroupStanding.REWOUND
    flow.commit(5)
    found = standings(flow)
    assert found[0] is GroupStanding.REWOUND and found[-1] is GroupStanding.FINE


def test_a_transaction_that_does_not_end_is_told_though_it_is_no_lag(flow: Flow) -> None:
    flow.write(1)
    flow.commit(1)
    here = Place(flow.topic, 0)
    assert flow.report().open_transactions[here] == 0
    producer = Producer(flow.kafka.client_config(**{"transactional.id": flow.topic}))
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(flow.topic, b"x", partition=0)
    assert producer.flush(60) == 0
    began = time.monotonic()
    flow.report()
    seen = flow.report()
    assert 0 < seen.open_transactions[here] < time.monotonic() - began
    group = seen.group(flow.group)
    assert group is not None and group.lag_records == 0
    producer.commit_transaction(60)
    # The end moves a moment after the coordinator has answered.
    wait_until(lambda: flow.look().lag_records == 1 + MARKER, 60, "the record can be read")
    assert flow.report().open_transactions[here] == 0


def test_records_that_expired_unread_are_told(flow: Flow) -> None:
    flow.write(5)
    flow.commit(1)
    place = TopicPartition(flow.topic, 0, 4)
    flow.admin.delete_records([place])[place].result()
    (seen,) = flow.look().partitions
    assert (seen.expired_records, seen.lag_records) == (3, 1)


def test_a_deleted_topic_is_not_told_of(flow: Flow) -> None:
    flow.write(5)
    flow.commit(1)
    assert flow.look().lag_records == 4
    flow.delete()
    found = flow.report().group(flow.group)
    assert found is None or found.partitions == ()


def test_groups_at_different_places_of_one_partition(flow: Flow) -> None:
    now = time.time()
    for age in range(10):
        flow.write(1, written_at=now - 100 + age)
    others = [f"{flow.group}-{number}" for number in range(10)]
    for number, group in enumerate(others):
        with closing(Consumer(flow.kafka.client_config(**{"group.id": group}))) as reader:
            reader.commit(offsets=[TopicPartition(flow.topic, 0, number)], asynchronous=False)
    report = flow.report()
    for number, group in enumerate(others):
        seen = report.group(group)
        assert seen is not None and seen.lag_records == 10 - number
        assert seen.lag_seconds == pytest.approx(report.observed_at.timestamp() - (now - 100 + number), abs=0.01)


def test_ignored_groups_are_left_out(flow: Flow) -> None:
    flow.write(1)
    flow.commit(0)
    with closing(LagMonitor(flow.kafka, TrendSettings(ignored_groups=r".*readers"))) as monitor:
        assert patiently(monitor.look).group(flow.group) is None


def test_metrics_of_a_report_and_none_of_an_old_one(flow: Flow) -> None:
    registry = CollectorRegistry()
    shown = LagMetrics(registry, valid_seconds=3_600)
    labels = {"group": flow.group, "topic": flow.topic, "partition": "0"}
    assert registry.get_sample_value("ordersync_lag_observed_timestamp_seconds") == 0
    flow.write(3)
    flow.commit(3)
    shown.looked(flow.report())
    flow.commit(1)
    shown.looked(flow.report())
    shown.looked(flow.report())
    assert registry.get_sample_value("ordersync_consumer_lag_records", labels) == 2
    assert (registry.get_sample_value("ordersync_consumer_lag_seconds", labels) or 0) > 0
    for standing in GroupStanding:
        seen = registry.get_sample_value("ordersync_consumer_standing", {"group": flow.group, "standing": standing})
        assert seen == (standing is GroupStanding.REWOUND)
    assert registry.get_sample_value("ordersync_consumer_rewinds_total", {"group": flow.group}) == 1
    stale = CollectorRegistry()
    LagMetrics(stale, valid_seconds=0).looked(flow.report())
    assert "ordersync_consumer_lag" not in generate_latest(stale).decode()
    assert (stale.get_sample_value("ordersync_lag_observed_timestamp_seconds") or 0) > 1.7e9


def test_a_worker_that_has_not_looked_is_not_ready(flow: Flow) -> None:
    worker = LagWorker(LagSettings.load(kafka=flow.kafka), CollectorRegistry())
    assert not worker.ready()
    assert worker.health() == {"severity": "warning", "observed_at": None, "groups": []}


def test_a_worker_shows_what_it_has_seen_until_it_is_stopped(flow: Flow) -> None:
    flow.write(3)
    flow.commit(1)
    quick = TrendSettings(interval_seconds=0.05, looks=LOOKS, ignored_groups=rf"(?!{re.escape(flow.group)}).*")
    registry, stop = CollectorRegistry(), Event()
    worker = LagWorker(LagSettings.load(kafka=flow.kafka, lag=quick), registry)
    thread = Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        labels = {"group": flow.group, "standing": "stopped"}
        wait_until(lambda: registry.get_sample_value("ordersync_consumer_standing", labels) == 1, 60, "stopped")
        wait_until(worker.ready, 60, "ready")
        (shown,) = worker.health()["groups"]  # type: ignore[misc]
        assert (shown["group"], shown["standing"], shown["lag_records"]) == (flow.group, "stopped", 2)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()

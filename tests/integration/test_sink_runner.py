"""What the runner does with a sink that fails in every way, on a real cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers.registry import SinkDefinition
from consumers.settings import SinkSettings
from consumers.sink import Batch, Partition, Reading
from deploy.local.endpoints import Endpoints
from schemas.errors import Fatal, InvalidValue, PositionConflict, Transient
from schemas.topics import ORDER_EVENTS, REJECTED
from tests.contract.sink_workbench import DEADLINE_SECONDS, PARTITIONS, Cluster, Sent, Worker, working


class ListSink:
    """A destination in memory that keeps positions, and fails when told to."""

    name = "list"
    commits_group_offsets = False
    reads_ahead = True

    def __init__(self, topic: str) -> None:
        self.topics = (topic,)
        self.held: dict[Partition, int] = {}
        self.written: list[bytes] = []
        self.failures: list[Exception] = []
        self.fault: Exception | None = None
        self.outage: Transient | None = None
        self.refused: set[bytes] = set()
        self.prepared = 0
        self.closed = threading.Event()
        self.read_batches = 0
        self.gate: threading.Event | None = None

    def prepare(self) -> None:
        self.prepared += 1
        self._fail()

    def positions(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {one: self.held[one] for one in partitions if one in self.held}

    def read(self, messages: Sequence[Message]) -> Reading[bytes]:
        self.read_batches += 1
        return Reading([message.value() or b"" for message in messages])

    def write(self, batch: Batch[bytes]) -> None:
        if self.gate is not None:
            assert self.gate.wait(DEADLINE_SECONDS)
        self._fail()
        for fault in (self.fault, self.outage):
            if fault is not None:
                raise fault
        for partition, advance in batch.advances.items():
            if self.held.get(partition) != advance.expected:
                raise PositionConflict(f"{partition}: {self.held.get(partition)}, not {advance.expected}")
        if self.refused & set(batch.values):
            raise InvalidValue("refused", rule="test")
        self.written += batch.values
        self.held |= {partition: advance.reached for partition, advance in batch.advances.items()}

    def close(self) -> None:
        self.closed.set()

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


class Bench:
    """A list sink, its settings and its topic."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.sink = ListSink(cluster.prefix + ORDER_EVENTS)
        self.settings = SinkSettings(
            kafka=cluster.stack.kafka(),
            registry=cluster.stack.registry(),
            topic_prefix=cluster.prefix,
            group_id=f"{cluster.prefix}list",
            retry_limit_seconds=0.2,
        )
        self.definition: SinkDefinition[Any] = SinkDefinition("list", SinkSettings, lambda *_: self.sink)

    def produce(self, *values: bytes) -> None:
        self.cluster.produce(Sent(ORDER_EVENTS, b"k", value, 0) for value in values)

    def worker(self) -> Worker:
        return Worker(self.definition, self.settings, self.cluster)


@pytest.fixture
def bench(stack: Endpoints, topic_prefix: str) -> Iterator[Bench]:
    with closing(Cluster(stack, topic_prefix, (ORDER_EVENTS, REJECTED))) as cluster:
        yield Bench(cluster)


def working_on(bench: Bench) -> Any:
    return working(bench.definition, bench.settings, bench.cluster)


def test_transient_faults_repeat_the_same_batch(bench: Bench) -> None:
    bench.sink.failures = [Transient("away", retry_after_seconds=0.01) for _ in range(5)]
    bench.produce(b"1", b"2", b"3")
    with working_on(bench) as worker:
        worker.until_count("written", 3)
    assert bench.sink.written == [b"1", b"2", b"3"]
    assert bench.sink.prepared > 1
    assert bench.cluster.values(REJECTED) == []


def test_the_next_batch_is_read_while_one_is_written(bench: Bench) -> None:
    bench.settings = bench.settings.model_copy(update={"batch_size": 2})
    bench.sink.gate = threading.Event()
    bench.produce(*(b"%d" % number for number in range(6)))
    with working_on(bench) as worker:
        worker.until(lambda: bench.sink.read_batches == 2, "a second batch is read")
        assert bench.sink.written == []
        bench.sink.gate.set()
        worker.until_count("written", 6)
    assert bench.sink.written == [b"%d" % number for number in range(6)]


def test_a_fault_of_the_batch_before_keeps_the_order_of_what_was_read_ahead(bench: Bench) -> None:
    bench.settings = bench.settings.model_copy(update={"batch_size": 2})
    bench.sink.gate = threading.Event()
    bench.sink.refused = {b"1"}
    bench.produce(*(b"%d" % number for number in range(6)))
    with working_on(bench) as worker:
        worker.until(lambda: bench.sink.read_batches == 2, "a second batch is read")
        bench.sink.failures = [Transient("away", retry_after_seconds=0.01) for _ in range(3)]
        bench.sink.gate.set()
        worker.until(lambda: worker.count("written") + worker.count("refused") == 6, "all are handled")
    assert bench.sink.written == [b"0", b"2", b"3", b"4", b"5"]


def test_partitions_are_given_away_when_the_batch_in_hand_is_written(bench: Bench) -> None:
    bench.sink.gate = threading.Event()
    bench.cluster.produce(Sent(ORDER_EVENTS, b"k", b"%d" % number, number % PARTITIONS) for number in range(30))
    with working_on(bench) as first:
        first.until(lambda: bench.sink.read_batches > 0, "the first has a batch in hand")
        with working_on(bench) as second:
            first.until(lambda: members(bench) == 2, "the second asks for its partitions")
            assert not second.ready()
            bench.sink.gate.set()
            second.until(second.ready, "the second has them")
            first.until(lambda: len(bench.sink.written) >= 30, "all are written")
    assert sorted(map(int, bench.sink.written)) == list(range(30))


def test_what_is_in_hand_is_written_before_the_worker_stops(bench: Bench) -> None:
    bench.sink.gate = threading.Event()
    bench.produce(b"1")
    worker = bench.worker().start()
    worker.until(lambda: bench.sink.read_batches > 0, "it is in hand")
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    bench.sink.gate.set()
    stopping.join()
    assert bench.sink.written == [b"1"]
    assert worker.failure is None


def test_a_rebalance_while_a_batch_waits_leaves_no_partition_behind(bench: Bench) -> None:
    bench.sink.outage = Transient("away", retry_after_seconds=0.01)
    bench.cluster.produce(Sent(ORDER_EVENTS, b"k", b"%d" % number, number % PARTITIONS) for number in range(30))
    with working_on(bench) as first:
        first.until(lambda: first.count("retried") > 0, "the first waits with all partitions")
        with working_on(bench) as second:
            second.until(lambda: second.count("retried") > 0, "the second waits with some of them")
            bench.sink.outage = None
            first.until(lambda: len(bench.sink.written) >= 30, "all are written")
    assert sorted(map(int, bench.sink.written)) == list(range(30))


def test_an_unknown_fault_stops_the_worker_with_nothing_committed(bench: Bench) -> None:
    bench.produce(b"1")
    bench.sink.fault = ZeroDivisionError("a fault of the program")
    worker = bench.worker()
    assert worker.start().ended() is bench.sink.fault
    assert bench.sink.closed.is_set()
    assert not worker.ready()
    assert group_offset(bench) is None
    bench.sink.fault = None
    with working_on(bench) as second:
        second.until(lambda: bench.sink.written == [b"1"], "written by the next worker")


def test_refused_values_are_found_and_the_rest_is_written_in_order(bench: Bench) -> None:
    values = [b"%d" % number for number in range(100)]
    bench.sink.refused = {b"0", b"41", b"42", b"99"}
    bench.produce(*values)
    with working_on(bench) as worker:
        worker.until(lambda: worker.count("written") + worker.count("refused") == 100, "all are handled")
    assert bench.sink.written == [value for value in values if value not in bench.sink.refused]
    rejections = bench.cluster.values(REJECTED)
    assert [one.original.value for one in rejections] == [b"0", b"41", b"42", b"99"]
    assert {(one.stage, one.violations[0].rule) for one in rejections} == {("list", "test")}
    assert worker.metrics.get_sample_value("ordersync_dead_letters_total", {"rule": "test"}) == 4


def test_the_destination_decides_where_to_start_not_kafka(bench: Bench) -> None:
    partition = Partition(bench.sink.topics[0], 0)
    bench.produce(b"1", b"2", b"3")
    with working_on(bench) as worker:
        worker.until_count("written", 3)
        worker.until(lambda: group_offset(bench) == 3, "lag tools are told")
    # The destination was restored from an older copy.
    bench.sink.held[partition] = 1
    bench.sink.written = [b"1"]
    with working_on(bench) as worker:
        worker.until(lambda: bench.sink.written == [b"1", b"2", b"3"], "the gap is filled")


def test_positions_that_moved_are_read_again(bench: Bench) -> None:
    partition = Partition(bench.sink.topics[0], 0)
    bench.produce(b"1")
    with working_on(bench) as worker:
        worker.until(lambda: bench.sink.written == [b"1"], "written")
        bench.sink.held[partition] = 2
        bench.produce(b"skipped", b"3")
        worker.until(lambda: bench.sink.written == [b"1", b"3"], "goes on from where the destination stands")


def test_a_position_that_the_log_does_not_have_stops_the_worker(bench: Bench) -> None:
    bench.produce(b"1")
    bench.sink.held[Partition(bench.sink.topics[0], 0)] = 500
    failure = bench.worker().start().ended()
    assert isinstance(failure, Fatal)
    assert "does not have offset 500" in str(failure)
    assert bench.sink.written == []


def test_completeness_is_shown(bench: Bench) -> None:
    bench.produce(b"1", b"2")
    with working_on(bench) as worker:
        through = "ordersync_complete_through_timestamp_seconds", {"sink": "list"}
        worker.until(lambda: (worker.metrics.get_sample_value(*through) or 0) > 1.7e9, "complete through now")
        seen = worker.metrics.get_sample_value(*through) or 0
        worker.until(lambda: (worker.metrics.get_sample_value(*through) or 0) > seen, "it goes on without records")


def group_offset(bench: Bench) -> int | None:
    config = bench.settings.kafka.client_config(**{"group.id": bench.settings.group_id})
    with closing(Consumer(config)) as consumer:
        (found,) = consumer.committed([TopicPartition(bench.sink.topics[0], 0)], timeout=20)
    return found.offset if found.offset >= 0 else None


def members(bench: Bench) -> int:
    """Workers in the group, those included that wait for it to be balanced anew."""
    admin = AdminClient(bench.cluster.stack.kafka().client_config())
    described = admin.describe_consumer_groups([bench.settings.group_id])[bench.settings.group_id].result()
    return len(described.members)

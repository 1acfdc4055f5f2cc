"""State of the stream worker: recovery from the topic and from the local checkpoint, memory, and cost of one order."""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psutil
from confluent_kafka import Producer

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.attributes import OrderId
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings
from schemas.topics import ORDER_STATE
from streams.processing.keyvalues import KeyValues, MemoryKeyValues
from streams.processing.rocks import RocksKeyValues, StorePlace
from streams.processing.store import StoreView, WorkerState
from streams.settings import StateStore
from tests.benchmarks.report import Figure, publish
from tests.benchmarks.state_load import order_key, state_of, templates
from tests.benchmarks.stream_load import prepare
from tests.unit.processing_desk import codecs

KEYS_PER_SECOND_GOAL = 200_000
CHECKPOINT_SECONDS_GOAL = 5
MEMORY_GOAL_MIB = 600
_LOADED = re.compile(r"loaded the state of \d+ partitions: (\d+) records read in ([\d.]+) s")
_COMMIT_ORDERS = 1_000
_START_SECONDS = 600


def main() -> None:
    """Print the table and write `build/bench/state.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000, help="orders of state; the goals are for 5,000,000")
    parser.add_argument("--touched", type=int, default=200_000, help="orders made and changed to find the cost of one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as home:
        Path(home).chmod(0o711)
        costs = [_cost(store, arguments.touched, Path(home)) for store in StateStore]
        with EmbeddedStack(Path(home) / "stack") as stack:
            figures = _recoveries(stack.endpoints, arguments.orders, Path(home) / "worker")
    publish("state", [*figures, *(figure for both in costs for figure in both)])


def _recoveries(endpoints: Endpoints, orders: int, home: Path) -> list[Figure]:
    with closing(SchemaRegistry(endpoints.registry())) as registry:
        prepare(endpoints.kafka(), registry, 0)
    _fill(endpoints.kafka(), orders)
    read, topic_seconds, topic_mib = _started(endpoints, home, StateStore.ROCKSDB)
    assert read >= orders, f"{read} of {orders} orders were read"
    again, disk_seconds, disk_mib = _started(endpoints, home, StateStore.ROCKSDB)
    assert again == 0, f"{again} records were read although the checkpoint was at the end"
    of_state = f"with {orders:,} orders"
    figures = [
        Figure("keys recovered from the topic", read / topic_seconds, "1/s", KEYS_PER_SECOND_GOAL),
        Figure(f"recovery from the topic {of_state}", topic_seconds, "s"),
        Figure(f"recovery from the checkpoint {of_state}", disk_seconds, "s", CHECKPOINT_SECONDS_GOAL, is_cost=True),
        Figure("resident memory after recovery from the topic", topic_mib, "MiB", MEMORY_GOAL_MIB, is_cost=True),
        Figure("resident memory after recovery from the checkpoint", disk_mib, "MiB", MEMORY_GOAL_MIB, is_cost=True),
        Figure("local state on disk", _bytes_below(home) / 2**20, "MiB"),
    ]
    if orders <= 1_000_000:
        _, seconds, mib = _started(endpoints, home, StateStore.MEMORY)
        figures.append(Figure(f"recovery into memory {of_state}", seconds, "s"))
        figures.append(Figure("resident memory with state_store=memory", mib, "MiB"))
    return figures


def _fill(kafka: KafkaSettings, orders: int) -> None:
    """Write the state of so many orders as the stream worker does."""
    known = templates()
    producer = Producer(kafka.producer_config(**{"linger.ms": 50, "queue.buffering.max.messages": 500_000}))
    for number in range(orders):
        key = order_key(number)
        while True:
            try:
                producer.produce(ORDER_STATE, state_of(number, known), key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(300) == 0


def _started(endpoints: Endpoints, home: Path, store: StateStore) -> tuple[int, float, float]:
    """Records read and seconds of a worker's recovery, as its log tells them, and its resident MiB then."""
    environment = {
        **os.environ,
        **endpoints.environment(),
        "ORDERSYNC_DATA_DIR": str(home),
        "ORDERSYNC_STATE_STORE": store,
    }
    home.mkdir(exist_ok=True)
    log = home / "worker.log"
    with log.open("wb") as output:
        argv = [sys.executable, "-m", "deploy.cli", "worker", "streams"]
        worker = subprocess.Popen(argv, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while (told := _LOADED.search(log.read_text())) is None:
            if worker.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the worker did not come to life: {log.read_text()[-3_000:]}")
            time.sleep(0.1)
        return int(told[1]), float(told[2]), psutil.Process(worker.pid).memory_info().rss / 2**20
    finally:
        worker.terminate()
        worker.wait(60)


def _cost(store: StateStore, orders: int, home: Path) -> list[Figure]:
    """Process time of one order: looked up, put, committed; first as new ones, then changed at random."""
    values: KeyValues = MemoryKeyValues() if store is StateStore.MEMORY else RocksKeyValues(StorePlace(home / "cost"))
    worker, known, chance = WorkerState(values, codecs().parked), templates(), random.Random(5)
    worker.open(0)
    messages = [(OrderId(order_key(number).decode()), state_of(number, known)) for number in range(orders)]
    new = _process_seconds(worker, messages) / orders
    chance.shuffle(messages)
    changed = _process_seconds(worker, messages) / orders
    values.close()
    return [
        Figure(f"{store}: process time of a new order's state", new * 1e6, "µs"),
        Figure(f"{store}: process time of a changed order's state", changed * 1e6, "µs"),
    ]


def _process_seconds(worker: WorkerState, messages: list[tuple[OrderId, bytes]]) -> float:
    store, started = worker.partitions[0], time.process_time()
    for first in range(0, len(messages), _COMMIT_ORDERS):
        view = StoreView(store)
        for order_id, message in messages[first : first + _COMMIT_ORDERS]:
            view.state(order_id)
            view.put_state(order_id, message)
        view.apply()
        worker.committed({})
    worker.values.flush()
    return time.process_time() - started


def _bytes_below(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*.sst"))


if __name__ == "__main__":
    main()

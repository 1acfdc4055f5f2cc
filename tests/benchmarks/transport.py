"""How many records a second one worker process passes: consume, trivial handler, produce."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.settings import KafkaSettings, WorkerSettings
from streams.transport import Delivery, TransportOptions, batch_topic, batches, new_app, output_of, run_worker
from tests.benchmarks.report import Figure, publish

PARTITIONS = 6


def work() -> int:
    """The measured process."""
    settings = json.loads(os.environ["BENCH"])
    options = TransportOptions(delivery=Delivery(settings["delivery"]), max_batch_records=settings["batch"])
    app = new_app(settings["group"], WorkerSettings.load().kafka, options)

    @app.agent(batch_topic(app, settings["input"]))
    async def copy(stream):  # type: ignore[no-untyped-def]
        output = output_of(app)
        async for batch in batches(stream):
            async with output.ours(batch) as ours:
                if ours:
                    copies = [(settings["output"], record.key, record.value) for record in batch.records]
                    output.produce_many(copies, batch.partition)

    return run_worker(app, log_level="WARNING")


def fill(kafka: KafkaSettings, topic: str, records: int, size: int) -> None:
    """Write the input."""
    producer = Producer(kafka.producer_config(**{"linger.ms": 50}))
    # Half of each body is random and unlike its neighbours', so that lz4 finds what it finds in real orders.
    bodies = [os.urandom(size // 2) + b"x" * (size - size // 2) for _ in range(2_000)]
    for number in range(records):
        while True:
            try:
                producer.produce(
                    topic, bodies[number % len(bodies)], str(number).encode(), partition=number % PARTITIONS
                )
                break
            except BufferError:
                producer.poll(0.1)
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


def committed(kafka: KafkaSettings, group: str, topic: str) -> Iterator[tuple[float, int]]:
    """Time and committed records, again and again."""
    observer = Consumer(kafka.client_config(**{"group.id": group, "isolation.level": "read_committed"}))
    asked = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    while True:
        yield time.monotonic(), sum(max(part.offset, 0) for part in observer.committed(asked, timeout=10))
        time.sleep(0.1)


def measure(stack: Endpoints, delivery: Delivery, records: int, batch: int, size: int) -> tuple[float, float]:
    """Records a second between the first and the last commit, and the memory at the end."""
    tag = uuid.uuid4().hex[:8]
    names = {"input": f"bench.{tag}.in", "output": f"bench.{tag}.out"}
    kafka = stack.kafka()
    admin = AdminClient(kafka.client_config())
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names.values()]).values():
        future.result(30)
    fill(kafka, names["input"], records, size)
    settings = {**names, "delivery": delivery.value, "batch": batch, "group": f"bench.{tag}"}
    environment = {**os.environ, **stack.environment(), "BENCH": json.dumps(settings)}
    worker = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.transport", "--worker"], env=environment)
    try:
        points = [(0.0, 0)]
        for point in committed(kafka, f"bench.{tag}", names["input"]):
            if point[1] > 0 and (len(points) == 1 or point[1] > points[-1][1]):
                points.append(point)
            # A transaction marker ends each partition of the output, not of the input.
            if point[1] >= records:
                break
            assert worker.poll() is None, "the worker ended"
        resident = psutil.Process(worker.pid).memory_info().rss // 2**20
    finally:
        worker.terminate()
        worker.wait(20)
    (first_at, first), (last_at, last) = points[1], points[-1]
    rate = (last - first) / (last_at - first_at)
    return rate, resident


def main() -> int:
    """Print the table and write `build/bench/transport.json`; `--worker` is the measured process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--records", type=int, default=400_000, help="records of the input")
    parser.add_argument("--batch", type=int, default=1_000, help="most records of one batch")
    parser.add_argument("--bytes", type=int, default=600, help="size of a record")
    arguments = parser.parse_args()
    if arguments.worker:
        return work()
    with contextlib.ExitStack() as closing:
        home = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="ordersync-bench-")))
        home.chmod(0o711)
        stack = closing.enter_context(EmbeddedStack(home / "stack")).endpoints
        found = [measure(stack, way, arguments.records, arguments.batch, arguments.bytes) for way in Delivery]
    figures = []
    for way, (rate, resident) in zip(Delivery, found, strict=True):
        figures.append(Figure(f"records of {arguments.bytes} bytes, {way.value}", rate, "1/s"))
        figures.append(Figure(f"resident memory, {way.value}", resident, "MiB", is_cost=True))
    publish("transport", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())

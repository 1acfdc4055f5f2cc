"""How many records a second one worker process passes: consume, trivial handler, produce."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.settings import KafkaSettings
from streams.transport import Delivery, TransportOptions, batch_topic, batches, new_app, output_of, run_worker

PARTITIONS = 6


def work() -> int:
    """The measured process."""
    settings = json.loads(os.environ["BENCH"])
    options = TransportOptions(delivery=Delivery(settings["delivery"]), max_batch_records=settings["batch"])
    app = new_app(settings["group"], KafkaSettings(bootstrap_servers=settings["servers"]), options)

    @app.agent(batch_topic(app, settings["input"]))
    async def copy(stream):  # type: ignore[no-untyped-def]
        output = output_of(app)
        produce = output.produce
        async for batch in batches(stream):
            async with output.ours(batch) as ours:
                if ours:
                    for record in batch.records:
                        produce(settings["output"], record.value, record.key, partition=batch.partition)

    return run_worker(app, "WARNING")


def fill(servers: str, topic: str, records: int, size: int) -> None:
    """Write the input."""
    producer = Producer({"bootstrap.servers": servers, "compression.type": "lz4", "linger.ms": 50})
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


def committed(servers: str, group: str, topic: str) -> Iterator[tuple[float, int]]:
    """Time and committed records, again and again."""
    config = {"bootstrap.servers": servers, "group.id": group, "isolation.level": "read_committed"}
    observer = Consumer(config)
    asked = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    while True:
        yield time.monotonic(), sum(max(part.offset, 0) for part in observer.committed(asked, timeout=10))
        time.sleep(0.1)


def measure(servers: str, delivery: str, records: int, batch: int, size: int) -> dict[str, object]:
    """Records a second between the first and the last commit, and the memory at the end."""
    tag = uuid.uuid4().hex[:8]
    names = {"input": f"bench.{tag}.in", "output": f"bench.{tag}.out"}
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names.values()]).values():
        future.result(30)
    fill(servers, names["input"], records, size)
    settings = {**names, "servers": servers, "delivery": delivery, "batch": batch, "group": f"bench.{tag}"}
    environment = {**os.environ, "BENCH": json.dumps(settings)}
    worker = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.transport", "--worker"], env=environment)
    try:
        points = [(0.0, 0)]
        for point in committed(servers, f"bench.{tag}", names["input"]):
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
    return {"delivery": delivery, "records_per_second": round(rate), "resident_mb": resident}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--bootstrap-servers")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--bytes", type=int, default=600)
    parser.add_argument(
        "--delivery", choices=[d.value for d in Delivery], nargs="*", default=[d.value for d in Delivery]
    )
    arguments = parser.parse_args()
    if arguments.worker:
        sys.exit(work())
    for way in arguments.delivery:
        found = measure(arguments.bootstrap_servers, way, arguments.records, arguments.batch, arguments.bytes)
        print(json.dumps(found))

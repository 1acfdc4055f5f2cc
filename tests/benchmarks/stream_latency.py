"""How long an order takes through the stream worker, and how soon a parked one goes on."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from deploy.local.endpoints import Endpoints
from schemas.attributes import CustomerId
from schemas.codec import TopicCodec
from schemas.models import Customer, OrderCaptured
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings
from schemas.topics import CUSTOMERS, ORDER_EVENTS, ORDERS_CAPTURED, PARKED
from tests.benchmarks.stream_load import (
    PARTITIONS,
    PreparedOrders,
    captured_order,
    empty_outputs,
    origin,
    skip_captured,
)
from tests.benchmarks.stream_runs import new_group, our_worker

_FIRST = 90_000_000
"""Above the numbers of the load that was written before."""
_WARM_UP_SECONDS = 5
_PARKED_ORDERS = 200
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from handing an order to the client until a read_committed subscriber has its version."""

    median: float
    p99: float
    parked: float
    """Seconds from handing over the awaited master record until the last of the parked orders is out."""


def measure(endpoints: Endpoints, home: Path, orders_per_second: int, seconds: int) -> Latency:
    """Run our worker, feed it at that pace, then park orders and release them."""
    kafka = endpoints.kafka()
    with closing(SchemaRegistry(endpoints.registry())) as registry:
        empty_outputs(kafka, registry)
        program = our_worker(endpoints, home, new_group("latency"))
        skip_captured(kafka, program.group)
        outputs = Outputs(kafka)
        worker = subprocess.Popen(program.argv, env=program.environment)
        try:
            feed = Feed(kafka, registry, outputs)
            took = feed.steadily(orders_per_second, seconds)
            parked = feed.parked_and_released()
        finally:
            worker.terminate()
            worker.wait(_PATIENCE_SECONDS)
            outputs.close()
    return Latency(statistics.median(took), statistics.quantiles(took, n=100)[98], parked)


class Outputs:
    """When each order's version, or its parking, was first seen by a read_committed subscriber; a thread of its own."""

    def __init__(self, kafka: KafkaSettings) -> None:
        config = {"group.id": "bench-latency", "isolation.level": "read_committed", "fetch.wait.max.ms": 10}
        self._consumer = Consumer(kafka.client_config(**config))
        self._consumer.assign(
            [TopicPartition(topic, part, OFFSET_END) for topic in (ORDER_EVENTS, PARKED) for part in range(PARTITIONS)]
        )
        self._seen: dict[tuple[str | None, bytes | None], float] = {}
        self._arrived = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._read, name="latency-outputs", daemon=True)
        self._thread.start()

    def when(self, topic: str, keys: list[bytes]) -> list[float]:
        """The moments, once all of them have come. Raises SystemExit when they do not come."""
        wanted = [(topic, key) for key in keys]
        with self._arrived:
            if not self._arrived.wait_for(lambda: all(each in self._seen for each in wanted), _PATIENCE_SECONDS):
                missing = sum(each not in self._seen for each in wanted)
                raise SystemExit(f"{missing} of {len(wanted)} orders did not come to {topic}")
            return [self._seen[each] for each in wanted]

    def close(self) -> None:
        """End the thread and the client."""
        self._closing = True
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._closing:
            messages = self._consumer.consume(1_000, 0.01)
            at = time.monotonic()
            with self._arrived:
                for message in messages:
                    if message.error() is None and message.value() is not None:
                        self._seen.setdefault((message.topic(), message.key()), at)
                self._arrived.notify_all()


class Feed:
    """Writes orders at a steady pace, and ones whose customer comes later."""

    def __init__(self, kafka: KafkaSettings, registry: SchemaRegistry, outputs: Outputs) -> None:
        self._producer = Producer(kafka.producer_config(**{"linger.ms": 0}))
        self._prepared = PreparedOrders(registry)
        self._registry = registry
        self._outputs = outputs
        self._number = _FIRST

    def steadily(self, orders_per_second: int, seconds: int) -> list[float]:
        """Seconds from order to version, without the time in which the worker starts and its code is new."""
        self._write(1, orders_per_second)
        self._write(orders_per_second * _WARM_UP_SECONDS, orders_per_second)
        written = self._write(orders_per_second * seconds, orders_per_second)
        arrived = self._outputs.when(ORDER_EVENTS, list(written))
        return [at - begun for at, begun in zip(arrived, written.values(), strict=True)]

    def parked_and_released(self) -> float:
        """Seconds from the awaited customer to the last of the orders that waited for it."""
        customer_id = CustomerId(f"C-late-{uuid.uuid4().hex[:8]}")
        orders = TopicCodec(ORDERS_CAPTURED, OrderCaptured, self._registry)
        keys = []
        for number in range(self._number, self._number + _PARKED_ORDERS):
            event = captured_order(number)
            assert event.order is not None
            late = event.model_copy(
                update={"order": event.order.model_copy(update={"buyer_customer_party_id": customer_id})}
            )
            keys.append(event.order_id.encode())
            self._producer.produce(ORDERS_CAPTURED, orders.encode(late), keys[-1])
        self._outputs.when(PARKED, keys)
        customer = Customer(customer_id=customer_id, name="A late customer", segment="retail", **origin(self._number))
        message = TopicCodec(CUSTOMERS, Customer, self._registry).encode(customer)
        begun = time.monotonic()
        self._producer.produce(CUSTOMERS, message, customer_id.encode())
        self._producer.flush(_PATIENCE_SECONDS)
        return max(self._outputs.when(ORDER_EVENTS, keys)) - begun

    def _write(self, count: int, orders_per_second: int) -> dict[bytes, float]:
        """Write so many orders at that pace and wait until the first of them is through; when each was written."""
        written: dict[bytes, float] = {}
        begun = time.monotonic()
        for done in range(count):
            # A poll ends with the first report that it has served.
            while (pause := begun + done / orders_per_second - time.monotonic()) > 0:
                self._producer.poll(pause)
            key, value = self._prepared.message(self._number)
            written[key] = time.monotonic()
            self._producer.produce(ORDERS_CAPTURED, value, key)
            self._number += 1
        self._outputs.when(ORDER_EVENTS, list(written)[:1])
        return written

"""What security costs: the same work on a plain and on a secured stack, in turns, in one run.

The work is what a stream worker does with the wire: read orders, decode, encode and write them, with acknowledgement of
all. Each secured turn is compared with the plain one beside it; the median of these shares counts. Beside the rate it
tells the processor time of client and broker, which other programs on the machine change less.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.stack import EmbeddedStack
from schemas.codec import TopicCodec
from schemas.models import OrderCaptured
from schemas.registry import InMemorySchemas
from schemas.settings import KafkaSettings
from tests.benchmarks.report import Figure, Peer, publish
from tests.unit.order_samples import order_captured

KEPT_SHARE_GOAL = 0.75
START_SECONDS_GOAL = 25.0
_SECONDS = 300.0
_DIFFERENT_ORDERS = 500
_PARTITIONS = 6


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn on one stack."""

    records_per_second: float
    processor_seconds: float


class Work:
    """One stack, filled with orders."""

    def __init__(self, stack: EmbeddedStack, records: int) -> None:
        assert stack.kafka is not None and stack.kafka.pid is not None
        self._kafka: KafkaSettings = stack.endpoints.kafka()
        self._broker = psutil.Process(stack.kafka.pid)
        self._records = records
        self._source = self._topic()
        self._codec = TopicCodec("bench", OrderCaptured, InMemorySchemas())
        orders = [self._codec.encode(order_captured(number)) for number in range(_DIFFERENT_ORDERS)]
        producer = Producer(self._kafka.producer_config(**{"queue.buffering.max.messages": 1_000_000}))
        for number in range(records):
            producer.produce(self._source, orders[number % len(orders)], f"crm:{number}")
        assert producer.flush(_SECONDS) == 0

    def turn(self) -> Turn:
        """Read everything, and write it to a new topic."""
        target = self._topic()
        producer = Producer(self._kafka.producer_config(**{"queue.buffering.max.messages": 1_000_000}))
        config = {"group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest", "fetch.queue.backoff.ms": 5}
        with closing(Consumer(self._kafka.client_config(**config))) as consumer:
            consumer.subscribe([self._source])
            first = consumer.consume(1, _SECONDS)
            began, used = time.monotonic(), self._used()
            done = len(first)
            while done < self._records:
                messages = consumer.consume(1_000, 1.0)
                for message in messages:
                    value, key = message.value(), message.key()
                    assert value is not None
                    producer.produce(target, self._codec.encode(self._codec.decode(value)), key)
                producer.poll(0)
                done += len(messages)
            assert producer.flush(_SECONDS) == 0
            return Turn(self._records / (time.monotonic() - began), self._used() - used)

    def _topic(self) -> str:
        name = f"bench-{uuid.uuid4().hex}"
        admin = AdminClient(self._kafka.client_config())
        admin.create_topics([NewTopic(name, _PARTITIONS, 1)])[name].result(_SECONDS)
        return name

    def _used(self) -> float:
        times = [psutil.Process().cpu_times(), self._broker.cpu_times()]
        return sum(one.user + one.system for one in times)


@contextmanager
def started(home: Path, *, secured: bool) -> Iterator[tuple[EmbeddedStack, float]]:
    """A stack, and how long its second start took: the first also makes its files."""
    with EmbeddedStack(home, secured=secured):
        pass
    began = time.monotonic()
    with EmbeddedStack(home, secured=secured) as stack:
        yield stack, time.monotonic() - began


def main() -> None:
    """Run it: `make bench-security`; shorter: `ARGS="--records 20000 --turns 1"`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as name, ExitStack() as running:
        home = Path(name)
        # PostgreSQL runs under an account of its own where root runs this, and must get through.
        home.chmod(0o711)
        plain, _ = running.enter_context(started(home / "plain", secured=False))
        secured, start_seconds = running.enter_context(started(home / "secured", secured=True))
        works = {"plain": Work(plain, arguments.records), "secured": Work(secured, arguments.records)}
        for work in works.values():
            # A broker's JVM compiles what it runs often: the first turn pays for it, and is not counted.
            work.turn()
        turns: dict[str, list[Turn]] = {which: [] for which in works}
        for number in range(arguments.turns):
            # Each begins in turn, so that what else the machine does falls on both.
            for which in sorted(works, reverse=bool(number % 2)):
                turns[which].append(works[which].turn())
    publish("security", _figures(turns["plain"], turns["secured"], arguments.records, start_seconds))


def _figures(plain: list[Turn], secured: list[Turn], records: int, start_seconds: float) -> list[Figure]:
    rates = [statistics.median(turn.records_per_second for turn in turns) for turns in (secured, plain)]
    costs = [statistics.median(turn.processor_seconds for turn in turns) / records * 1e6 for turns in (secured, plain)]
    pairs = list(zip(secured, plain, strict=True))
    kept = statistics.median(ours.records_per_second / theirs.records_per_second for ours, theirs in pairs)
    kept_by_processor = statistics.median(theirs.processor_seconds / ours.processor_seconds for ours, theirs in pairs)
    return [
        Figure("orders through TLS and SCRAM", rates[0], "orders/s", peer=Peer("plain", rates[1])),
        Figure("share of the plain throughput", kept, "", KEPT_SHARE_GOAL),
        Figure("processor per order", costs[0], "us", peer=Peer("plain", costs[1]), is_cost=True),
        Figure("share of the plain throughput, by processor", kept_by_processor, "", KEPT_SHARE_GOAL),
        Figure("start of a secured stack", start_seconds, "s", START_SECONDS_GOAL, is_cost=True),
    ]


if __name__ == "__main__":
    main()

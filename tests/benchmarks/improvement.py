"""What `ordersync improvement` costs: time and memory for eight weeks of versions, differences and refused events."""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Producer

from deploy.commands.options import Cluster
from deploy.improvement.collecting import Question, improvement_of
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from deploy.topics import TopicLayout, apply_topics
from schemas.attributes import OrderId
from schemas.codec import TopicCodec
from schemas.models import Mismatch, OrderEvent, OriginalMessage, Rejection, SourcePosition, Violation
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings, RegistrySettings
from schemas.topics import MISMATCHES, ORDER_EVENTS, ORDERS_CAPTURED, REJECTED
from tests.benchmarks.report import Figure, publish
from tests.unit.order_samples import order_captured, order_state

_SPAN = timedelta(weeks=7)
_ONE_LATE_OF = 10
_ONE_WRONG_OF = 100
_RULES = 8


class _Record(NamedTuple):
    topic: str
    key: str
    value: bytes | None
    at: datetime


class _Cost(NamedTuple):
    """What the report took, in a process of its own."""

    seconds: float
    processor_seconds: float
    before_mib: float
    most_mib: float
    versions: int
    found: int


def main() -> None:
    """Print the table and write `build/bench/improvement.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    orders = parser.parse_args().orders
    if orders < _ONE_WRONG_OF:
        parser.error(f"one of {_ONE_WRONG_OF} orders goes wrong: let there be as many")
    as_of = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as directory:
        home = Path(directory)
        home.chmod(0o711)
        with EmbeddedStack(home / "stack") as stack:
            _populate(stack.endpoints, orders, as_of)
            print(f"{orders:,} versions are on {ORDER_EVENTS}", flush=True)
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                cost = process.submit(_measured, stack.endpoints.kafka(), stack.endpoints.registry(), as_of).result()
    assert cost.versions == orders, cost
    # Each wrong order is refused once and differs once; of the others only versions are late.
    assert cost.found == 2 * -(-orders // _ONE_WRONG_OF) + -(-orders // _ONE_LATE_OF), cost
    publish("improvement", _figures(cost, orders))


def _figures(cost: _Cost, orders: int) -> list[Figure]:
    return [
        Figure(f"improvement of {orders:,} orders in 8 weeks", cost.seconds, "s", is_cost=True),
        Figure("  processor time", cost.processor_seconds, "s", is_cost=True),
        Figure("  processor time of a version", 1e6 * cost.processor_seconds / orders, "µs", is_cost=True),
        Figure("memory before", cost.before_mib, "MiB", is_cost=True),
        Figure("memory at most", cost.most_mib, "MiB", is_cost=True),
    ]


def _measured(kafka: KafkaSettings, registry: RegistrySettings, as_of: datetime) -> _Cost:
    cluster = Cluster(kafka, registry)
    before, started, processor = _most_mib(), time.monotonic(), time.process_time()
    made = improvement_of(Question(as_of), cluster)
    seconds, spent = time.monotonic() - started, time.process_time() - processor
    versions = sum(made.versions(week) for week in made.weeks)
    found = sum(figures.total.count for figures in made.causes.values())
    return _Cost(seconds, spent, before, _most_mib(), versions, found)


def _most_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _populate(stack: Endpoints, orders: int, as_of: datetime) -> None:
    with closing(SchemaRegistry(stack.registry())) as registry:
        apply_topics(stack.kafka(), registry, TopicLayout(order_partitions=3))
        producer = Producer(stack.kafka().producer_config(**{"queue.buffering.max.messages": 1_000_000}))
        versions = _versions(TopicCodec(ORDER_EVENTS, OrderEvent, registry), orders, as_of)
        for record in chain(versions, _wrong(registry, orders, as_of)):
            _produce(producer, record)
    assert producer.flush(300) == 0


def _produce(producer: Producer, record: _Record) -> None:
    while True:
        try:
            at = round(record.at.timestamp() * 1000)
            producer.produce(record.topic, record.value, record.key.encode(), timestamp=at)
            break
        except BufferError:
            producer.poll(0.1)
    producer.poll(0)


def _at(number: int, orders: int, as_of: datetime) -> datetime:
    """When it happened: all of them one after the other, up to an hour ago."""
    return as_of - timedelta(hours=1) - _SPAN * ((orders - number) / orders)


def _versions(codec: TopicCodec[OrderEvent], orders: int, as_of: datetime) -> Iterator[_Record]:
    template = order_state(1)
    source = SourcePosition(system="crm", transaction_id=7, position=1, sequence=0)
    for number in range(orders):
        at, took = _at(number, orders, as_of), timedelta(seconds=40 if number % _ONE_LATE_OF == 0 else 1)
        times = {"processed_at": at, "committed_at": at - took, "order_source": source}
        state = template.model_copy(update=times | {"order_id": OrderId(f"crm:{number}")})
        event = OrderEvent(event_type="OrderChanged", topic=ORDERS_CAPTURED, captured_at=at - took, state=state)
        yield _Record(ORDER_EVENTS, state.order_id, codec.encode(event), at)


def _wrong(registry: SchemaRegistry, orders: int, as_of: datetime) -> Iterator[_Record]:
    """Of some orders a difference that healed, and a refused event."""
    mismatches, letters = TopicCodec(MISMATCHES, Mismatch, registry), TopicCodec(REJECTED, Rejection, registry)
    value = TopicCodec(ORDERS_CAPTURED, type(order_captured(1)), registry).encode(order_captured(1))
    for number in range(0, orders, _ONE_WRONG_OF):
        at, order_id = _at(number, orders, as_of), OrderId(f"crm:{number}")
        found = Mismatch(
            mismatch_id=f"{order_id}/erp/note",
            order_id=order_id,
            system="erp",
            reference="state",
            kind="different",
            amount=Decimal(number),
            currency_code="EUR",
            detected_at=at,
            cause="manual_change",
        )
        yield _Record(MISMATCHES, found.mismatch_id, mismatches.encode(found), at)
        yield _Record(MISMATCHES, found.mismatch_id, None, at + timedelta(minutes=1))
        letter = Rejection(
            rejection_id=f"letter-{number}",
            stage="streams",
            order_id=order_id,
            violations=[Violation(rule=f"rule_{number // _ONE_WRONG_OF % _RULES}", message="wrong")],
            rejected_at=at,
            code_version="1",
            original=OriginalMessage(topic=ORDERS_CAPTURED, partition=0, offset=number, timestamp_at=at, value=value),
        )
        yield _Record(REJECTED, order_id, letters.encode(letter), at)


if __name__ == "__main__":
    main()

"""How many orders a second one API worker accepts, durable in Kafka before the answer, and how soon it answers."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import psutil
import uvloop
from confluent_kafka import Consumer, TopicPartition

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from deploy.topics import TopicLayout, apply_topics
from schemas.registry import SchemaRegistry
from schemas.topics import ORDERS_CAPTURED
from tests.benchmarks.report import Figure, publish

PARTITIONS = 6
CONNECTIONS = 48
GOAL_ORDERS = 2_000
GOAL_P99_MILLISECONDS = 50.0
_SERVING = re.compile(r"serving on http://127\.0\.0\.1:(\d+)")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_KEY = "benchmark-key"


def request(number: int) -> bytes:
    """The request of an order with three lines, under a key of its own."""
    lines = [
        {"product_id": f"P{(number + at) % 500}", "quantity": str(at + 1), "price_amount": "9.95", "tax_percent": "19"}
        for at in range(3)
    ]
    address = {"street_name": "Hauptstraße 7", "city_name": "Hamburg", "postal_zone": "20095", "country_code": "DE"}
    facts = {
        "id": f"B{number}",
        "customer_reference": f"PO-{number}",
        "issue_date": "2026-11-21",
        "document_currency_code": "EUR",
        "buyer_customer_party_id": f"C{number % 5_000}",
        "delivery_name": "Erika Mustermann",
        "delivery_address": address,
        "order_lines": lines,
    }
    body = json.dumps(facts).encode()
    head = (
        f"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {_KEY}\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: bench-{number}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Load:
    """What one stretch of load came to; seconds from when an order was due to its answer."""

    seconds: float = 0.0
    answers: list[float] = field(default_factory=list)
    refused: int = 0

    def p(self, percent: int) -> float:
        """A percentile in milliseconds."""
        return quantiles(self.answers, n=100, method="inclusive")[percent - 1] * 1_000


class Shop:
    """Sends orders over kept connections; they are made before, for the machine is shared with what is measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._number = 0
        self._made: deque[bytes] = deque()

    def make(self, orders: int) -> None:
        """Make so many requests."""
        self._made.extend(map(request, range(self._number, self._number + orders)))
        self._number += orders

    async def steadily(self, rate: int, seconds: float) -> Load:
        """Orders that are due at a steady rate, whether or not the ones before are answered."""
        self.make(int(rate * seconds))
        load, queue = Load(), asyncio.Queue[float | None]()
        senders = [asyncio.create_task(self._send(queue, load)) for _ in range(CONNECTIONS)]
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (ahead := due - time.perf_counter()) > 0.001:
                await asyncio.sleep(ahead)
            queue.put_nowait(due)
        for _ in senders:
            queue.put_nowait(None)
        await asyncio.gather(*senders)
        load.seconds = time.perf_counter() - began
        return load

    async def at_once(self, orders: int) -> Load:
        """As many as it takes, each connection always busy."""
        self.make(orders)
        load, queue = Load(), asyncio.Queue[float | None]()
        for _ in range(orders):
            queue.put_nowait(-1.0)
        for _ in range(CONNECTIONS):
            queue.put_nowait(None)
        began = time.perf_counter()
        await asyncio.gather(*(self._send(queue, load) for _ in range(CONNECTIONS)))
        load.seconds = time.perf_counter() - began
        return load

    async def _send(self, queue: asyncio.Queue[float | None], load: Load) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while (due := await queue.get()) is not None:
            began = time.perf_counter() if due < 0 else due
            writer.write(self._made.popleft())
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(_LENGTH.findall(answer)[0])
            await reader.readexactly(length)
            load.answers.append(time.perf_counter() - began)
            load.refused += not answer.startswith(b"HTTP/1.1 202")
        writer.close()


@contextmanager
def serving(stack: Endpoints, directory: Path) -> Iterator[tuple[psutil.Process, int]]:
    """An API worker on one core, and its port."""
    digest = hashlib.sha256(_KEY.encode()).hexdigest()
    clients = directory / "clients.toml"
    clients.write_text(
        f'[[clients]]\nname = "bench"\nkey_sha256 = ["{digest}"]\nscopes = ["orders:write"]\nsystems = ["shop"]\n'
        "requests_per_second = 1000000\nburst = 1000000\n"
    )
    settings = {"CLIENTS": str(clients), "PORT": "0", "DATA_DIR": str(directory / "data")}
    environment = os.environ | stack.environment() | {f"ORDERSYNC_{name}": value for name, value in settings.items()}
    log = directory / "api.log"
    with log.open("wb") as said:
        command = [sys.executable, "-m", "deploy.cli", "worker", "api"]
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
    try:
        worker = psutil.Process(process.pid)
        worker.cpu_affinity(worker.cpu_affinity()[:1])
        while (found := _SERVING.search(log.read_text())) is None:
            if process.poll() is not None:
                raise SystemExit(f"the API ended: {log.read_text()}")
            time.sleep(0.05)
        yield worker, int(found[1])
    finally:
        process.terminate()
        process.wait(30)


def stored(stack: Endpoints) -> int:
    """Records on the topic."""
    with closing(Consumer(stack.kafka().client_config(**{"group.id": "bench"}))) as consumer:
        marks = [consumer.get_watermark_offsets(TopicPartition(ORDERS_CAPTURED, at)) for at in range(PARTITIONS)]
        return sum(high for _, high in marks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the steady load")
    parser.add_argument("--rate", type=int, default=GOAL_ORDERS, help="orders a second of the steady load")
    parser.add_argument("--orders", type=int, default=20_000, help="orders of the full load")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as name, EmbeddedStack(Path(name) / "stack") as stack:
        directory = Path(name)
        directory.chmod(0o711)
        with closing(SchemaRegistry(stack.endpoints.registry())) as registry:
            apply_topics(stack.endpoints.kafka(), registry, TopicLayout(order_partitions=PARTITIONS))
        with serving(stack.endpoints, directory) as (worker, port):
            shop = Shop(port)
            warm = uvloop.run(shop.at_once(3_000))
            spent = worker.cpu_times()
            steady = uvloop.run(shop.steadily(given.rate, given.seconds))
            spent_steady = worker.cpu_times()
            full = uvloop.run(shop.at_once(given.orders))
            spent_full = worker.cpu_times()
            resident = worker.memory_info().rss / 2**20
        loads = (warm, steady, full)
        sent, refused = sum(len(load.answers) for load in loads), sum(load.refused for load in loads)
        lost = sent - refused - stored(stack.endpoints)
    busy = _cpu(spent_full) - _cpu(spent_steady)
    figures = [
        Figure("accepted at full load", len(full.answers) / full.seconds, "orders/s", GOAL_ORDERS),
        Figure("accepted for each CPU second", len(full.answers) / busy, "orders/s", GOAL_ORDERS),
        Figure("steady rate that was held", len(steady.answers) / steady.seconds, "orders/s", 0.99 * given.rate),
        Figure("answer at the steady rate, p50", steady.p(50), "ms", is_cost=True),
        Figure("answer at the steady rate, p99", steady.p(99), "ms", GOAL_P99_MILLISECONDS, is_cost=True),
        Figure("core at the steady rate", (_cpu(spent_steady) - _cpu(spent)) / steady.seconds, "cores", is_cost=True),
        Figure("resident memory", resident, "MiB", is_cost=True),
        Figure("refused or lost", refused + abs(lost), "orders", 0, is_cost=True),
    ]
    publish("api", figures)
    return 0 if refused == lost == 0 else 1


def _cpu(times: object) -> float:
    return times.user + times.system  # type: ignore[attr-defined, no-any-return]


if __name__ == "__main__":
    sys.exit(main())

"""How soon the console answers over a million orders: first page, searches of every kind, and making its index anew."""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import quantiles

import httpx
import psutil
from confluent_kafka import Producer

from deploy.console.people.roles import Role
from deploy.console.people.users import Users
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from deploy.topics import TopicLayout, apply_topics
from schemas.codec import TopicCodec
from schemas.models import OrderState
from schemas.registry import SchemaRegistry
from schemas.topics import ORDER_STATE
from tests.benchmarks.report import Figure, publish
from tests.unit.order_samples import order_state

PARTITIONS = 6
GOAL_FIRST_PAGE_MILLISECONDS = 300.0
GOAL_SEARCH_MILLISECONDS = 200.0
_TEMPLATES = 1_000
_SERVING = re.compile(r"serving on http://127\.0\.0\.1:(\d+)")
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
_PASSWORD = "four words of no order"
_NAME = b"Mustermann GmbH"


def states(registry: SchemaRegistry, orders: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and state of each order: made from few by the places where they differ, which all have the same length."""
    codec = TopicCodec(ORDER_STATE, OrderState, registry)
    known = [codec.encode(order_state(number)) for number in range(_TEMPLATES)]
    for number in range(orders):
        template = number % _TEMPLATES
        value = known[template]
        if number != template:
            for form in (b"crm:SO-%08d", b"PO-%06d", b"9a55-%012x"):
                value = value.replace(form % template, form % number)
        yield b"crm:SO-%08d" % number, value.replace(_NAME, b"Firma%05d GmbH" % (number % 100_000))


def fill(stack: Endpoints, orders: int) -> None:
    """Write all states."""
    producer = Producer(stack.kafka().producer_config(**{"queue.buffering.max.kbytes": 262_144, "linger.ms": 50}))
    with closing(SchemaRegistry(stack.registry())) as registry:
        for key, value in states(registry, orders):
            while True:
                try:
                    producer.produce(ORDER_STATE, value, key)
                    break
                except BufferError:
                    producer.poll(0.1)
    assert producer.flush(120) == 0


@contextmanager
def serving(stack: Endpoints, directory: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A console as it is deployed, and its address."""
    users = Users(directory / "users.json")
    users.add("bench", Role.ADMIN)
    users.set_password("bench", _PASSWORD)
    settings = {"USERS": str(directory / "users.json"), "PORT": "0", "DATA_DIR": str(directory / "data")}
    environment = os.environ | stack.environment() | {f"ORDERSYNC_{name}": value for name, value in settings.items()}
    log = directory / "console.log"
    with log.open("wb") as said:
        command = [sys.executable, "-m", "deploy.cli", "worker", "console"]
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
    try:
        while (found := _SERVING.search(log.read_text())) is None:
            if process.poll() is not None:
                raise SystemExit(f"the console ended: {log.read_text()}")
            time.sleep(0.05)
        yield psutil.Process(process.pid), f"http://127.0.0.1:{found[1]}"
    finally:
        process.terminate()
        process.wait(30)


def signed_in(url: str) -> httpx.Client:
    """A browser of somebody who may see everything."""
    client = httpx.Client(base_url=url, headers={"Origin": url}, trust_env=False, timeout=60)
    found = _TOKEN.search(client.get("/sign-in").text)
    assert found is not None
    form = {"form_token": found[1], "name": "bench", "password": _PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 303
    return client


def until_indexed(client: httpx.Client) -> None:
    """Return when the page does not speak of an unfinished index any more."""
    while "The index is being made" in client.get("/orders", params={"q": "x"}).text:
        time.sleep(0.5)


QUESTIONS: dict[str, Callable[[int], str]] = {
    "order's id": lambda number: f"crm:SO-{number:08d}",
    "its number alone": str,
    "customer's reference": lambda number: f"po-{number:06d}",
    "event's id": lambda number: f"6f1d2b52-3a39-5d0e-9a55-{number:012x}",
    "customer's name": lambda number: f"firma{number % 100_000:05d}",
    "name and reference": lambda number: f"gmbh firma{number % 100_000:05d} PO-{number:06d}",
    "word of every order": lambda _: "gmbh",
    "two words of every order": lambda _: "gmbh mustermann",
    "beginning of a name": lambda number: f"firma{number % 100_000:05d}"[:8],
    "beginning of an id": lambda number: f"crm:SO-{number:08d}"[:12],
    "three letters": lambda _: "fir",
    "nothing": lambda number: f"nobody{number}",
}


def timed(client: httpx.Client, times: int, path: Callable[[], str]) -> list[float]:
    """Milliseconds of each answer, whole."""
    taken = []
    for _ in range(times):
        asked = path()
        began = time.perf_counter()
        answer = client.get(asked)
        taken.append((time.perf_counter() - began) * 1_000)
        assert answer.status_code == 200, answer.text
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000, help="orders in the index")
    parser.add_argument("--times", type=int, default=100, help="how often each page is asked for")
    given = parser.parse_args()
    random.seed(8)
    with tempfile.TemporaryDirectory(prefix="ordersync-bench-") as name, EmbeddedStack(Path(name) / "stack") as stack:
        directory = Path(name)
        directory.chmod(0o711)
        with closing(SchemaRegistry(stack.endpoints.registry())) as registry:
            apply_topics(stack.endpoints.kafka(), registry, TopicLayout(order_partitions=PARTITIONS))
        fill(stack.endpoints, given.orders)
        with serving(stack.endpoints, directory) as (process, url):
            began = time.monotonic()
            with closing(signed_in(url)) as client:
                until_indexed(client)
                indexed = time.monotonic() - began
                spent = process.cpu_times()
                first = timed(client, given.times, lambda: "/")
                searches = {
                    kind: timed(client, given.times, lambda ask=ask: f"/orders?q={ask(random.randrange(given.orders))}")
                    for kind, ask in QUESTIONS.items()
                }
            used = process.cpu_times()
            resident = process.memory_info().rss / 2**20
        size = (directory / "data" / "console" / "index" / "index.sqlite").stat().st_size / 2**20
    busy = used.user + used.system - spent.user - spent.system
    each = busy / (given.times * (1 + len(QUESTIONS))) * 1_000
    figures = [
        Figure("processor time for each answer", each, "ms", is_cost=True),
        Figure("index made anew", given.orders / indexed, "orders/s"),
        Figure("index on disk", size, "MiB", is_cost=True),
        Figure("resident memory", resident, "MiB", is_cost=True),
        *_spread("first page", first, GOAL_FIRST_PAGE_MILLISECONDS),
    ]
    for kind, taken in searches.items():
        figures += _spread(f"search: {kind}", taken, GOAL_SEARCH_MILLISECONDS)
    publish("console", figures)
    return 0 if all(figure.met is not False for figure in figures) else 1


def _spread(name: str, taken: list[float], goal: float) -> list[Figure]:
    parts = quantiles(taken, n=100, method="inclusive")
    spread = {"p50": parts[49], "p99": parts[98], "longest": max(taken)}
    return [Figure(f"{name}, {word}", value, "ms", goal, is_cost=True) for word, value in spread.items()]


if __name__ == "__main__":
    sys.exit(main())

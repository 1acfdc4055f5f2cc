"""Runs stream workers as processes, writes what capture would write, and reads what every subscriber would read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from deploy.local.endpoints import Endpoints
from schemas.attributes import CanonicalModel, CustomerId, OrderId, ProductId
from schemas.codec import TopicCodec
from schemas.kafka_codes import AWAY
from schemas.models import CapturedEvent, Customer, JournalEntry, OrderEvent, OrderState, Product, Rejection
from schemas.registry import SchemaRegistry
from schemas.topics import (
    CAPTURED_TOPICS,
    CATALOGUE,
    CUSTOMERS,
    ORDER_EVENTS,
    ORDER_STATE,
    POSTINGS,
    PRODUCTS,
    REJECTED,
)
from tests.unit.order_lives import Life, order, payment, shipment
from tests.unit.processing_desk import section_of

M = TypeVar("M", bound=CanonicalModel)
HOSTED = (sys.executable, "-m", "deploy.cli", "worker", "streams")
# Deadlines are those of a calm machine; other tests run beside, and pace is not judged here.
_PATIENCE = 3.0
PLAIN_FAUST = (sys.executable, "-m", "faust", "-A", "streams.app", "worker", "-l", "info", "--without-web")


def wait_until(condition: Callable[[], bool], deadline_seconds: float, what: Callable[[], str] | str) -> float:
    """Wait for a condition; gives the seconds that it took, fails with what was awaited."""
    started = time.monotonic()
    while not condition():
        told = what if isinstance(what, str) else what()
        assert time.monotonic() - started < _PATIENCE * deadline_seconds, f"not within its deadline: {told}"
        time.sleep(0.02)
    return time.monotonic() - started


class StreamsProcess:
    """One stream worker; what it says goes to a file."""

    def __init__(self, directory: Path, environment: dict[str, str], command: Iterable[str] = HOSTED) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / "worker.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(list(command), env=environment, cwd=directory, stdout=log, stderr=log)

    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text()

    def has_partitions(self) -> bool:
        """Whether it has loaded the state of its partitions."""
        self.assert_alive()
        return "streams.processing.recovery" in self.log() or "loaded " in self.log()

    def assert_alive(self) -> None:
        """Fail with its log if it has ended."""
        assert self.process.poll() is None, f"the worker ended: {self.log()[-4000:]}"

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminated(self, deadline_seconds: float = 15) -> int:
        """The exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended(deadline_seconds)

    def ended(self, deadline_seconds: float = 40) -> int:
        """The exit code, once it has ended."""
        try:
            return self.process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end: {self.log()[-4000:]}") from None


@dataclass
class Scene:
    """One group of workers on the catalogue's topics."""

    stack: Endpoints
    directory: Path
    group: str
    registry_url: str
    workers: list[StreamsProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._producer = Producer(self.stack.kafka().producer_config())
        self._registry = SchemaRegistry(self.stack.registry())
        self._codecs: dict[str, TopicCodec[Any]] = {}

    def work(
        self, command: Iterable[str] = HOSTED, extra: Mapping[str, str] | None = None, **settings: str
    ) -> StreamsProcess:
        """Start a worker; `extra` goes into its environment as it is, `settings` as `ORDERSYNC_...`."""
        told = {f"ORDERSYNC_{name.upper()}": value for name, value in settings.items()}
        environment = self.environment({**told, **(extra or {})})
        worker = StreamsProcess(self.directory / f"worker-{len(self.workers)}", environment, command)
        self.workers.append(worker)
        return worker

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """The environment of a process that works with these servers; `extra` goes into it as it is."""
        return {
            **os.environ,
            **self.stack.environment(),
            "ORDERSYNC_REGISTRY__URL": self.registry_url,
            "ORDERSYNC_GROUP": self.group,
            "ORDERSYNC_COMMIT_INTERVAL_SECONDS": "0.02",
            **extra,
        }

    def working(self, command: Iterable[str] = HOSTED, **settings: str) -> StreamsProcess:
        """Start a worker and wait until it has loaded the state of its partitions."""
        worker = self.work(command, None, **settings)
        wait_until(worker.has_partitions, 60, lambda: f"a worker with partitions: {worker.log()[-2000:]}")
        return worker

    def codec(self, topic: str) -> TopicCodec[Any]:
        """The codec of a topic."""
        if topic not in self._codecs:
            self._codecs[topic] = TopicCodec(topic, CATALOGUE[topic].model, self._registry)
        return self._codecs[topic]

    def capture(self, *events: CapturedEvent) -> None:
        """Write events as capture does, in this order."""
        for event in events:
            topic = section_of(event).value
            self.write(topic, event.order_id, self.codec(topic).encode(event))
        self.flush()

    def master(self, *records: Customer | Product) -> None:
        """Write master records as capture does."""
        for record in records:
            topic, key = (
                (CUSTOMERS, record.customer_id) if isinstance(record, Customer) else (PRODUCTS, record.product_id)
            )
            self.write(topic, key, self.codec(topic).encode(record))
        self.flush()

    def write(self, topic: str, key: CustomerId | ProductId | OrderId, value: bytes | None) -> None:
        """Write one record; flush afterwards."""
        self._producer.produce(topic, value, key.encode())

    def flush(self) -> None:
        """Wait until all is written, also while brokers change."""
        wait_until(lambda: self._producer.flush(1) == 0, 120, "the brokers take every record")

    def committed(self) -> int:
        """How many captured events the group has committed."""
        with closing(self._observer()) as observer:
            asked = self._captured_partitions(observer)
            found: list[TopicPartition] = []

            def answered() -> bool:
                try:
                    found[:] = observer.committed(asked, timeout=30)
                except KafkaException as exc:
                    # A group's coordinator is made with the group, and loads for a moment.
                    if exc.args[0].code() not in AWAY:
                        raise
                return bool(found)

            wait_until(answered, 30, "the group's coordinator answers")
            return sum(max(part.offset, 0) for part in found)

    def captured(self) -> int:
        """How many captured events there are, those of other scenes included, which the group reads as well."""
        with closing(self._observer()) as observer:
            ends = [observer.get_watermark_offsets(part, timeout=30) for part in self._captured_partitions(observer)]
            return sum(end for _, end in ends)

    def pass_by(self) -> None:
        """Join the group, take what partitions are given, do nothing with them, and leave."""
        joined: list[object] = []
        settings = {"group.id": self.group, "partition.assignment.strategy": "range", "enable.auto.commit": False}
        with closing(Consumer(self.stack.kafka().client_config(**settings))) as member:
            member.subscribe(list(CAPTURED_TOPICS), on_assign=lambda *told: joined.append(told))

            def is_member() -> bool:
                member.poll(0.05)
                return bool(joined)

            wait_until(is_member, 60, "the group takes a member in")

    def _observer(self) -> Consumer:
        return Consumer(self.stack.kafka().client_config(**{"group.id": self.group}))

    def _captured_partitions(self, observer: Consumer) -> list[TopicPartition]:
        return [
            TopicPartition(topic, number)
            for topic in CAPTURED_TOPICS
            for number in observer.list_topics(topic, 30).topics[topic].partitions
        ]

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        """The id of a schema of somebody else."""
        return self._registry.register(subject, schema)

    def subscribe(self, topic: str) -> Subscriber:
        """A reader of a topic from its start."""
        return Subscriber(self.stack, self.codec(topic))

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()
        self._registry.close()


class Subscriber:
    """A `read_committed` reader of one topic, as a program of somebody else's would be."""

    def __init__(self, stack: Endpoints, codec: TopicCodec[Any]) -> None:
        self._codec = codec
        settings = {"group.id": "tests", "isolation.level": "read_committed", "enable.auto.commit": False}
        fetching = {"fetch.wait.max.ms": 20, "enable.partition.eof": True}
        self._consumer = Consumer(stack.kafka().client_config(**settings, **fetching))
        partitions = self._consumer.list_topics(codec.topic, 30).topics[codec.topic].partitions
        self._partitions = [TopicPartition(codec.topic, number, OFFSET_BEGINNING) for number in partitions]
        self._consumer.assign(self._partitions)
        self._ends: dict[int | None, int] = {}
        self.seen: list[tuple[str, Any]] = []

    def poll(self) -> list[tuple[str, Any]]:
        """Everything so far, as key and value (None for a tombstone)."""
        for message in self._consumer.consume(5_000, 0.05):
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                self._ends[message.partition()] = message.offset() or 0
                continue
            assert error is None or error.code() in AWAY, error
            if error is not None:
                continue
            key, value = message.key(), message.value()
            decoded = None if value is None else self._codec.decode(value)
            self.seen.append(((key or b"").decode(errors="replace"), decoded))
        return self.seen

    def read_to_end(self) -> list[tuple[str, Any]]:
        """Everything up to the end that the topic has now."""
        ends = {part.partition: self._consumer.get_watermark_offsets(part, timeout=30)[1] for part in self._partitions}

        def is_there() -> bool:
            self.poll()
            return all(self._ends.get(number, -1) >= end for number, end in ends.items())

        wait_until(is_there, 60, lambda: f"the ends {ends} of {self._codec.topic}, seen: {self._ends}")
        return self.seen

    def among(self, keys: set[str]) -> list[tuple[str, Any]]:
        """Keys and values so far, of these keys only: the topics may hold what other tests wrote."""
        return [(key, value) for key, value in self.poll() if key in keys]

    def of(self, key: str) -> list[Any]:
        """The values of one key so far."""
        return [value for name, value in self.poll() if name == key]

    def close(self) -> None:
        """Let go of the client."""
        self._consumer.close()


def life(number: int, customer_id: str = "C1") -> list[CapturedEvent]:
    """Ten events of one order in the order of their owners, each of which makes a version."""
    owners = Life(order_id=OrderId(f"crm:{number}"))
    notes = ("placed", "changed", "changed again", "confirmed")
    ordered = [
        owners.ordered(order(order_id=owners.order_id, customer=customer_id, note=f"{note} {number}")) for note in notes
    ]
    handled = [owners.handled(shipment(1, {"2": str(quantity)})) for quantity in (1, 4, 10)]
    settled = [owners.settled(payment(1, amount)) for amount in ("100", "200", "273.66")]
    return [*ordered, *handled, *settled]


def assert_exactly_once(scene: Scene, numbers: range | int, versions: int = 10, deadline_seconds: float = 60) -> None:
    """Each version once, in order, without gaps; the state is the last version; each journal entry once."""
    names = {f"crm:{number}" for number in (numbers if isinstance(numbers, range) else range(numbers))}
    orders = len(names)
    events, states = scene.subscribe(ORDER_EVENTS), scene.subscribe(ORDER_STATE)
    postings, rejected = scene.subscribe(POSTINGS), scene.subscribe(REJECTED)
    wait_until(
        lambda: len(events.among(names)) >= orders * versions,
        deadline_seconds,
        lambda: (
            f"{len(events.among(names))} versions of {orders} orders: {[w.log()[-1500:] for w in scene.workers[-2:]]}"
        ),
    )
    events.read_to_end()
    entries: dict[str, JournalEntry] = {}
    by_order: dict[str, list[OrderEvent]] = {}
    for key, event in events.among(names):
        by_order.setdefault(key, []).append(event)
    assert len(by_order) == orders
    for history in by_order.values():
        assert [event.state.version for event in history] == list(range(1, versions + 1))
    latest: dict[str, OrderState] = {}
    wait_until(lambda: len(states.among(names)) >= orders * versions, 30, "every state: nothing is compacted yet")
    states.read_to_end()
    for key, state in states.among(names):
        assert state.version == (latest[key].version if key in latest else 0) + 1
        latest[key] = state
    assert latest == {key: history[-1].state for key, history in by_order.items()}
    for state in latest.values():
        assert (state.payment_status, state.fulfilment_status) == ("paid", "partially_fulfilled")
        assert state.order is not None and state.order.note is not None and state.order.note.startswith("confirmed")
    for key, entry in postings.read_to_end():
        if key not in names:
            continue
        assert entry.entry_id not in entries, f"{entry.order_id} version {entry.order_version} is posted twice"
        entries[entry.entry_id] = entry
    for key, state in latest.items():
        cash = sum(
            line.debit_amount - line.credit_amount
            for entry in entries.values()
            if entry.order_id == key
            for line in entry.lines
            if line.account_code == "1000"
        )
        assert state.order is not None and cash == state.order.payable_amount
    assert [key for key, _ in rejected.read_to_end() if key in names] == []
    for subscriber in (events, states, postings, rejected):
        subscriber.close()


def rejections(subscriber: Subscriber) -> list[Rejection]:
    """Dead letters so far."""
    return [rejection for _, rejection in subscriber.poll()]


class RegistryGate:
    """Stands between a worker and the real registry; closed, it hangs up on everybody; it may also deny schemas."""

    def __init__(self, registry_url: str) -> None:
        self._target = urlsplit(registry_url)
        gate = self
        self.is_open = True
        self.denies_subjects = False

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                gate._pass_on(self)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        """What the worker is given for the registry's URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self._target.path}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if not self.is_open:
            handler.close_connection = True
            return
        if self.denies_subjects and "/subjects/" in handler.path:
            status, answer = 404, b"{}"
        else:
            connection = HTTPConnection(self._target.hostname or "", self._target.port, timeout=10)
            kept = ("Content-Type", "Authorization")
            headers = {name: value for name, value in handler.headers.items() if name in kept}
            connection.request(handler.command, handler.path, body, headers)
            response = connection.getresponse()
            status, answer = response.status, response.read()
            connection.close()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

"""Topics, workers and broken networks of one sink test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from prometheus_client import CollectorRegistry

from consumers.registry import SinkDefinition
from consumers.runner import SinkRunner
from consumers.settings import SinkSettings
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from deploy.topics import TopicLayout, apply_topics
from schemas.codec import TopicCodec
from schemas.registry import SchemaRegistry
from schemas.topics import CATALOGUE, Topic

PARTITIONS = 3
DEADLINE_SECONDS = 90.0
ROOT = Path(__file__).parents[2]


class Sent(NamedTuple):
    """A record before it is produced; `topic` as in the catalogue."""

    topic: str
    key: bytes
    value: bytes
    partition: int


class Cluster:
    """The topics of one test, under a prefix of their own, and a producer for them; `own` are none of the catalogue."""

    def __init__(
        self,
        stack: Endpoints,
        prefix: str,
        topics: Iterable[str],
        own: Iterable[Topic] = (),
        partitions: int = PARTITIONS,
    ) -> None:
        self.stack = stack
        self.prefix = prefix
        self.registry = SchemaRegistry(stack.registry())
        self._known = {one.name: one for one in (*map(CATALOGUE.__getitem__, topics), *own)}
        named = [replace(one, name=prefix + name) for name, one in self._known.items()]
        apply_topics(stack.kafka(), self.registry, TopicLayout(order_partitions=partitions), named)
        self._partitions = partitions
        self._producer = Producer(stack.kafka().producer_config())

    def codec(self, topic: str) -> TopicCodec[Any]:
        """The codec of one of the topics, as its subject here is called."""
        return TopicCodec(self.prefix + topic, self._known[topic].model, self.registry)

    def produce(self, records: Iterable[Sent]) -> None:
        """Return when the brokers have them all."""
        failures: list[KafkaError] = []
        for record in records:
            self._producer.produce(
                self.prefix + record.topic,
                record.value,
                record.key,
                record.partition,
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
        assert self._producer.flush(DEADLINE_SECONDS) == 0
        assert not failures, failures

    def values(self, topic: str) -> list[Any]:
        """Every committed value of a topic, decoded, partition by partition in the order of offsets."""
        codec = self.codec(topic)
        config = self.stack.kafka().client_config(
            **{"group.id": f"{self.prefix}reader", "isolation.level": "read_committed", "enable.partition.eof": True},
            **{"fetch.wait.max.ms": 20},
        )
        found: dict[int, list[Any]] = {number: [] for number in range(self._partitions)}
        with closing(Consumer(config | {"enable.auto.commit": False})) as consumer:
            consumer.assign([TopicPartition(codec.topic, number, 0) for number in found])
            ended: set[int] = set()
            while len(ended) < len(found):
                message = consumer.poll(DEADLINE_SECONDS)
                assert message is not None, f"{codec.topic} gave nothing"
                error, number = message.error(), message.partition() or 0
                if error is None:
                    found[number].append(codec.decode(message.value() or b""))
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    ended.add(number)
        return [value for number in found for value in found[number]]

    def close(self) -> None:
        """Give the connections back."""
        self.registry.close()


class Worker:
    """One runner of a sink in a thread of the test."""

    def __init__(self, definition: SinkDefinition[Any], settings: SinkSettings, cluster: Cluster) -> None:
        self.metrics = CollectorRegistry()
        self._sink = definition.name
        self._runner: SinkRunner[Any] = definition.runner(settings, cluster.registry, self.metrics)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure: BaseException | None = None

    def _run(self) -> None:
        try:
            self._runner.run(self._stop)
        except Exception as exc:  # noqa: BLE001  the test that waits is told
            self.failure = exc

    def start(self) -> Worker:
        """Begin to work; gives itself."""
        self._thread.start()
        return self

    def ready(self) -> bool:
        """As the runner says."""
        return self._runner.ready()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, or fail with what the worker met."""
        met = await_condition(lambda: self.failure is not None or condition(), DEADLINE_SECONDS)
        assert self.failure is None, repr(self.failure)
        assert met, f"not within {DEADLINE_SECONDS:.0f} s: {what}"

    def until_count(self, outcome: str, number: int) -> None:
        """Wait until so many records are counted under an outcome."""
        self.until(lambda: self.count(outcome) == number, f"{number} records {outcome}")

    def count(self, outcome: str) -> float:
        """Records that the worker counted under an outcome."""
        labels = {"stage": self._sink, "outcome": outcome}
        return self.metrics.get_sample_value("ordersync_events_total", labels) or 0.0

    def ended(self) -> BaseException | None:
        """Wait for the worker to end by itself; gives its failure."""
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive(), "the worker goes on"
        return self.failure

    def stop(self) -> None:
        """Stop in order; a failure of the worker is the test's."""
        self._stop.set()
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive(), "the worker does not stop"
        assert self.failure is None, repr(self.failure)


@contextmanager
def working(definition: SinkDefinition[Any], settings: SinkSettings, cluster: Cluster) -> Iterator[Worker]:
    """A worker for the length of a block."""
    worker = Worker(definition, settings, cluster).start()
    try:
        yield worker
    finally:
        worker.stop()


class WorkerProcess:
    """One runner of a sink in a process of its own, which can be killed and stopped."""

    def __init__(self, name: str, settings: SinkSettings, cluster: Cluster) -> None:
        environment = dict(os.environ) | {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in _environment("ORDERSYNC_", settings.model_dump(mode="python")).items()
        }
        environment |= cluster.stack.environment()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.sink_process", name], cwd=ROOT, env=environment
        )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def kill(self) -> None:
        """As `kill -9`."""
        self._process.kill()
        self._process.wait(DEADLINE_SECONDS)

    def freeze(self) -> None:
        """As `kill -STOP`: alive, but without a sign of life."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """As `kill -CONT`."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """As `kill -TERM`; it must end in order."""
        self._process.terminate()
        assert self._process.wait(DEADLINE_SECONDS) == 0


def _environment(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _environment(f"{prefix}{name.upper()}__", value)
        elif value is not None:
            text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
            found[f"{prefix}{name.upper()}"] = str(text)
    return found


class Wire:
    """A TCP path to a server that can be cut and mended, as networks are."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._whole = True
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        with self._lock:
            self._whole = False
            ends, self._open = self._open, []
        for end in ends:
            _end(end)

    def mend(self) -> None:
        """Let new connections through."""
        with self._lock:
            self._whole = True

    def close(self) -> None:
        """Take it away."""
        self.cut()
        _end(self._listener)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._whole:
                    _end(near)
                    continue
                far = socket.create_connection(self._target)
                self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _end(source)
    _end(sink)


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()

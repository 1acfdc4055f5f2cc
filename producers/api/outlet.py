"""Writes accepted orders to Kafka and tells the event loop when every in-sync replica has them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from producers.api.requests import HEADER
from producers.kafka import kafka_error
from schemas.errors import ConfigurationError, OrdersyncError, Transient
from schemas.settings import KafkaSettings
from schemas.topics import ORDERS_CAPTURED

CLIENT_ID = "ordersync-api"
_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class OutletOptions:
    """How the producer waits."""

    linger_milliseconds: float
    delivery_timeout_seconds: float
    max_pending: int


class Outlet:
    """One idempotent producer with `acks=all`, and the thread that hears its answers.

    Delivery: what `send` has returned for is durable. What it raised `Transient` for may be durable or not: sending
    the same bytes again is safe, because streams drop the second.
    """

    def __init__(self, kafka: KafkaSettings, options: OutletOptions) -> None:
        self._producer = Producer(
            kafka.producer_config(
                **{
                    "client.id": CLIENT_ID,
                    "linger.ms": options.linger_milliseconds,
                    "delivery.timeout.ms": int(options.delivery_timeout_seconds * 1000),
                    "queue.buffering.max.messages": options.max_pending,
                }
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: deque[tuple[asyncio.Future[None], KafkaError | None]] = deque()
        self._is_told = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._hear, name="outlet", daemon=True)
        self.failure: OrdersyncError | None = None
        """Why the producer cannot go on; the worker ends with it."""

    def cluster_id(self) -> str:
        """Id of the cluster. Raises ConfigurationError where the topic is missing, Transient without an answer."""
        try:
            cluster = self._producer.list_topics(timeout=_ANSWER_SECONDS)
        except KafkaException as exc:
            raise kafka_error(exc, "asking Kafka for its topics") from exc
        if ORDERS_CAPTURED not in cluster.topics:
            raise ConfigurationError(f"topic {ORDERS_CAPTURED} does not exist: run `ordersync topics apply`")
        return str(cluster.cluster_id)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called once, in the loop that will call `send`."""
        self._loop = loop
        self._thread.start()

    async def send(self, key: bytes, value: bytes, header: bytes) -> None:
        """Return when the order is durable.

        Raises:
            Transient: too many wait already, or Kafka has not answered in time.
            ConfigurationError: the worker's user may not write, or the topic is gone.
            Fatal: the brokers refuse the record.
        """
        await self.write(ORDERS_CAPTURED, key, value, [(HEADER, header)])

    async def write(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Return when the record is durable. Raises as `send`."""
        assert self._loop is not None
        answer: asyncio.Future[None] = self._loop.create_future()
        try:
            self._producer.produce(topic, value, key, on_delivery=self._answering(answer), headers=list(headers))
        except BufferError as exc:
            raise Transient("too many orders wait for Kafka", retry_after_seconds=1.0) from exc
        except KafkaException as exc:
            raise kafka_error(exc, f"writing to {topic}") from exc
        await answer

    def close(self, seconds: float) -> None:
        """Wait for what is on its way."""
        self._producer.flush(seconds)
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _answering(self, answer: asyncio.Future[None]) -> Callable[[KafkaError | None, Message], None]:
        def answered(error: KafkaError | None, _: Message) -> None:
            self._answers.append((answer, error))

        return answered

    def _hear(self) -> None:
        assert self._loop is not None
        while not self._ended.is_set():
            self._producer.poll(_POLL_SECONDS)
            if self._answers and not self._is_told.is_set():
                self._is_told.set()
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_told.clear()
        while self._answers:
            answer, error = self._answers.popleft()
            if error is not None and error.fatal():
                self.failure = Transient(f"the producer cannot go on: {error.str()}; a new one is needed")
            if answer.cancelled():
                continue
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(kafka_error(error, "writing to Kafka"))

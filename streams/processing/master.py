"""Master data on every worker: read from the compacted `master.*` topics, kept current by a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.attributes import CanonicalModel, CustomerId, ProductId
from schemas.codec import TopicCodec
from schemas.errors import Fatal, InvalidMessage, Transient
from schemas.models import Customer, FxRate, Product
from schemas.settings import KafkaSettings
from schemas.topics import CUSTOMERS, FX_RATES, PRODUCTS
from streams.processing.codecs import Codecs
from streams.processing.waiting import AwaitedKey

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_BATCH = 1_000
_METADATA_SECONDS = 30.0


@dataclass(slots=True)
class MasterTables:
    """The newest image of each master record; what the rules look things up in."""

    customers: dict[str, Customer] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)
    fx_rates: dict[tuple[str, str], FxRate] = field(default_factory=dict)
    revision: int = 0
    """Another number after each change, so that others know when what they made of the tables is old."""

    def customer(self, customer_id: CustomerId) -> Customer | None:
        """The customer, if known."""
        return self.customers.get(customer_id)

    def product(self, product_id: ProductId) -> Product | None:
        """The product, if known."""
        return self.products.get(product_id)

    def fx_rate(self, base: str, quote: str) -> FxRate | None:
        """The newest rate of the pair, if one is known."""
        return self.fx_rates.get((base, quote))

    def put(self, topic: str, record: CanonicalModel) -> AwaitedKey:
        """Take in a record; gives the key that orders wait for it by."""
        self.revision += 1
        if isinstance(record, Customer):
            self.customers[record.customer_id] = record
            return (topic, record.customer_id)
        if isinstance(record, Product):
            self.products[record.product_id] = record
            return (topic, record.product_id)
        if isinstance(record, FxRate):
            pair = (record.base_currency_code, record.quote_currency_code)
            known = self.fx_rates.get(pair)
            if known is None or known.rate_date <= record.rate_date:
                self.fx_rates[pair] = record
            return (topic, ":".join(pair))
        return (topic, "")

    def remove(self, topic: str, key: str) -> None:
        """A tombstone: the record is gone. Rates stay, because orders were converted by them."""
        self.revision += 1
        tables: dict[str, dict[str, Any]] = {CUSTOMERS: self.customers, PRODUCTS: self.products}
        tables.get(topic, {}).pop(key, None)


class MasterFeed:
    """Keeps `tables` current; `on_arrival` is called (from the feed's thread) with keys that have arrived."""

    def __init__(self, kafka: KafkaSettings, codecs: Codecs, on_arrival: Callable[[], None]) -> None:
        self.tables = MasterTables()
        self._config = kafka.client_config(
            **{
                "group.id": "ordersync-master-feed",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 5,
                "fetch.wait.max.ms": 100,
            }
        )
        self._codecs: dict[str, TopicCodec[Any]] = {
            CUSTOMERS: codecs.customers,
            PRODUCTS: codecs.products,
            FX_RATES: codecs.fx_rates,
        }
        self._on_arrival = on_arrival
        self._arrived: set[AwaitedKey] = set()
        self._lock = Lock()
        self._stop = Event()
        self._loaded = Event()
        self._failure: BaseException | None = None
        self._unread: set[tuple[str, int]] = set()
        self._thread = Thread(target=self._run, name="master-feed", daemon=True)

    def start(self) -> None:
        """Begin to read; `wait_loaded` tells when the past is in."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def wait_loaded(self, timeout_seconds: float) -> None:
        """Block until everything that was on the topics at the start is in.

        Raises:
            Transient: it takes longer.
            Fatal: the feed has ended with an error.
        """
        if not self._loaded.wait(timeout_seconds):
            raise Transient(f"master data was not read within {timeout_seconds:g} s; is Kafka running?")
        self.check()

    def check(self) -> None:
        """Raise what ended the feed, if anything did."""
        if self._failure is not None:
            raise Fatal(f"the master data feed ended: {self._failure}") from self._failure

    def take_arrived(self) -> set[AwaitedKey]:
        """Keys that have arrived since the last call."""
        with self._lock:
            arrived, self._arrived = self._arrived, set()
        return arrived

    def _run(self) -> None:
        consumer = Consumer(self._config)
        try:
            self._unread = self._assign(consumer)
            while not self._stop.is_set():
                for message in consumer.consume(_BATCH, _POLL_SECONDS):
                    self._take(message)
                if self._arrived:
                    self._on_arrival()
        except BaseException as exc:
            self._failure = exc
            self._loaded.set()
            self._on_arrival()
            raise
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer) -> set[tuple[str, int]]:
        """Read every partition from its start; gives them."""
        partitions = set()
        for topic in self._codecs:
            found = consumer.list_topics(topic, _METADATA_SECONDS).topics[topic].partitions
            if not found:
                raise Fatal(f"topic {topic} does not exist; create it with `ordersync topics apply`")
            partitions |= {(topic, number) for number in found}
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in partitions])
        return partitions

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._reached_end(message)
                return
            if error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaException(error)
            logger.warning("master data: %s", error.str())
            return
        topic, key, value = message.topic(), message.key(), message.value()
        assert topic is not None
        if value is None:
            self.tables.remove(topic, (key or b"").decode(errors="replace"))
            return
        try:
            record = self._decoded(topic, value)
        except InvalidMessage as exc:
            # Nobody waits for a record that cannot be read: it stays missing, and orders that need it wait.
            logger.error("%s offset %s is left out: %s", topic, message.offset(), exc)
            return
        if record is not None:
            arrived = self.tables.put(topic, record)
            with self._lock:
                self._arrived.add(arrived)

    def _decoded(self, topic: str, value: bytes) -> CanonicalModel | None:
        """The record, once the registry has told its schema; None where the feed is stopped before."""
        while not self._stop.is_set():
            try:
                record: CanonicalModel = self._codecs[topic].decode(value)
            except Transient as exc:
                logger.warning("%s waits: %s", topic, exc)
                self._stop.wait(exc.retry_after_seconds)
            else:
                return record
        return None

    def _reached_end(self, message: Message) -> None:
        topic, number = message.topic(), message.partition()
        assert topic is not None and number is not None
        self._unread.discard((topic, number))
        if not self._unread:
            self._loaded.set()

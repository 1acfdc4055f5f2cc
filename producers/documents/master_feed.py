"""Follows customers and products, so that documents are matched with what is known now."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Generic, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from producers.api.kafka import kafka_error
from producers.documents.masters import KnownCustomer, KnownProduct, Masters, Records
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError, Transient, UndecodableMessage
from schemas.kafka_codes import AWAY
from schemas.models import Customer, Product
from schemas.settings import KafkaSettings
from schemas.topics import CUSTOMERS, PRODUCTS

_log = logging.getLogger(__name__)
_ANSWER_SECONDS = 30.0
_TAKEN = 2_000
_CLIENT = "ordersync-documents"


def known_customer(customer: Customer) -> KnownCustomer:
    """What documents need of a customer."""
    return KnownCustomer(
        customer.customer_id,
        customer.name,
        customer.country_code,
        customer.tax_id,
        customer.currency_code,
        customer.is_blocked,
    )


def known_product(product: Product) -> KnownProduct:
    """What documents need of a product."""
    return KnownProduct(
        product.product_id,
        product.name,
        product.unit_code,
        product.list_price_amount,
        product.currency_code,
        product.tax_category_code,
        product.tax_percent,
        product.is_discontinued,
    )


T = TypeVar("T", KnownCustomer, KnownProduct)


class Versions(Generic[T]):
    """Records that may hold from a day on; the one that holds today counts."""

    def __init__(self, records: Records[T]) -> None:
        self._records: Records[T] = records
        self._known: dict[str, dict[str, tuple[date, T]]] = defaultdict(dict)

    def put(self, key: str, valid_from: date | None, record: T) -> None:
        """An image of a record."""
        self._known[record.id][key] = valid_from or date.min, record
        self._choose(record.id)

    def remove(self, key: str) -> None:
        """A tombstone."""
        for id in (key, key.rpartition("@")[0]):
            if id in self._known and self._known[id].pop(key, None) is not None:
                self._choose(id)

    def _choose(self, id: str) -> None:
        today = datetime.now(UTC).date()
        held = [one for one in self._known[id].values() if one[0] <= today]
        if held:
            self._records.put(max(held, key=lambda one: one[0])[1])
        else:
            self._records.remove(id)


class MasterFeed:
    """One consumer without a group, in a thread of its own; an exception ends it and stands in `failure`."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds, masters: Masters) -> None:
        self._customers = TopicCodec(CUSTOMERS, Customer, schemas)
        self._products = TopicCodec(PRODUCTS, Product, schemas)
        self._known_customers = Versions(masters.customers)
        self._known_products = Versions(masters.products)
        self._consumer = Consumer(
            kafka.client_config(
                **{
                    "group.id": _CLIENT,
                    "client.id": _CLIENT,
                    "isolation.level": "read_committed",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",
                    "enable.partition.eof": True,
                }
            )
        )
        self._missing: set[tuple[str, int]] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="masters", daemon=True)
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begin with the first record. Raises ConfigurationError where a topic is missing, Transient."""
        try:
            known = self._consumer.list_topics(timeout=_ANSWER_SECONDS).topics
            missing = [topic for topic in (CUSTOMERS, PRODUCTS) if topic not in known]
            if missing:
                raise ConfigurationError(f"topic {', '.join(missing)} does not exist: run `ordersync topics apply`")
            places = [(topic, number) for topic in (CUSTOMERS, PRODUCTS) for number in known[topic].partitions]
            self._missing = set(places)
            self._consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in places])
        except KafkaException as exc:
            raise kafka_error(exc, "beginning to follow master data") from exc
        self._thread.start()

    def is_caught_up(self) -> bool:
        """Whether it has seen the end of each partition once, and still goes on."""
        return self.failure is None and self._thread.is_alive() and not self._missing

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                for message in self._consumer.consume(_TAKEN, 0.1):
                    self._take(message)
        except Exception as exc:  # noqa: BLE001 - told to the worker, which ends with it
            self.failure = exc

    def _take(self, message: Message) -> None:
        error, topic = message.error(), message.topic() or ""
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._missing.discard((topic, message.partition() or 0))
            elif error.code() not in AWAY and not error.retriable():
                raise kafka_error(error, "following master data")
            return
        key, value = (message.key() or b"").decode("utf-8", "replace"), message.value()
        if value is None:
            (self._known_customers if topic == CUSTOMERS else self._known_products).remove(key)
            return
        try:
            if topic == CUSTOMERS:
                customer = self._customers.decode(value)
                self._known_customers.put(key, customer.valid_from, known_customer(customer))
            else:
                product = self._products.decode(value)
                self._known_products.put(key, product.valid_from, known_product(product))
        except UndecodableMessage as exc:
            # The stream workers tell whoever wrote it.
            _log.warning("%s/%s/%s cannot be read: %s", topic, message.partition(), message.offset(), exc)
        except Transient as exc:
            self.failure = exc
            raise

"""Follows customers and products, so that documents are matched with what is known now."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Final, Generic, TypeVar

from confluent_kafka import Message

from producers.documents.masters import KnownCustomer, KnownProduct, Masters, Records
from producers.following import Following, TopicFollower
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import Customer, Product
from schemas.settings import KafkaSettings
from schemas.topics import CUSTOMERS, PRODUCTS

_FOLLOWING: Final = Following("master data", (CUSTOMERS, PRODUCTS), "ordersync-documents")


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


class MasterFeed(TopicFollower):
    """Keeps the records in memory: read from the first one at each start."""

    def __init__(self, kafka: KafkaSettings, schemas: SchemaIds, masters: Masters) -> None:
        super().__init__(kafka, _FOLLOWING)
        self._customers = TopicCodec(CUSTOMERS, Customer, schemas)
        self._products = TopicCodec(PRODUCTS, Product, schemas)
        self._known_customers = Versions(masters.customers)
        self._known_products = Versions(masters.products)

    def _take(self, message: Message) -> None:
        topic, value = message.topic(), message.value()
        key = (message.key() or b"").decode("utf-8", "replace")
        if value is None:
            (self._known_customers if topic == CUSTOMERS else self._known_products).remove(key)
        elif topic == CUSTOMERS:
            customer = self._customers.decode(value)
            self._known_customers.put(key, customer.valid_from, known_customer(customer))
        else:
            product = self._products.decode(value)
            self._known_products.put(key, product.valid_from, known_product(product))

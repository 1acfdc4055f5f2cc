"""The load of the stream benchmarks: master data and captured three-line orders on the real topics.

Millions of orders are a thousand prepared messages, each again and again under an id of its own: the number of an order
has eight digits wherever it occurs, so that another one can be written over it without encoding the order again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.topics import TopicLayout, apply_topics
from schemas.attributes import CanonicalModel, CustomerId, EventId, OrderId, ProductId
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import Customer, OrderCaptured, OrderLine, Product, SalesOrder, SourcePosition, event_id_of
from schemas.registry import SchemaRegistry
from schemas.settings import KafkaSettings
from schemas.topics import (
    CATALOGUE,
    CUSTOMERS,
    ORDER_EVENTS,
    ORDER_STATE,
    ORDERS_CAPTURED,
    PARKED,
    POSTINGS,
    PRODUCTS,
    REJECTED,
)

PARTITIONS = 6
_OUTPUTS = [ORDER_EVENTS, ORDER_STATE, PARKED, POSTINGS, REJECTED]
_COORDINATOR_MOVES = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
)
CUSTOMER_COUNT = 1_000
PRODUCT_COUNT = 500
_PREPARED = 1_000
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def prepare(kafka: KafkaSettings, registry: SchemaRegistry, orders: int, partitions: int = PARTITIONS) -> None:
    """Create the topics and write master data and `orders` captured orders: millions in seconds."""
    apply_topics(kafka, registry, TopicLayout(partitions))
    producer = Producer(kafka.producer_config(**{"linger.ms": 50, "batch.num.messages": 10_000}))
    _write(producer, CUSTOMERS, registry, ((customer.customer_id, customer) for customer in _customers()))
    _write(producer, PRODUCTS, registry, ((product.product_id, product) for product in _products()))
    prepared = PreparedOrders(registry)
    for number in range(orders):
        _produce(producer, ORDERS_CAPTURED, *prepared.message(number))
    assert producer.flush(120) == 0


class PreparedOrders:
    """Captured orders as messages; equal but for their number to one of a thousand."""

    def __init__(self, registry: SchemaIds) -> None:
        codec = TopicCodec(ORDERS_CAPTURED, OrderCaptured, registry)
        self._pieces = [_pieces(codec, number) for number in range(_PREPARED)]

    def message(self, number: int) -> tuple[bytes, bytes]:
        """Key and value of the captured order with this number, below 100,000,000."""
        digits = b"%08d" % number
        return b"crm:" + digits, digits.join(self._pieces[number % _PREPARED])


def _pieces(codec: TopicCodec[OrderCaptured], number: int) -> list[bytes]:
    """The message around its number: in the event's id, the order's id twice, and the customer's reference."""
    event = captured_order(number)
    digits = f"{number:08d}"
    event = event.model_copy(update={"event_id": EventId(event.event_id[:-8] + digits)})
    pieces = codec.encode(event).split(digits.encode())
    assert len(pieces) == 5, f"the number of order {number} occurs elsewhere in its message, too"
    return pieces


def empty_outputs(kafka: KafkaSettings, registry: SchemaRegistry) -> None:
    """Make the topics that a stream worker writes anew: with its former versions every order would be a duplicate."""
    admin = AdminClient(kafka.client_config())
    partitions = len(admin.list_topics(ORDERS_CAPTURED, 30).topics[ORDERS_CAPTURED].partitions)
    for future in admin.delete_topics(_OUTPUTS, operation_timeout=30).values():
        future.result(30)
    while any(name in admin.list_topics(timeout=30).topics for name in _OUTPUTS):
        time.sleep(0.1)
    apply_topics(kafka, registry, TopicLayout(partitions))


def captured_order(number: int) -> OrderCaptured:
    """The capture of a new order of three lines."""
    lines = [_line(number, position) for position in (1, 2, 3)]
    net = sum((line.line_extension_amount for line in lines), Decimal(0))
    tax = sum((line.tax_amount for line in lines), Decimal(0))
    order_id = OrderId(f"crm:{number:08d}")
    source = SourcePosition(system="crm", transaction_id=number, position=1_000 + number, sequence=0)
    order = SalesOrder(
        order_id=order_id,
        customer_reference=f"PO-{number:08d}",
        order_status="placed",
        issue_date=date(2026, 11, 21),
        document_currency_code="EUR",
        buyer_customer_party_id=CustomerId(f"C-{number % CUSTOMER_COUNT}"),
        sales_channel="web",
        line_extension_amount=net,
        charge_total_amount=Decimal(0),
        tax_exclusive_amount=net,
        tax_amount=tax,
        payable_amount=net + tax,
        order_lines=lines,
    )
    return OrderCaptured(
        event_id=event_id_of(ORDERS_CAPTURED, order_id, source),
        order_id=order_id,
        operation="upserted",
        source=source,
        committed_at=NOW,
        captured_at=NOW,
        order=order,
    )


def committed(kafka: KafkaSettings, group: str) -> Iterator[tuple[float, int]]:
    """Time, and how many captured orders the group has committed; again and again."""
    config = kafka.client_config(**{"group.id": group, "isolation.level": "read_committed"})
    observer = Consumer(config)
    asked = _partitions(observer, ORDERS_CAPTURED)
    while True:
        try:
            found = observer.committed(asked, timeout=10)
        except KafkaException as exc:
            if exc.args[0].code() not in _COORDINATOR_MOVES:
                raise
        else:
            yield time.monotonic(), sum(max(part.offset, 0) for part in found)
        time.sleep(0.1)


def skip_captured(kafka: KafkaSettings, group: str) -> None:
    """Let a new group begin behind the captured orders that are there already."""
    member = Consumer(kafka.client_config(**{"group.id": group}))
    ends = [
        TopicPartition(part.topic, part.partition, member.get_watermark_offsets(part, timeout=30)[1])
        for part in _partitions(member, ORDERS_CAPTURED)
    ]
    member.commit(offsets=ends, asynchronous=False)
    member.close()


def versions_written(kafka: KafkaSettings) -> int:
    """How many records `orders.events` holds at most (the ends of transactions count as well)."""
    observer = Consumer(kafka.client_config(**{"group.id": "bench-observer"}))
    ends = [observer.get_watermark_offsets(part, timeout=30) for part in _partitions(observer, ORDER_EVENTS)]
    observer.close()
    return sum(high - low for low, high in ends)


def _partitions(client: Consumer, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in client.list_topics(topic, 30).topics[topic].partitions]


def _line(number: int, position: int) -> OrderLine:
    price = Decimal(100 + (number * 7 + position) % 900) / 100
    quantity = Decimal(1 + (number + position) % 9)
    net = price * quantity
    return OrderLine(
        line_id=str(position),
        product_id=ProductId(f"P-{(number * 3 + position) % PRODUCT_COUNT}"),
        item_name="Chai, 10 boxes x 30 bags",
        quantity=quantity,
        unit_code="C62",
        price_amount=price,
        allowance_total_amount=Decimal(0),
        line_extension_amount=net,
        tax_category_code="S",
        tax_percent=Decimal(19),
        tax_amount=(net * Decimal("0.19")).quantize(Decimal("0.01")),
    )


def _customers() -> Iterator[Customer]:
    for number in range(CUSTOMER_COUNT):
        yield Customer(
            customer_id=CustomerId(f"C-{number}"), name=f"Customer {number}", segment="retail", **origin(number)
        )


def _products() -> Iterator[Product]:
    for number in range(PRODUCT_COUNT):
        yield Product(
            product_id=ProductId(f"P-{number}"),
            name=f"Product {number}",
            unit_code="C62",
            standard_cost_amount=Decimal("0.90"),
            **origin(number),
        )


def origin(number: int) -> dict[str, Any]:
    """The fields that every master record has."""
    source = SourcePosition(system="crm", transaction_id=number, position=number, sequence=0)
    return {"source": source, "committed_at": NOW, "captured_at": NOW}


def _write(
    producer: Producer, topic: str, registry: SchemaRegistry, records: Iterator[tuple[str, CanonicalModel]]
) -> None:
    codec: TopicCodec[CanonicalModel] = TopicCodec(topic, CATALOGUE[topic].model, registry)
    for key, record in records:
        _produce(producer, topic, key.encode(), codec.encode(record))


def _produce(producer: Producer, topic: str, key: bytes, value: bytes) -> None:
    while True:
        try:
            producer.produce(topic, value, key)
        except BufferError:
            producer.poll(0.1)
        else:
            return

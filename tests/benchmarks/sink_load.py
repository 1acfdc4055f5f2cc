"""The load of the sink benchmark: order events with three lines, and the journal entries of complete orders."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from consumers.erp.rows import OrderRows
from schemas.attributes import EventId, OrderId
from schemas.codec import TopicCodec
from schemas.models import JournalEntry
from schemas.models.source import EVENT_NAMESPACE
from schemas.topics import ORDER_EVENTS, POSTINGS
from streams.rules.accounting import journal_entries
from tests.contract.sink_samples import order_event
from tests.contract.sink_workbench import PARTITIONS, Cluster, Sent
from tests.unit.order_samples import order_state

_SAMPLES = 500
_BLOCK = 20_000


def produce_events(cluster: Cluster, orders: int) -> int:
    """Version 1 of each order; gives the number of events."""
    codec = cluster.codec(ORDER_EVENTS)
    for start in range(0, orders, _BLOCK):
        numbers = range(start, min(start + _BLOCK, orders))
        cluster.produce(_sent(ORDER_EVENTS, number, codec.encode(order_event(number))) for number in numbers)
    return orders


def rows_of_order() -> int:
    """Rows of the ERP's tables that one of these events becomes."""
    return sum(len(rows) for rows in OrderRows([order_event(1)]).by_table.values())


def produce_postings(cluster: Cluster, orders: int) -> tuple[int, int]:
    """The entries of each order, shipped, billed and paid; gives entries and lines."""
    codec: TopicCodec[JournalEntry] = cluster.codec(POSTINGS)
    samples = [journal_entries(None, order_state(number)) for number in range(1, _SAMPLES + 1)]
    entries = lines = 0
    block: list[Sent] = []
    for number in range(orders):
        for entry in samples[number % _SAMPLES]:
            own = entry.model_copy(update=_identity(number, entry))
            block.append(_sent(POSTINGS, number, codec.encode(own)))
            entries, lines = entries + 1, lines + len(entry.lines)
        if len(block) >= _BLOCK:
            cluster.produce(block)
            block.clear()
    cluster.produce(block)
    return entries, lines


def _identity(number: int, entry: JournalEntry) -> dict[str, Any]:
    order_id = OrderId(f"crm:{number}")
    entry_id: UUID = uuid5(EVENT_NAMESPACE, f"{order_id}/{entry.rule}")
    return {"entry_id": EventId(str(entry_id)), "order_id": order_id}


def _sent(topic: str, number: int, value: bytes) -> Sent:
    return Sent(topic, f"crm:{number}".encode(), value, number % PARTITIONS)

"""What could not become a version: refused events, and events that wait for master data."""

from __future__ import annotations

from schemas.attributes import CanonicalModel, Instant, OrderId, attribute


class Violation(CanonicalModel):
    """One reason why an event was refused."""

    rule: str = attribute("Code of the rule")
    message: str = attribute("What is wrong, where, and how to mend it")
    field: str | None = attribute("Path of the field", default=None)


class MessageHeader(CanonicalModel):
    """One Kafka header, unchanged."""

    key: str = attribute("Name")
    value: bytes | None = attribute("Value", default=None)


class OriginalMessage(CanonicalModel, classification="confidential"):
    """A Kafka record as it came, to the byte."""

    topic: str = attribute("Topic that it came from; for a source row, system and table")
    partition: int = attribute("Partition; -1 for a source row")
    offset: int = attribute("Offset; for a source row, its log position")
    timestamp_at: Instant = attribute("The record's timestamp", unit="UTC")
    key: bytes | None = attribute("Key", default=None)
    value: bytes | None = attribute("Value", default=None)
    headers: list[MessageHeader] = attribute("Headers", default=[])


class Rejection(CanonicalModel, classification="confidential"):
    """A refused event with every reason (topic `orders.rejected`, key order_id where it is known)."""

    rejection_id: str = attribute("UUIDv5 of topic, partition and offset of the original")
    stage: str = attribute("capture or streams: who refused it")
    order_id: OrderId | None = attribute("The order, where it could be read", default=None)
    violations: list[Violation] = attribute("Every violated rule, not only the first")
    rejected_at: Instant = attribute("When", unit="UTC")
    code_version: str = attribute("Version of ordersync that refused it")
    rules_version: str | None = attribute("Version of the rules that it was judged by; null from capture", default=None)
    original: OriginalMessage = attribute("The event as it came")


class AwaitedRecord(CanonicalModel):
    """A record that an order waits for."""

    topic: str = attribute("Topic that it will come on: a master.* topic, or orders.captured")
    key: str = attribute("Its key")


class ParkedOrder(CanonicalModel, classification="confidential"):
    """An order that waits (topic `orders.parked`, compacted, key order_id; a tombstone when released)."""

    order_id: OrderId = attribute("The order")
    awaits: list[AwaitedRecord] = attribute("What it waits for")
    parked_at: Instant = attribute("Since when", unit="UTC")
    deadline_at: Instant = attribute("When it turns into a rejection", unit="UTC")
    held: list[OriginalMessage] = attribute("Its events, in the order of arrival")

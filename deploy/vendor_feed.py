"""Compares the synchronized state with what vendors were told: who lacks which news of its own lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consumers.vendors.views import untold_of
from deploy.commands.options import Cluster
from deploy.record_reading import Progress, RecordReader, Span, say_nothing
from schemas.attributes import VendorId
from schemas.codec import TopicCodec
from schemas.models import OrderState, VendorUpdate
from schemas.registry import SchemaRegistry
from schemas.topics import ORDER_STATE, VENDOR_UPDATES

LATE_SECONDS = 60.0
"""So long news may be on its way to `vendors.updates`."""


@dataclass(frozen=True, slots=True)
class Untold:
    """News that a vendor should have heard of an order."""

    order_id: str
    vendor_id: VendorId
    order_version: int
    update_type: str
    since: datetime
    """When the version was made."""


@dataclass(slots=True)
class VendorFeedReport:
    """What came of the comparison; what is `on_the_way` is younger than the time that news may take."""

    orders: int = 0
    updates: int = 0
    untold: list[Untold] = field(default_factory=list)
    on_the_way: int = 0

    @property
    def agrees(self) -> bool:
        """Whether every vendor was told everything that it must hear."""
        return not self.untold


def compare_vendor_feed(
    cluster: Cluster, late_seconds: float = LATE_SECONDS, progress: Progress = say_nothing
) -> VendorFeedReport:
    """Hold the latest state of each order against the last update of each vendor of it.

    Called by `ordersync reconcile vendors`. One partition at a time: the last update of each of its orders and
    vendors is held. Changes nothing. Source: S3, S5.

    Raises:
        ConfigurationError: a topic is missing, or may not be read.
        SchemaDrift: this version's schemas are not registered.
        UndecodableMessage: a record is not what the topic should hold.
        Transient: the cluster or the registry does not answer.
    """
    report = VendorFeedReport()
    with closing(SchemaRegistry(cluster.registry)) as registry, RecordReader(cluster.kafka, progress) as reader:
        comparison = _Comparison(reader, registry, report)
        settled_at = datetime.now(UTC) - timedelta(seconds=late_seconds)
        told = {span.partition: span for span in reader.spans(VENDOR_UPDATES)}
        for span in reader.spans(ORDER_STATE):
            for one in comparison.untold(told[span.partition], span):
                if one.since <= settled_at:
                    report.untold.append(one)
                else:
                    report.on_the_way += 1
    report.untold.sort(key=lambda one: (one.since, one.order_id, one.vendor_id))
    return report


class _Comparison:
    def __init__(self, reader: RecordReader, registry: SchemaRegistry, report: VendorFeedReport) -> None:
        self._reader, self._report = reader, report
        self._states = TopicCodec(ORDER_STATE, OrderState, registry)
        self._updates = TopicCodec(VENDOR_UPDATES, VendorUpdate, registry)

    def untold(self, updates: Span, states: Span) -> Iterator[Untold]:
        """Of one partition; an order's news lies on the partition of the order."""
        told = self._told(updates)
        found: dict[str, list[Untold]] = {}
        orders: set[str] = set()
        for record in self._reader.read([states]):
            order_id = record.key.decode(errors="replace")
            if record.value is None:
                orders.discard(order_id)
                found.pop(order_id, None)
                continue
            orders.add(order_id)
            # A record of before compaction is judged too, and overruled by the later one.
            found[order_id] = self._news(self._states.decode(record.value), told.get(order_id, {}))
        self._report.orders += len(orders)
        for several in found.values():
            yield from several

    def _told(self, span: Span) -> dict[str, dict[VendorId, bytes]]:
        told: dict[str, dict[VendorId, bytes]] = defaultdict(dict)
        for record in self._reader.read([span]):
            if record.value is not None:
                update = self._updates.decode(record.value)
                told[update.order_id][update.vendor_id] = record.value
                self._report.updates += 1
        return told

    def _news(self, state: OrderState, told: dict[VendorId, bytes]) -> list[Untold]:
        last = {vendor_id: self._updates.decode(value) for vendor_id, value in told.items()}
        return [
            Untold(state.order_id, one.vendor_id, state.version, one.update_type, state.processed_at)
            for one in untold_of(state, last)
        ]

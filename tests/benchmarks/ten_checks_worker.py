"""The peers' work on our engine: the ten checks of `peers/ten_checks.py` instead of the product's rules and enrichment.

The transport, the local state with its changelog, the master data and the fast path are the product's; only what is
decided about an order is the peers'. So this is what compares engines, and the product's worker is what compares cost.
"""

from __future__ import annotations

import asyncio
import gc
from decimal import Decimal

import faust
from faust.types import StreamT

from schemas.attributes import CanonicalModel, CustomerId, EventId, Instant, OrderId, ProductId, UnitPrice
from schemas.codec.fastpath import (
    Copy,
    Each,
    FastPath,
    FastPathDeclaration,
    Given,
    LookedUp,
    OutputDeclaration,
    Projection,
    Records,
)
from schemas.codec.records import RecordCodec
from schemas.conditions import parse_conditions
from schemas.models import Customer, OrderCaptured, Product, SalesOrder
from schemas.registry import SchemaRegistry
from schemas.topics import ORDER_EVENTS, ORDER_STATE, ORDERS_CAPTURED
from streams.local_state import LocalState, open_values
from streams.processing.codecs import Codecs
from streams.processing.master_feed import MasterFeed
from streams.processing.store import StoreView
from streams.rules.facts import Section
from streams.settings import StreamsSettings
from streams.transport import Assignment, Batch, TransportOptions, batch_topic, batches, new_app, output_of, run_worker
from streams.worker import GC_THRESHOLDS
from tests.benchmarks.peers.ten_checks import CURRENCIES, STATUSES

_CHECKS = """
    count(line) > 0 and order.document_currency_code in CURRENCIES and order.order_status in STATUSES
    and line.quantity > 0 and line.price_amount >= 0
    and line.quantity * line.price_amount - line.line_extension_amount - line.allowance_total_amount <= NEAR
    and line.line_extension_amount + line.allowance_total_amount - line.quantity * line.price_amount <= NEAR
    and total(line.line_extension_amount) == order.line_extension_amount
    and total(line.tax_amount) == order.tax_amount
    and order.line_extension_amount + order.charge_total_amount == order.tax_exclusive_amount
    and order.tax_exclusive_amount + order.tax_amount == order.payable_amount
    and not customer.is_blocked and not product.is_discontinued
"""


class CheckedLine(CanonicalModel):
    """What master data add to a line."""

    product_name: str
    standard_cost_amount: UnitPrice


class CheckedOrder(CanonicalModel):
    """The peers' state of an order."""

    order_id: OrderId
    version: int
    order_status: str
    committed_at: Instant
    event_id: EventId
    customer_name: str
    customer_segment: str | None
    lines: list[CheckedLine]
    order: SalesOrder | None


_STATE: Projection = {
    "order_id": Copy("event.order_id"),
    "version": Given(1),
    "order_status": Copy("order.order_status"),
    "committed_at": Copy("event.committed_at"),
    "event_id": Copy("event.event_id"),
    "customer_name": Copy("customer.name"),
    "customer_segment": Copy("customer.segment"),
    "lines": Each(
        {
            "product_name": Copy("product.name"),
            "standard_cost_amount": Copy("product.standard_cost_amount", default=Decimal(0)),
        }
    ),
    "order": Copy("event.order"),
}


class TenChecks:
    """Decides about captured orders; the transport's hooks keep the state of its partitions."""

    def __init__(self, settings: StreamsSettings) -> None:
        self._settings = settings
        self._desk: _Desk | None = None

    async def on_assigned(self, assignment: Assignment) -> None:
        """Connect at the first time, and read the state of partitions that are new here."""
        if self._desk is None:
            self._desk = await asyncio.to_thread(_Desk, self._settings)
        await self._desk.state.load(assignment.partitions, assignment.kept)

    def on_committed(self) -> None:
        """What was applied becomes local state."""
        self.desk.state.committed()

    async def on_revoked(self, generation_partitions: frozenset[int]) -> None:
        """The partitions may move."""
        if self._desk is not None:
            await self._desk.state.flush()

    def stop(self) -> None:
        """End the threads and close the state."""
        if self._desk is not None:
            self._desk.close()

    @property
    def desk(self) -> _Desk:
        """There as soon as partitions were assigned, which is before the first record."""
        assert self._desk is not None
        return self._desk


class _Desk:
    """State, master data and the compiled checks."""

    def __init__(self, settings: StreamsSettings) -> None:
        self._states = RecordCodec(CheckedOrder)
        self._customers: Records = {}
        self._products: Records = {}
        self._codecs = Codecs(SchemaRegistry(settings.registry))
        self._values = open_values(settings)
        self.state = LocalState(settings, self._values, self._codecs.parked)
        self._feed = MasterFeed(settings.kafka, self._codecs, lambda: None, self._values)
        self._feed.start()
        self._feed.wait_loaded(60)
        self._path = self._compiled()

    def close(self) -> None:
        """End the feed and close the state."""
        self._feed.stop()
        self._values.close()

    def view(self, partition: int) -> StoreView:
        """What a batch of this partition sees and changes."""
        return StoreView(self.state.partitions[partition])

    def outputs(self, batch: Batch, view: StoreView) -> list[tuple[str, bytes, bytes]]:
        """The next states of the batch's orders, for the output and the changelog; `view` has them, too."""
        made: list[tuple[str, bytes, bytes]] = []
        view.foresee([OrderId(record.key.decode()) for record in batch.records if record.key])
        for record in batch.records:
            if record.key is None or record.value is None:
                continue
            state = self._first_state(record.value, record.key)
            if state is None:
                continue
            order_id = OrderId(record.key.decode())
            before = view.state(order_id)
            if before is not None:
                state = self._after(before, state)
            view.put_state(order_id, state)
            made += ((ORDER_EVENTS, record.key, state), (ORDER_STATE, record.key, state))
        return made

    def _first_state(self, message: bytes, key: bytes) -> bytes | None:
        made = self._path.take(message, key, ())
        if isinstance(made, list):
            for place, name in made:
                self._look_up(place, name)
            made = self._path.take(message, key, ())
        return made[0] if isinstance(made, tuple) else None

    def _look_up(self, place: int, name: str) -> None:
        if place == 0:
            customer = self._feed.tables.customer(CustomerId(name))
            if customer is not None:
                self._customers[name] = self._codecs.customers.records.encode(customer)
        else:
            product = self._feed.tables.product(ProductId(name))
            if product is not None:
                self._products[name] = self._codecs.products.records.encode(product)

    def _after(self, before: bytes, state: bytes) -> bytes:
        version = self._states.decode(before).version + 1
        return self._states.encode(self._states.decode(state).model_copy(update={"version": version}))

    def _compiled(self) -> FastPath:
        vocabulary = {"CURRENCIES": dict.fromkeys(CURRENCIES, 0), "STATUSES": dict.fromkeys(STATUSES, 0)}
        records = ("event", "order", "line", "customer", "product")
        checks = parse_conditions(
            " ".join(_CHECKS.split()), records, vocabulary, "the ten checks", {"NEAR": Decimal("0.005")}
        )
        return FastPath(
            FastPathDeclaration(
                prefix=self._codecs.captured[Section.ORDER].header,
                model=OrderCaptured,
                names={"event": "", "order": "order"},
                items="line",
                key="event.order_id",
                instant="event.committed_at",
                looked_up={
                    "customer": LookedUp(Customer, "order.buyer_customer_party_id", self._customers),
                    "product": LookedUp(Product, "line.product_id", self._products),
                },
                conditions=tuple(checks),
                vocabulary=vocabulary,
                outputs=(OutputDeclaration(b"", CheckedOrder, _STATE),),
                present=frozenset({"order"}),
            )
        )


def main() -> None:
    """Run the worker; its settings come from the environment, as those of `ordersync worker streams`."""
    # As `ordersync worker streams` sets its collector.
    gc.set_threshold(*GC_THRESHOLDS)
    gc.freeze()
    settings = StreamsSettings.load()
    work = TenChecks(settings)
    app = new_app(settings.group, settings.kafka, TransportOptions(slot=settings.slot), work)

    @app.agent(batch_topic(app, ORDERS_CAPTURED))
    async def orders(stream: StreamT[Batch]) -> None:
        output = output_of(app)
        async for batch in batches(stream):
            view = work.desk.view(batch.partition)
            made = work.desk.outputs(batch, view)
            async with output.ours(batch) as ours:
                if ours:
                    output.produce_many(made, batch.partition)
                    view.apply()

    assert isinstance(orders, faust.Agent)
    try:
        raise SystemExit(run_worker(app, log_level="WARNING"))
    finally:
        work.stop()


if __name__ == "__main__":
    main()

"""The synchronized state of an order: the owners' facts merged, enriched and numbered."""

from __future__ import annotations

from schemas.attributes import (
    Amount,
    CanonicalModel,
    Day,
    EventId,
    ExchangeRate,
    Instant,
    OrderId,
    ProductId,
    UnitPrice,
    VendorId,
    attribute,
)
from schemas.models.fulfilment import Fulfilment
from schemas.models.order import SalesOrder
from schemas.models.settlement import Settlement
from schemas.models.source import SourcePosition


class EnrichedLine(CanonicalModel):
    """What master data adds to one order line."""

    line_id: str = attribute("The order line")
    product_id: ProductId = attribute("The product", owner="inventory")
    product_name: str = attribute("Name in master.products", owner="inventory", classification="public")
    category: str | None = attribute("Product group", default=None, owner="inventory")
    vendor_id: VendorId | None = attribute("Who supplies it", default=None, owner="inventory")
    standard_cost_amount: UnitPrice = attribute(
        "Cost of one unit", owner="inventory", classification="confidential", unit="functional currency"
    )
    margin_amount: Amount | None = attribute(
        "Amount of the line less the cost of its goods; null where the product has no cost",
        default=None,
        owner="finance",
        classification="confidential",
        unit="functional currency",
    )
    promised_date: Day | None = attribute(
        "Date of the order and the product's lead time; null where that is unknown", default=None, owner="inventory"
    )
    tax_category_code: str | None = attribute("The product's usual tax category", default=None, owner="inventory")
    ledger_account_key: str | None = attribute("Group of accounts for revenue and cost", default=None, owner="finance")
    product_source: SourcePosition | None = attribute(
        "Image of the product that this was taken from", default=None, owner="inventory"
    )


class Enrichment(CanonicalModel):
    """What master data adds to an order; taken when the commercial facts change, then kept."""

    customer_name: str = attribute("Name in master.customers", owner="crm", classification="personal")
    customer_segment: str | None = attribute("Segment", default=None, owner="crm")
    customer_region: str | None = attribute("Sales region", default=None, owner="crm")
    customer_country_code: str | None = attribute("ISO 3166-1 alpha-2 code", default=None, owner="crm")
    functional_currency_code: str = attribute("Currency of the ledger, ISO 4217", owner="finance")
    exchange_rate: ExchangeRate = attribute(
        "Functional currency for one unit of the document currency", owner="finance"
    )
    exchange_rate_date: Day = attribute("Day of that rate", owner="finance")
    exchange_rate_provider: str = attribute("Who published that rate", owner="finance")
    exchange_rate_source: SourcePosition | None = attribute(
        "Image of the rate that it was taken from; null for the functional currency itself",
        default=None,
        owner="finance",
    )
    customer_ledger_account_key: str | None = attribute(
        "Group of accounts for receivables", default=None, owner="finance"
    )
    customer_source: SourcePosition | None = attribute(
        "Image of the customer that this was taken from", default=None, owner="crm"
    )
    lines: list[EnrichedLine] = attribute("One for each order line, in the same order")


class RuleWarning(CanonicalModel):
    """A rule that the order violates without being refused."""

    rule: str = attribute("Code of the rule")
    message: str = attribute("What is wrong, where, and how to mend it")


class OrderState(CanonicalModel):
    """The latest version of one order (topic `orders.state`, compacted, key order_id).

    `order`, `fulfilment` and `settlement` are the last fields, in this order: the stream processor copies their
    bytes from the captured events instead of encoding them again.
    """

    order_id: OrderId = attribute("Identity of the order in every system")
    version: int = attribute("1, 2, 3 ... without gaps")
    order_status: str = attribute("placed, confirmed, completed, cancelled or deleted")
    fulfilment_status: str = attribute("unfulfilled, partially_fulfilled, fulfilled or returned")
    billing_status: str = attribute("unbilled, partially_billed, billed or credited")
    payment_status: str = attribute("unpaid, partially_paid, paid, overpaid or refunded")
    placed_at: Instant = attribute("First commit about the order in any source", unit="UTC")
    committed_at: Instant = attribute("Commit in the source that led to this version", unit="UTC")
    processed_at: Instant = attribute("When this version was made", unit="UTC")
    event_id: EventId = attribute("The captured event that led to this version")
    order_source: SourcePosition | None = attribute("Position of the commercial facts", default=None)
    fulfilment_source: SourcePosition | None = attribute("Position of the fulfilment facts", default=None)
    settlement_source: SourcePosition | None = attribute("Position of the settlement facts", default=None)
    warnings: list[RuleWarning] = attribute("Violated rules of severity warning", default=[])
    enrichment: Enrichment | None = attribute("What master data adds", default=None)
    order: SalesOrder | None = attribute("Commercial facts", default=None, owner="crm")
    fulfilment: Fulfilment | None = attribute("Shipments and returns", default=None, owner="inventory")
    settlement: Settlement | None = attribute("Invoices and payments", default=None, owner="finance")


class OrderEvent(CanonicalModel):
    """One version of one order (topic `orders.events`); `state` is the whole order after the event."""

    event_type: str = attribute("OrderPlaced, OrderChanged, OrderShipped, OrderReturned, OrderBilled, OrderPaid ...")
    topic: str = attribute("Topic of the captured event")
    captured_at: Instant = attribute("When ordersync read the fact from its source", unit="UTC")
    state: OrderState = attribute("The whole order at this version")

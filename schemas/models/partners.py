"""What each vendor is told of the orders that it supplies lines of, and that it has heard."""

from __future__ import annotations

from schemas.attributes import (
    CanonicalModel,
    Day,
    EventId,
    Instant,
    OrderId,
    ProductId,
    Quantity,
    VendorId,
    attribute,
)
from schemas.models.fulfilment import Shipment
from schemas.models.order import Address


class VendorLine(CanonicalModel, owner="crm"):
    """One line of an order that the vendor supplies; prices and costs are not its business."""

    line_id: str = attribute("Number of the line within its order")
    product_id: ProductId = attribute("Product ordered")
    item_name: str | None = attribute("Name of the product", default=None)
    quantity: Quantity = attribute("Quantity ordered; of a cancelled line, what it was", unit="unit_code")
    unit_code: str = attribute("Unit of the quantity, UN/ECE Recommendation 20")
    requested_delivery_date: Day | None = attribute("When the customer wants this line", default=None)
    line_status: str = attribute("Against the update before: added, changed, unchanged or cancelled", owner="ordersync")
    shipped_quantity: Quantity = attribute("Quantity shipped so far", unit="unit_code", owner="inventory")


class VendorUpdate(CanonicalModel, classification="confidential"):
    """News of one order for one vendor (topic `vendors.updates`, key vendor_id:order_id).

    Carries the whole of what the vendor may see of the order, so that the latest one is the truth.
    """

    update_id: EventId = attribute("UUIDv5 of vendor, order, version and subject: the same news has the same id")
    vendor_id: VendorId = attribute("Whom it is for")
    order_id: OrderId = attribute("The order")
    sequence: int = attribute("1, 2, 3 ... without gaps for each vendor and order")
    update_type: str = attribute("confirmation, change, shipment or cancellation")
    order_version: int = attribute("Version of the order that led to it")
    order_status: str = attribute("placed, confirmed, completed, cancelled or deleted")
    issue_date: Day = attribute("Date of the order", owner="crm")
    requested_delivery_date: Day | None = attribute("When the customer wants the goods", default=None, owner="crm")
    delivery_name: str | None = attribute(
        "Who receives the goods", default=None, owner="crm", classification="personal"
    )
    delivery_address: Address | None = attribute("Where the goods go", default=None, owner="crm")
    lines: list[VendorLine] = attribute("The vendor's lines, and those that have just been cancelled")
    shipments: list[Shipment] = attribute("All shipments with lines of the vendor, and only these lines", default=[])
    shipment_id: str | None = attribute("Of type shipment: the one that is new or changed", default=None)
    replaces_shipment: bool = attribute("Of type shipment: an earlier update told of it otherwise", default=False)
    committed_at: Instant = attribute("Commit in the source that led to it", unit="UTC")


class VendorAcknowledgement(CanonicalModel):
    """A vendor has taken an update into its system (topic `vendors.acknowledgements`, key vendor_id:order_id)."""

    update_id: EventId = attribute("The update")
    vendor_id: VendorId = attribute("Who acknowledges")
    order_id: OrderId = attribute("The order")
    acknowledged_at: Instant = attribute("When it said so", unit="UTC")
    channel: str = attribute("How it said so: api or cli")

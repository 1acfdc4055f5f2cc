"""What left the warehouse and what came back, owned by inventory."""

from __future__ import annotations

from schemas.attributes import CanonicalModel, Instant, OrderId, Quantity, VendorId, attribute
from schemas.models.answers import VendorAnswer
from schemas.models.source import CapturedEvent


class HandledLine(CanonicalModel, owner="inventory"):
    """Quantity of one order line in a shipment or return."""

    line_id: str = attribute("The order line")
    quantity: Quantity = attribute("Quantity shipped or returned", unit="unit of the order line")


class Shipment(CanonicalModel, owner="inventory"):
    """Goods that left (UBL `DespatchAdvice`); control of them passes at `shipped_at`."""

    shipment_id: str = attribute("Number of the shipment, unique within the order")
    shipped_at: Instant = attribute("When the goods left", unit="UTC")
    delivered_at: Instant | None = attribute("When the customer had them", default=None, unit="UTC")
    carrier_party_id: str | None = attribute("Carrier", default=None)
    tracking_id: str | None = attribute("The carrier's tracking number", default=None)
    lines: list[HandledLine] = attribute("What was in it")
    vendor_id: VendorId | None = attribute(
        "The vendor that sent it from its own stock; null where it left a warehouse of inventory",
        default=None,
        owner="vendor",
    )


class Return(CanonicalModel, owner="inventory"):
    """Goods that came back and were accepted."""

    return_id: str = attribute("Number of the return, unique within the order")
    returned_at: Instant = attribute("When the goods were accepted back", unit="UTC")
    reason_code: str | None = attribute("Why they came back", default=None)
    lines: list[HandledLine] = attribute("What came back")


class Fulfilment(CanonicalModel, owner="inventory"):
    """All shipments and returns of one order so far: a full image, so that the latest one is the truth.

    Inventory states its own; in the synchronized state stands besides what vendors answered, and what they shipped.
    """

    order_id: OrderId = attribute("The order")
    shipments: list[Shipment] = attribute("All shipments, oldest first", default=[])
    returns: list[Return] = attribute("All accepted returns, oldest first", default=[])
    vendor_answers: list[VendorAnswer] = attribute(
        "What vendors say of their lines: of each line and dispatch the newest", default=[], owner="vendor"
    )


class FulfilmentCaptured(CapturedEvent):
    """The fulfilment of one order after one source transaction (topic `fulfilment.captured`)."""

    fulfilment: Fulfilment | None = attribute("All of it; null when the source deleted it", default=None)

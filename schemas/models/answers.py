"""What a vendor answers about the order lines that it supplies, and what it has in stock."""

from __future__ import annotations

from schemas.attributes import (
    CanonicalModel,
    Day,
    EventId,
    Instant,
    ProductId,
    Quantity,
    VendorId,
    attribute,
)
from schemas.models.source import CapturedEvent


class ConfirmedLine(CanonicalModel, owner="vendor"):
    """What a vendor says of one order line before it ships (UBL `OrderResponse/OrderLine`)."""

    line_id: str = attribute("The order line")
    line_status: str = attribute("accepted, changed or rejected")
    quantity: Quantity | None = attribute("What it will supply", default=None, unit="unit of the order line")
    promised_date: Day | None = attribute("When it will deliver", default=None)
    reason: str | None = attribute("Why it changes or rejects the line", default=None)


class DespatchedLine(CanonicalModel, owner="vendor"):
    """Quantity of one order line in what a vendor dispatched (UBL `DespatchLine`)."""

    line_id: str = attribute("The order line")
    quantity: Quantity = attribute("Quantity dispatched", unit="unit of the order line")


class Despatch(CanonicalModel, owner="vendor"):
    """Goods that left a vendor (UBL `DespatchAdvice`); the newest advice of a number replaces those before it."""

    despatch_id: str = attribute("The vendor's own number of the dispatch, unique within vendor and order")
    shipped_at: Instant = attribute("When the goods left", unit="UTC")
    carrier_party_id: str | None = attribute("Carrier", default=None)
    tracking_id: str | None = attribute("The carrier's tracking number", default=None)
    is_withdrawn: bool = attribute("Whether the vendor takes back what it told: nothing left", default=False)
    lines: list[DespatchedLine] = attribute("What was in it", default=[])


class VendorAnswer(CanonicalModel, owner="vendor"):
    """One message of a vendor about its own lines of one order: a confirmation, or a dispatch advice.

    Of what several messages say about one line, or of one dispatch, the newest counts: the greater `issued_at`, and of
    two of one moment the greater `message_id`.
    """

    message_id: str = attribute("The vendor's own number of the message: the same number is the same message")
    vendor_id: VendorId = attribute("Who answers")
    answer_type: str = attribute("confirmation or despatch")
    issued_at: Instant = attribute("When the vendor wrote it", unit="UTC")
    update_id: EventId | None = attribute("The update of `vendors.updates` that it answers", default=None)
    reason: str | None = attribute(
        "Why, in the vendor's words; needed for what is dispatched after a cancellation", default=None
    )
    lines: list[ConfirmedLine] = attribute("Of a confirmation: its lines", default=[])
    despatch: Despatch | None = attribute("Of a dispatch advice: what left", default=None)


class VendorAnswered(CapturedEvent):
    """A vendor answered (topic `vendors.answers`, key order_id); each event is one message, and no full image."""

    answer: VendorAnswer | None = attribute("The message; an event without one is refused", default=None)


class VendorStock(CanonicalModel, owner="vendor"):
    """What a vendor has of one product (topic `vendors.stock`, key vendor_id:product_id; UBL `InventoryReport`)."""

    vendor_id: VendorId = attribute("Who has it")
    product_id: ProductId = attribute("Product, as in master.products")
    available_quantity: Quantity = attribute("What can be ordered now", unit="unit_code")
    unit_code: str = attribute("Unit of the quantity, UN/ECE Recommendation 20")
    as_of: Instant = attribute("When the vendor counted; of two reports of a product the later one counts", unit="UTC")
    message_id: str = attribute("The vendor's own number of the report")
    received_at: Instant = attribute("When ordersync took it", unit="UTC")

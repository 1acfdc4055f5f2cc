"""What of an order's fulfilment inventory says, and what its vendors say in their messages. Pure."""

from __future__ import annotations

from datetime import datetime

from schemas.attributes import VendorId
from schemas.models import Fulfilment, HandledLine, OrderState, Shipment, VendorAnswer

CONFIRMATION = "confirmation"
DESPATCH = "despatch"
VENDOR_SYSTEM = "vendor."
"""The source system of a vendor's messages is this and its id."""

Subject = tuple[VendorId, str, str]
"""What a message has a word about: vendor, kind of answer, line or dispatch."""
Place = tuple[datetime, int, str]


def place_of(answer: VendorAnswer) -> Place:
    """Where a message stands among those of its vendor; numbers that are counted up have more digits later."""
    return answer.issued_at, len(answer.message_id), answer.message_id


def subjects_of(answer: VendorAnswer) -> list[Subject]:
    """What a message has a word about."""
    if answer.despatch is not None:
        return [(answer.vendor_id, DESPATCH, answer.despatch.despatch_id)]
    return [(answer.vendor_id, CONFIRMATION, line.line_id) for line in answer.lines]


def lines_told_of(answer: VendorAnswer) -> list[str]:
    """The order lines that a message speaks of."""
    if answer.despatch is not None:
        return [line.line_id for line in answer.despatch.lines]
    return [line.line_id for line in answer.lines]


def lines_of_vendor(state: OrderState | None, vendor_id: VendorId) -> set[str]:
    """Lines that a vendor supplies, and those that it has spoken of: a line that is gone can still be corrected."""
    if state is None:
        return set()
    own = (
        {line.line_id for line in state.enrichment.lines if line.vendor_id == vendor_id} if state.enrichment else set()
    )
    known = state.fulfilment.vendor_answers if state.fulfilment is not None else ()
    return own | {line_id for answer in known if answer.vendor_id == vendor_id for line_id in lines_told_of(answer)}


def of_inventory(fulfilment: Fulfilment | None) -> Fulfilment | None:
    """Inventory's part alone, as its source states it; None where nothing but vendors' is left.

    An empty image of inventory is as good as none beside what vendors say.
    """
    if fulfilment is None or not (fulfilment.vendor_answers or has_vendors(fulfilment)):
        return fulfilment
    shipments = [one for one in fulfilment.shipments if one.vendor_id is None]
    if not (shipments or fulfilment.returns):
        return None
    return fulfilment.model_copy(update={"shipments": shipments, "vendor_answers": []})


def has_vendors(fulfilment: Fulfilment) -> bool:
    """Whether any shipment came from a vendor's own stock."""
    return any(one.vendor_id is not None for one in fulfilment.shipments)


def shipment_of(answer: VendorAnswer) -> Shipment | None:
    """The shipment that a dispatch advice tells of; None for a confirmation, and for what was taken back.

    Vendors number their dispatches without regard to each other and to inventory, so the vendor stands before it.
    """
    told = answer.despatch
    if told is None or told.is_withdrawn:
        return None
    return Shipment(
        shipment_id=shipment_id_of(answer.vendor_id, told.despatch_id),
        shipped_at=told.shipped_at,
        carrier_party_id=told.carrier_party_id,
        tracking_id=told.tracking_id,
        lines=[HandledLine(line_id=line.line_id, quantity=line.quantity) for line in told.lines],
        vendor_id=answer.vendor_id,
    )


def shipment_id_of(vendor_id: VendorId, despatch_id: str) -> str:
    """The number that a vendor's dispatch has among the shipments of its order."""
    return f"{vendor_id}/{despatch_id}"

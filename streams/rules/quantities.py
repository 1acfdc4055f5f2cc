"""Quantities of an order line: ordered, shipped, returned, and what that is in money."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from schemas.models import Fulfilment, Return, Shipment

ZERO = Decimal(0)


def handled(events: Iterable[Shipment | Return]) -> dict[str, Decimal]:
    """Quantity by order line over all shipments, or all returns."""
    quantities: dict[str, Decimal] = {}
    for event in events:
        for line in event.lines:
            quantities[line.line_id] = quantities.get(line.line_id, ZERO) + line.quantity
    return quantities


def handlings(fulfilment: Fulfilment | None) -> list[Shipment | Return]:
    """All shipments and returns."""
    return [] if fulfilment is None else [*fulfilment.shipments, *fulfilment.returns]


def shipped_quantities(fulfilment: Fulfilment | None) -> dict[str, Decimal]:
    """Quantity shipped so far, by order line."""
    return handled(fulfilment.shipments) if fulfilment is not None else {}


def returned_quantities(fulfilment: Fulfilment | None) -> dict[str, Decimal]:
    """Quantity accepted back so far, by order line."""
    return handled(fulfilment.returns) if fulfilment is not None else {}


def as_text(quantity: Decimal) -> str:
    """A quantity as people write it: without the zeros of its wire form."""
    return f"{quantity.normalize():f}"

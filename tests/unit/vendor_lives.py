"""Orders whose lines come from several vendors, version after version, for tests of what vendors are told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from consumers.vendors.views import updates_of
from schemas.attributes import EventId, OrderId, VendorId
from schemas.models import (
    EnrichedLine,
    Fulfilment,
    HandledLine,
    OrderEvent,
    OrderLine,
    OrderState,
    Shipment,
    VendorUpdate,
)
from tests.unit.order_samples import COMMITTED_AT, order_state

ORDER_ID = OrderId("crm:1")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ACME, BOLT = VendorId("V-ACME"), VendorId("V-BOLT")


def line(number: int, vendor: VendorId | None = ACME, quantity: int = 5, **changes: Any) -> tuple[OrderLine, Any]:
    """Line `number`, and who supplies it."""
    sample = order_state(1)
    assert sample.order is not None
    values = {"line_id": str(number), "quantity": Decimal(quantity)} | changes
    return sample.order.order_lines[0].model_copy(update=values), vendor


def shipment(number: int, *lines: tuple[int, int], **changes: Any) -> Shipment:
    """Shipment `number` of these quantities of lines."""
    handled = [HandledLine(line_id=str(line_id), quantity=Decimal(quantity)) for line_id, quantity in lines]
    values = {"shipment_id": f"S{number}", "shipped_at": COMMITTED_AT, "carrier_party_id": "DHL", "lines": handled}
    return Shipment(**(values | changes))


def version(
    number: int,
    lines: Sequence[tuple[OrderLine, Any]],
    shipments: Sequence[Shipment] = (),
    *,
    status: str = "placed",
    facts: dict[str, Any] | None = None,
    **state: Any,
) -> OrderEvent:
    """Version `number` of the order with these lines and shipments."""
    sample = order_state(1)
    assert sample.order is not None and sample.enrichment is not None
    enriched = [
        EnrichedLine(
            line_id=one.line_id,
            product_id=one.product_id,
            product_name="A product",
            vendor_id=vendor,
            standard_cost_amount=Decimal(1),
        )
        for one, vendor in lines
    ]
    own = {"order_id": ORDER_ID, "order_lines": [one for one, _ in lines], "order_status": status} | (facts or {})
    values: dict[str, Any] = {
        "order_id": ORDER_ID,
        "version": number,
        "order_status": status,
        "committed_at": COMMITTED_AT + timedelta(seconds=number),
        "order": sample.order.model_copy(update=own),
        "enrichment": sample.enrichment.model_copy(update={"lines": enriched}),
        "fulfilment": Fulfilment(order_id=ORDER_ID, shipments=list(shipments)),
    }
    changed: OrderState = sample.model_copy(update=values | state)
    return OrderEvent(event_type="OrderChanged", topic="orders.captured", captured_at=COMMITTED_AT, state=changed)


def told_of(*events: OrderEvent) -> list[VendorUpdate]:
    """Everything that the vendors are told of these versions."""
    last: dict[VendorId, VendorUpdate] = {}
    found: list[VendorUpdate] = []
    for event in events:
        for update in updates_of(event, last):
            last[update.vendor_id] = update
            found.append(update)
    return found


def update(number: int, sequence: int = 1, **changes: Any) -> VendorUpdate:
    """News number `sequence` of order `crm:NUMBER` for ACME: a line of five, whose quantity changes."""
    (sample,) = told_of(version(sequence, [line(1, ACME, sequence)]))
    own = {
        "order_id": OrderId(f"crm:{number}"),
        "sequence": sequence,
        "update_type": "confirmation" if sequence == 1 else "change",
        "update_id": EventId(f"{number}-{sequence}"),
    }
    return sample.model_copy(update=own | changes)


def profiles_file(directory: Path, webhooks: Mapping[VendorId, str], **webhook: object) -> Path:
    """A vendors' file with webhooks at these addresses, whose secret is `SECRET`."""
    secret = directory / "webhook.secret"
    secret.touch(0o600)
    secret.write_text(SECRET + "\n")
    settings = {"secret_file": str(secret)} | webhook
    tables = []
    for vendor, url in webhooks.items():
        own = {"url": url} | settings
        tables += [f'[vendors."{vendor}".webhook]', *(f"{name} = {json.dumps(value)}" for name, value in own.items())]
    path = directory / "vendors.toml"
    path.write_text("\n".join(tables) + "\n")
    return path

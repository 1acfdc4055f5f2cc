"""What a vendor is told of a new version of an order: its own lines and shipments, compared with what it heard last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import uuid5

from schemas.attributes import EventId, VendorId
from schemas.models import OrderEvent, OrderState, SalesOrder, Shipment, VendorLine, VendorUpdate
from schemas.models.source import EVENT_NAMESPACE

CONFIRMATION = "confirmation"
CHANGE = "change"
SHIPMENT = "shipment"
CANCELLATION = "cancellation"

ADDED = "added"
CHANGED = "changed"
UNCHANGED = "unchanged"
CANCELLED = "cancelled"

_OVER = frozenset({"cancelled", "deleted"})
_HEADER = ("issue_date", "requested_delivery_date", "delivery_name", "delivery_address")
_LINE = ("product_id", "item_name", "quantity", "unit_code", "requested_delivery_date")


def key_of(vendor_id: str, order_id: str) -> str:
    """The key of the topics about vendors."""
    return f"{vendor_id}:{order_id}"


def updates_of(event: OrderEvent, told: Mapping[VendorId, VendorUpdate]) -> list[VendorUpdate]:
    """The news in one version of an order, vendor by vendor, each vendor's in the order of their sequence.

    `told` is the last update of each vendor that ever heard of the order. What a vendor cannot see (prices, payments,
    the lines of others) is no news; a version that is not after the last one told never is. Pure.
    """
    state, order = event.state, event.state.order
    if order is None:
        return []
    owners = _vendors_of_lines(state)
    vendors = sorted({*owners.values(), *told})
    return [update for vendor in vendors for update in _of_vendor(vendor, state, order, owners, told.get(vendor))]


def untold_of(state: OrderState, told: Mapping[VendorId, VendorUpdate]) -> list[VendorUpdate]:
    """The news of an order's latest version that its vendors have not heard; `told` as for `updates_of`. Pure."""
    if not told and not _vendors_of_lines(state):
        return []
    event = OrderEvent.model_construct(state=state)
    return updates_of(event, told)


def _vendors_of_lines(state: OrderState) -> dict[str, VendorId]:
    lines = state.enrichment.lines if state.enrichment is not None else ()
    return {line.line_id: line.vendor_id for line in lines if line.vendor_id is not None}


@dataclass(frozen=True, slots=True)
class _View:
    """All that a vendor may see of one version."""

    vendor_id: VendorId
    state: OrderState
    order: SalesOrder
    lines: Sequence[VendorLine]
    shipments: Sequence[Shipment]

    def update(self, sequence: int, update_type: str, **more: object) -> VendorUpdate:
        """News with this view in it."""
        subject = f"{self.vendor_id}/{self.state.order_id}/{self.state.version}/{update_type}"
        if "shipment_id" in more:
            subject += f"/{more['shipment_id']}"
        values = {name: getattr(self.order, name) for name in _HEADER} | {
            "update_id": EventId(str(uuid5(EVENT_NAMESPACE, subject))),
            "vendor_id": self.vendor_id,
            "order_id": self.state.order_id,
            "sequence": sequence,
            "update_type": update_type,
            "order_version": self.state.version,
            "order_status": self.state.order_status,
            "lines": list(self.lines),
            "shipments": list(self.shipments),
            "committed_at": self.state.committed_at,
        }
        return VendorUpdate.model_validate(values | more)


def _of_vendor(
    vendor: VendorId, state: OrderState, order: SalesOrder, owners: Mapping[str, VendorId], last: VendorUpdate | None
) -> Iterator[VendorUpdate]:
    if last is not None and last.order_version >= state.version:
        return
    before = {} if last is None else {line.line_id: line for line in last.lines if line.line_status != CANCELLED}
    shipments = _shipments(state, _own_lines(vendor, owners, last))
    now = {} if state.order_status in _OVER else _lines(order, owners, vendor, before, shipments)
    gone = [_with(line, CANCELLED, shipments) for line_id, line in before.items() if line_id not in now]
    sequence = last.sequence if last is not None else 0
    kind = _kind(last, before, [*now.values(), *gone], order, shipments)
    if kind is not None:
        sequence += 1
        yield _View(vendor, state, order, [*now.values(), *gone], shipments).update(sequence, kind)
    elif last is None:
        return
    heard = {} if last is None else {one.shipment_id: one for one in last.shipments}
    cancelled = gone or ([] if last is None else [_with(line, CANCELLED, shipments) for line in last.lines])
    known = [_with(line, UNCHANGED, shipments) for line in now.values()] or cancelled
    for shipment in shipments:
        # What the vendor itself dispatched is no news to it.
        if shipment.vendor_id != vendor and heard.get(shipment.shipment_id) != shipment:
            sequence += 1
            view = _View(vendor, state, order, known, shipments)
            yield view.update(
                sequence,
                SHIPMENT,
                shipment_id=shipment.shipment_id,
                replaces_shipment=shipment.shipment_id in heard,
            )


def _own_lines(vendor: VendorId, owners: Mapping[str, VendorId], last: VendorUpdate | None) -> set[str]:
    """Lines that are the vendor's, or were and are nobody else's now: what is shipped of them it may see."""
    known = {line_id for line_id, owner in owners.items() if owner == vendor}
    if last is not None:
        known |= {line.line_id for line in last.lines}
        known |= {line.line_id for shipment in last.shipments for line in shipment.lines}
    return {line_id for line_id in known if owners.get(line_id, vendor) == vendor}


def _kind(
    last: VendorUpdate | None,
    before: Mapping[str, VendorLine],
    shown: Sequence[VendorLine],
    order: SalesOrder,
    shipments: Sequence[Shipment],
) -> str | None:
    """What sort of news it is; None where the vendor sees nothing new but shipments."""
    if all(line.line_status == CANCELLED for line in shown):
        return CANCELLATION if before else None
    if last is None or not before:
        return CONFIRMATION
    told = {one.shipment_id for one in last.shipments if one.vendor_id != last.vendor_id}
    withdrawn = told - {one.shipment_id for one in shipments}
    header = any(getattr(last, name) != getattr(order, name) for name in _HEADER)
    return CHANGE if header or withdrawn or any(line.line_status != UNCHANGED for line in shown) else None


def _lines(
    order: SalesOrder,
    owners: Mapping[str, VendorId],
    vendor: VendorId,
    before: Mapping[str, VendorLine],
    shipments: Sequence[Shipment],
) -> dict[str, VendorLine]:
    found = {}
    for line in order.order_lines:
        if owners.get(line.line_id) == vendor:
            values = {name: getattr(line, name) for name in _LINE}
            heard = before.get(line.line_id)
            status = ADDED if heard is None else CHANGED
            if heard is not None and all(getattr(heard, name) == value for name, value in values.items()):
                status = UNCHANGED
            shipped = _shipped(line.line_id, shipments)
            found[line.line_id] = VendorLine(
                line_id=line.line_id, line_status=status, shipped_quantity=shipped, **values
            )
    return found


def _with(line: VendorLine, status: str, shipments: Sequence[Shipment]) -> VendorLine:
    return line.model_copy(update={"line_status": status, "shipped_quantity": _shipped(line.line_id, shipments)})


def _shipments(state: OrderState, own: set[str]) -> list[Shipment]:
    found = []
    for shipment in state.fulfilment.shipments if state.fulfilment is not None else ():
        lines = [line for line in shipment.lines if line.line_id in own]
        if lines:
            found.append(shipment.model_copy(update={"lines": lines}))
    return found


def _shipped(line_id: str, shipments: Sequence[Shipment]) -> Decimal:
    quantities = (line.quantity for one in shipments for line in one.lines if line.line_id == line_id)
    return sum(quantities, Decimal(0))

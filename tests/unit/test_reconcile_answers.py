"""Orders whose vendors ship: the sources agree with their own part, ERP and ledger with the whole of it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from consumers.reconcile.attributes import Attributes
from consumers.reconcile.comparison import OrderContent, compare
from consumers.reconcile.erp_image import expected_erp
from consumers.reconcile.facts import OrderFacts
from consumers.reconcile.fingerprint import Section
from schemas.models import Fulfilment, OrderState
from tests.unit.order_lives import ORDER_ID, Life, accepted, confirmation, despatch, order, payment, shipment
from tests.unit.processing_desk import Desk
from tests.unit.test_reconcile_ledger import measured

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OWN = shipment(1, {"2": "4"})


def shipped_by_both(*, vendor_first: bool) -> Desk:
    life, desk = Life(), Desk()
    desk.take(life.ordered(order()), life.settled(payment(1, "50")))
    inventory = [life.handled(OWN)]
    vendor = [life.answered(confirmation(1, accepted("1"))), life.answered(despatch(2, {"1": "3"}))]
    desk.take(*((*vendor, *inventory) if vendor_first else (*inventory, *vendor)))
    assert desk.rejections() == []
    return desk


def named(state: OrderState, source: Fulfilment | None, erp: Attributes, ledger: Any) -> list[tuple[str, str | None]]:
    assert state.order is not None and state.settlement is not None
    facts = OrderFacts({Section.ORDER: state.order, Section.SETTLEMENT: state.settlement})
    if source is not None:
        facts.sections[Section.FULFILMENT] = source
    found = compare(OrderContent(ORDER_ID, facts, state, erp, ledger), NOW)
    return [(one.system, one.field) for one in found.mismatches]


@pytest.mark.parametrize("vendor_first", [True, False])
def test_every_system_agrees_on_an_order_that_a_vendor_ships(vendor_first: bool) -> None:
    desk = shipped_by_both(vendor_first=vendor_first)
    state = desk.state()
    assert state is not None and state.fulfilment is not None
    assert [one.shipment_id for one in state.fulfilment.shipments] == ["S1", "V1/D2"]
    inventory = Fulfilment(order_id=ORDER_ID, shipments=[OWN])
    ledger = measured(desk.entries())
    assert ledger["revenue_amount[EUR]"] == "109.97", "3 x 9.99 of the vendor and 4 x 20.00 of inventory"
    assert named(state, inventory, expected_erp(state), ledger) == []


def test_what_inventory_says_otherwise_is_named_and_so_is_a_vendors_shipment_that_the_erp_lacks() -> None:
    desk = shipped_by_both(vendor_first=True)
    state = desk.state()
    assert state is not None
    other = Fulfilment(order_id=ORDER_ID, shipments=[shipment(1, {"2": "5"})])
    erp, ledger = expected_erp(state), measured(desk.entries())
    assert named(state, other, erp, ledger) == [("state", "fulfilment.shipments[S1].lines[2].quantity")]
    assert named(state, None, erp, ledger) == [("state", "fulfilment.shipments[S1]")]
    lacking = {path: text for path, text in erp.items() if not path.startswith("shipments[V1/D2]")}
    inventory = Fulfilment(order_id=ORDER_ID, shipments=[OWN])
    assert ("erp", "shipments[V1/D2]") in named(state, inventory, lacking, ledger)
    assert Decimal(ledger["revenue_amount[EUR]"]) > 0

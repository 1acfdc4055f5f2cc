"""Rules that hold within an order and between systems, whatever each system says of its own attributes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from consumers.reconcile.attributes import Attributes
from consumers.reconcile.invariants import Measure
from schemas.allocation import share
from schemas.models import OrderState, SalesOrder

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that does not hold: in which system, and the two sides of it."""

    system: str
    name: str
    expected: Decimal
    actual: Decimal
    currency_code: str


def broken_rules(state: OrderState, erp: Attributes | None, ledger: Attributes | None) -> Iterator[BrokenRule]:
    """Every rule that an order breaks; those between two systems only where both hold it. Source: S4, S5, I10."""
    order = state.order
    if order is None:
        return
    yield from _header(order)
    if ledger is None or state.enrichment is None:
        return
    yield from _revenue(state, order, ledger)
    if erp is not None and "version" in erp:
        yield from _receivable(order, erp, ledger)


def _header(order: SalesOrder) -> Iterator[BrokenRule]:
    """What the customer owes is what the lines come to, with charges and tax."""
    lines = sum((line.line_extension_amount for line in order.order_lines), _ZERO)
    told = lines + order.charge_total_amount + order.tax_amount
    if told != order.payable_amount:
        currency = order.document_currency_code
        yield BrokenRule("state", "payable_equals_lines_charges_and_tax", told, order.payable_amount, currency)


def _revenue(state: OrderState, order: SalesOrder, ledger: Attributes) -> Iterator[BrokenRule]:
    """Recognised revenue is at most the value of what was shipped (IFRS 15.31)."""
    sent: dict[str, Decimal] = {}
    for shipment in state.fulfilment.shipments if state.fulfilment is not None else ():
        for moved in shipment.lines:
            sent[moved.line_id] = sent.get(moved.line_id, _ZERO) + moved.quantity
    currency = order.document_currency_code
    shipped = sum(
        (
            share(
                line.line_extension_amount, min(sent.get(line.line_id, _ZERO), line.quantity), line.quantity, currency
            )
            for line in order.order_lines
        ),
        _ZERO,
    )
    revenue = _amount(ledger, Measure.REVENUE, currency)
    if revenue > shipped:
        yield BrokenRule("ledger", "revenue_within_shipped", shipped, revenue, currency)


def _receivable(order: SalesOrder, erp: Attributes, ledger: Attributes) -> Iterator[BrokenRule]:
    """What the ERP shows as open is the ledger's receivable."""
    currency = order.document_currency_code
    opened = max(max(Decimal(erp.get("invoiced_amount", "0")), _ZERO) - Decimal(erp.get("paid_amount", "0")), _ZERO)
    receivable = _amount(ledger, Measure.RECEIVABLE, currency)
    if opened != receivable:
        yield BrokenRule("ledger", "receivable_equals_erp_open", opened, receivable, currency)


def _amount(ledger: Attributes, measure: Measure, currency: str) -> Decimal:
    return Decimal(ledger.get(f"{measure.value}[{currency}]", "0"))

"""What the ledger must show of an order, from the order's facts alone: the accounting is not asked.

Stated anew on purpose, so that a fault of the accounting rules is found here. Source: IFRS 15.31 (revenue when control
passes), 15.87 (credit notes), 15.105-108 (what customers owe and are owed),
IAS 2.34 (cost of what was sold).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from consumers.reconcile.attributes import Attributes, text_of
from schemas.allocation import allocate, rounded, share
from schemas.models import Fulfilment, OrderLine, OrderState, SalesOrder, Settlement

_ZERO = Decimal(0)
_CREDIT_NOTE = "381"


class Measure(Enum):
    """A balance of the ledger about one order; the value is its name in mismatches."""

    REVENUE = "revenue_amount"
    SHIPPING_REVENUE = "shipping_revenue_amount"
    TAX_PAYABLE = "tax_payable_amount"
    CASH = "cash_amount"
    RECEIVABLE = "receivable_amount"
    """What was invoiced and not yet paid; also what was refunded beyond what was received."""
    CUSTOMER = "customer_balance_amount"
    """Receivables and contract assets less contract liabilities: what the customer owes for what it has."""
    OVERDRAWN = "contract_liability_overdrawn_amount"
    """A contract liability below nothing, which there must not be."""
    COST_OF_GOODS_SOLD = "cost_of_goods_sold_amount"
    IMBALANCE = "imbalance_amount"
    """Debits less credits."""
    FUNCTIONAL_IMBALANCE = "functional_imbalance_amount"


class Balance(NamedTuple):
    """A measure in a currency."""

    measure: Measure
    currency_code: str


Balances = Mapping[Balance, Decimal]


def attributes_of(balances: Balances) -> Attributes:
    """The balances that are not zero, as attributes such as `revenue_amount[EUR]`."""
    return {
        f"{balance.measure.value}[{balance.currency_code}]": text_of(amount)
        for balance, amount in balances.items()
        if amount
    }


def expected_ledger(state: OrderState) -> Attributes:
    """What the ledger should show of an order; nothing where nothing was shipped or paid."""
    order, enrichment = state.order, state.enrichment
    if order is None or enrichment is None:
        return {}
    functional = enrichment.functional_currency_code
    costs = {line.line_id: line.standard_cost_amount for line in enrichment.lines}
    moved = _moved(state.fulfilment, order)
    cost = sum((rounded(costs.get(one.line.line_id, _ZERO) * one.kept, functional) for one in moved), _ZERO)
    balances = balances_of(order, state.fulfilment, state.settlement)
    return attributes_of(balances | {Balance(Measure.COST_OF_GOODS_SOLD, functional): cost})


def balances_of(
    order: SalesOrder | None, fulfilment: Fulfilment | None, settlement: Settlement | None
) -> dict[Balance, Decimal]:
    """What the ledger should show of an order in its own currency, from the facts of its sources; without costs.

    Without commercial facts only the money that moved is known.
    """
    currency = order.document_currency_code if order is not None else _currency_of(settlement)
    revenue = shipping = tax = _ZERO
    if order is not None:
        revenue, shipping, tax = _earned(_transferred(order, _moved(fulfilment, order)), order, settlement)
    paid = _paid(settlement)
    return {
        Balance(Measure.REVENUE, currency): revenue,
        Balance(Measure.SHIPPING_REVENUE, currency): shipping,
        Balance(Measure.TAX_PAYABLE, currency): tax,
        Balance(Measure.CASH, currency): paid,
        Balance(Measure.CUSTOMER, currency): revenue + shipping + tax - paid,
        Balance(Measure.RECEIVABLE, currency): max(_due(settlement) - paid, _ZERO),
    }


def _currency_of(settlement: Settlement | None) -> str:
    if settlement is None:
        return ""
    invoiced = [one.document_currency_code for one in settlement.invoices]
    return next(iter(invoiced + [one.document_currency_code for one in settlement.payments]), "")


class _MovedLine(NamedTuple):
    """An order line, what was sent of the quantity ordered, and what the customer has kept of it."""

    line: OrderLine
    sent: Decimal
    kept: Decimal

    def value(self, amount: Decimal, currency: str) -> Decimal:
        """The part of an amount of the line that is earned: what was sent, less what came back, each rounded."""
        sent = share(amount, self.sent, self.line.quantity, currency)
        return sent - share(amount, self.sent - self.kept, self.line.quantity, currency)


def _moved(fulfilment: Fulfilment | None, order: SalesOrder) -> list[_MovedLine]:
    shipments = fulfilment.shipments if fulfilment is not None else []
    returns = fulfilment.returns if fulfilment is not None else []
    gone = [(line.line_id, line.quantity) for shipment in shipments for line in shipment.lines]
    back = [(line.line_id, line.quantity) for accepted in returns for line in accepted.lines]
    moved = []
    for line in order.order_lines:
        all_sent = sum((quantity for line_id, quantity in gone if line_id == line.line_id), _ZERO)
        returned = sum((quantity for line_id, quantity in back if line_id == line.line_id), _ZERO)
        kept = min(line.quantity, max(all_sent - returned, _ZERO))
        moved.append(_MovedLine(line, min(line.quantity, all_sent), kept))
    return moved


def _transferred(order: SalesOrder, moved: list[_MovedLine]) -> tuple[Decimal, Decimal, Decimal]:
    """Revenue, shipping revenue and tax; charges are earned by shipping and stay earned after a return."""
    if not any(one.sent for one in moved):
        return _ZERO, _ZERO, _ZERO
    currency = order.document_currency_code
    revenue = sum((one.value(one.line.line_extension_amount, currency) for one in moved), _ZERO)
    tax = sum((one.value(one.line.tax_amount, currency) for one in moved), _ZERO)
    tax_of_charges = order.tax_amount - sum((line.tax_amount for line in order.order_lines), _ZERO)
    sent_value = sum(
        (share(one.line.line_extension_amount, one.sent, one.line.quantity, currency) for one in moved), _ZERO
    )
    charges = [
        share(amount, sent_value, order.line_extension_amount, currency)
        for amount in (order.charge_total_amount, tax_of_charges)
    ]
    return revenue, charges[0], tax + charges[1]


def _earned(
    transferred: tuple[Decimal, Decimal, Decimal], order: SalesOrder, settlement: Settlement | None
) -> tuple[Decimal, Decimal, Decimal]:
    """What was transferred, but with credit notes no more than they leave to be paid (IFRS 15.87), in proportion."""
    invoices = settlement.invoices if settlement is not None else []
    credited = sum((one.payable_amount for one in invoices if one.invoice_type_code == _CREDIT_NOTE), _ZERO)
    invoiced = sum((one.payable_amount for one in invoices if one.invoice_type_code != _CREDIT_NOTE), _ZERO)
    price = max(min(order.payable_amount, max(invoiced, order.payable_amount) - credited), _ZERO)
    excess = sum(transferred, _ZERO) - price
    if not credited or excess <= 0:
        return transferred
    less = allocate(excess, [max(part, _ZERO) for part in transferred], order.document_currency_code)
    return transferred[0] - less[0], transferred[1] - less[1], transferred[2] - less[2]


def _due(settlement: Settlement | None) -> Decimal:
    invoices = settlement.invoices if settlement is not None else []
    signed = (one.payable_amount * (-1 if one.invoice_type_code == _CREDIT_NOTE else 1) for one in invoices)
    return max(sum(signed, _ZERO), _ZERO)


def _paid(settlement: Settlement | None) -> Decimal:
    payments = settlement.payments if settlement is not None else []
    return sum(
        ((-one.paid_amount if one.payment_type_code == "refund" else one.paid_amount) for one in payments), _ZERO
    )

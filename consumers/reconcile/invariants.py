"""What the ledger must show of an order, from the order's facts alone: the accounting is not asked.

Stated anew on purpose, so that a fault of the accounting rules is found here. Source: IFRS 15.31 (revenue when control
passes), 15.105-108 (contract assets, receivables and liabilities), IAS 2.34 (cost of what was sold).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from consumers.reconcile.attributes import Attributes, text_of
from schemas.allocation import rounded, share
from schemas.models import OrderState, SalesOrder

_ZERO = Decimal(0)


class Measure(Enum):
    """A balance of the ledger about one order; the value is its name in mismatches."""

    REVENUE = "revenue_amount"
    SHIPPING_REVENUE = "shipping_revenue_amount"
    TAX_PAYABLE = "tax_payable_amount"
    CASH = "cash_amount"
    CUSTOMER = "customer_balance_amount"
    """Receivables and contract assets less contract liabilities: what the customer owes for what it has."""
    OVERDRAWN = "contract_liability_overdrawn_amount"
    """A contract liability below nothing; it may only come from refunds beyond what was received."""
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
    currency, functional = order.document_currency_code, enrichment.functional_currency_code
    kept, shipped = _quantities(state, order)
    revenue, shipping, tax = _transferred(order, kept, shipped)
    paid = _paid(state)
    costs = {line.line_id: line.standard_cost_amount for line in enrichment.lines}
    cost = sum((rounded(costs.get(line_id, _ZERO) * quantity, functional) for line_id, quantity in kept.items()), _ZERO)
    return attributes_of(
        {
            Balance(Measure.REVENUE, currency): revenue,
            Balance(Measure.SHIPPING_REVENUE, currency): shipping,
            Balance(Measure.TAX_PAYABLE, currency): tax,
            Balance(Measure.CASH, currency): paid,
            Balance(Measure.CUSTOMER, currency): revenue + shipping + tax - paid,
            Balance(Measure.OVERDRAWN, currency): max(-paid, _ZERO),
            Balance(Measure.COST_OF_GOODS_SOLD, functional): cost,
        }
    )


def _quantities(state: OrderState, order: SalesOrder) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """By line, what the customer has kept and what was shipped, neither more than was ordered."""
    shipments = state.fulfilment.shipments if state.fulfilment is not None else []
    returns = state.fulfilment.returns if state.fulfilment is not None else []
    sent = [(line.line_id, line.quantity) for shipment in shipments for line in shipment.lines]
    back = [(line.line_id, line.quantity) for accepted in returns for line in accepted.lines]
    kept, shipped = {}, {}
    for line in order.order_lines:
        shipped[line.line_id] = min(line.quantity, sum((much for one, much in sent if one == line.line_id), _ZERO))
        returned = sum((much for one, much in back if one == line.line_id), _ZERO)
        kept[line.line_id] = max(shipped[line.line_id] - returned, _ZERO)
    return kept, shipped


def _transferred(
    order: SalesOrder, kept: Mapping[str, Decimal], shipped: Mapping[str, Decimal]
) -> tuple[Decimal, Decimal, Decimal]:
    """Revenue, shipping revenue and tax; charges are earned by shipping and stay earned after a return."""
    if not any(shipped.values()):
        return _ZERO, _ZERO, _ZERO
    currency = order.document_currency_code
    revenue = tax = shipped_value = line_tax = _ZERO
    for line in order.order_lines:
        revenue += share(line.line_extension_amount, kept[line.line_id], line.quantity, currency)
        tax += share(line.tax_amount, kept[line.line_id], line.quantity, currency)
        shipped_value += share(line.line_extension_amount, shipped[line.line_id], line.quantity, currency)
        line_tax += line.tax_amount
    total = order.line_extension_amount
    shipping = share(order.charge_total_amount, shipped_value, total, currency)
    tax += share(order.tax_amount - line_tax, shipped_value, total, currency)
    return revenue, shipping, tax


def _paid(state: OrderState) -> Decimal:
    payments = state.settlement.payments if state.settlement is not None else []
    return sum(
        ((-one.paid_amount if one.payment_type_code == "refund" else one.paid_amount) for one in payments), _ZERO
    )

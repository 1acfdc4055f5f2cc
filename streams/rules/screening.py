"""A quick look that most orders pass, so that the rules need to be asked only about the others.

`is_plain` is True only where no rule about commercial facts could find anything; False says nothing. It restates
the rules in one pass over the lines; `tests/unit/test_rules_screening.py` holds it to them on random orders.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from schemas.currencies import exponent_of, is_currency
from schemas.models import OrderLine, SalesOrder
from streams.rules.commercial import STATUSES, is_country_code, is_unit_code
from streams.rules.facts import Candidate
from streams.rules.quantities import ZERO


def is_plain(candidate: Candidate) -> bool:
    """Whether the order is one that every commercial and lifecycle rule accepts without a warning."""
    order, previous = candidate.order, candidate.previous
    return (
        order is not None
        and candidate.fulfilment is None
        and candidate.settlement is None
        and not candidate.is_deleted
        and order.order_id == candidate.event.order_id
        and order.order_id.partition(":")[0] == candidate.event.source.system
        and order.order_status in STATUSES
        and (previous is None or previous.order_status == order.order_status)
        and _has_plain_dates_and_place(order)
        and (previous is not None or _has_plain_parties(candidate))
        and _adds_up(order)
    )


def _has_plain_dates_and_place(order: SalesOrder) -> bool:
    address, requested = order.delivery_address, order.requested_delivery_date
    return (requested is None or requested >= order.issue_date) and (
        address is None or not address.country_code or is_country_code(address.country_code)
    )


def _has_plain_parties(candidate: Candidate) -> bool:
    customer = candidate.customer
    return (customer is None or not customer.is_blocked) and not any(
        product.is_discontinued for product in candidate.products
    )


def _adds_up(order: SalesOrder) -> bool:
    coin = _coin(order.document_currency_code)
    lines = order.order_lines
    if coin is None or not lines:
        return False
    net, tax = ZERO, ZERO
    for line in lines:
        if not _is_plain_line(line, coin):
            return False
        net += line.line_extension_amount
        tax += line.tax_amount
    charges, exclusive = order.charge_total_amount, order.tax_exclusive_amount
    return (
        len({line.line_id for line in lines}) == len(lines)
        and net == order.line_extension_amount
        and net + charges == exclusive
        and ZERO <= order.tax_amount - tax <= charges
        and exclusive + order.tax_amount == order.payable_amount
        and not charges % coin
        and not order.tax_amount % coin
    )


def _is_plain_line(line: OrderLine, coin: Decimal) -> bool:
    amount, quantity, price = line.line_extension_amount, line.quantity, line.price_amount
    return (
        quantity * price - line.allowance_total_amount == amount
        and quantity > 0
        and price >= 0
        and line.allowance_total_amount >= 0
        and not amount % coin
        and not line.tax_amount % coin
        and is_unit_code(line.unit_code)
    )


@lru_cache(maxsize=256)
def _coin(currency: str) -> Decimal | None:
    return Decimal(1).scaleb(-exponent_of(currency)) if is_currency(currency) else None

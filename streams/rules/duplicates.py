"""Finds orders that were entered twice: the same customer, reference and amount within a window of days.

The two orders have different ids, so they are decided in different partitions, maybe at the same instant in different
workers. To refuse the second one, every decision would have to wait for a claim on its reference that all workers agree
upon: a topic of claims by reference, one more record and one more round trip for each order. Instead the committed
versions are looked at afterwards. That finds each pair whatever the partitions and whichever came first, holds up no
order, and costs the stream nothing; only the refusal is left to people, who know which of the two is meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from schemas.attributes import CustomerId, OrderId
from schemas.models import OrderState
from streams.rules.merging import DELETED

_OFF = ("cancelled", DELETED)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What makes two orders the same to the customer."""

    customer_id: CustomerId
    customer_reference: str
    payable_amount: Decimal
    currency_code: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An order, and the earlier one that it repeats."""

    order_id: OrderId
    placed_at: datetime
    repeats: OrderId
    fingerprint: Fingerprint


def duplicates(states: Iterable[OrderState], window: timedelta) -> list[Duplicate]:
    """Orders that repeat an earlier one placed at most `window` before, in the order of their placing.

    `states` are the latest versions, in any order. Orders that were cancelled or deleted, and those without a
    reference of the customer, repeat nothing. Source: I3.
    """
    last: dict[Fingerprint, OrderState] = {}
    found = []
    for state in sorted(states, key=lambda one: (one.placed_at, one.order_id)):
        fingerprint = _fingerprint(state)
        if fingerprint is None:
            continue
        before = last.get(fingerprint)
        if before is not None and state.placed_at - before.placed_at <= window:
            found.append(Duplicate(state.order_id, state.placed_at, before.order_id, fingerprint))
        last[fingerprint] = state
    return found


def _fingerprint(state: OrderState) -> Fingerprint | None:
    order = state.order
    if order is None or state.order_status in _OFF or not (order.customer_reference or "").strip():
        return None
    reference = (order.customer_reference or "").strip().casefold()
    amount = order.payable_amount.normalize()
    return Fingerprint(order.buyer_customer_party_id, reference, amount, order.document_currency_code)

"""What each period end asks of live orders: monetary items at the closing rate, expected returns estimated anew; pure.

Both bring what the ledger carries to what it should carry, so they reverse themselves when an invoice is paid, goods
come back or the right to return them lapses, and a second run of the same period end finds nothing to post.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import uuid5

from schemas.allocation import rounded
from schemas.attributes import EventId, OrderId
from schemas.models import JournalEntry, JournalLine
from schemas.models.source import EVENT_NAMESPACE
from streams.rules.accounting.accounts import (
    CONTRACT_ASSETS,
    COST_OF_GOODS_SOLD,
    EXCHANGE_DIFFERENCES,
    REFUND_LIABILITIES,
    REVENUE,
    RIGHT_TO_RECOVER_GOODS,
    TRADE_RECEIVABLES,
)
from streams.rules.accounting.catalogue import EXPECTED_RECOVERY, REMEASUREMENT, RETURN_ESTIMATE, AccountingRule
from streams.rules.accounting.posts import Balances, Post
from streams.rules.quantities import ZERO, as_text

MONETARY = (TRADE_RECEIVABLES, CONTRACT_ASSETS)
"""What takes the closing rate; contract liabilities keep the rate they came with. Source: IAS 21.16, IFRIC 22.8."""

_RATE_UNIT = Decimal("1e-10")
PORTFOLIO = "returns:"
"""What stands before product group and currency in the `order_id` of a portfolio's entries."""


@dataclass(frozen=True, slots=True)
class ClosingRate:
    """Functional currency for one unit of a currency at the period end."""

    rate: Decimal
    on: date
    provider: str


@dataclass(frozen=True, slots=True)
class Carried:
    """Monetary items of one order in one foreign currency, by control account."""

    order_id: OrderId
    currency: str
    functional_currency: str
    document: Mapping[str, Decimal]
    functional: Mapping[str, Decimal]
    customer_id: str | None
    entries: int
    """Entries that this rule has made of them so far."""


@dataclass(frozen=True, slots=True)
class Sales:
    """What was sold and may still come back of one product group in one currency; costs in functional currency."""

    product_category: str
    currency: str
    functional_currency: str
    sold: Decimal
    returned: Decimal
    functional_net: Decimal
    net_cost: Decimal
    refund_liability: Decimal
    """What the ledger carries so far, as the two below."""
    functional_refund_liability: Decimal
    right_to_recover: Decimal
    entries: int


def remeasured(carried: Carried, closing: ClosingRate, day: date) -> JournalEntry | None:
    """The entry that brings monetary items to the closing rate; None where they are at it.

    Called for each order with foreign items at a period end, also for those that were settled since the last one: what
    was carried of them beyond their amount is reversed. Source: IAS 21.23(a), 21.28.
    """
    moved: dict[Post, Decimal] = {}
    arithmetic = []
    for account, amount in sorted(carried.document.items()):
        before = carried.functional.get(account, ZERO)
        target = rounded(amount * closing.rate, carried.functional_currency)
        if target != before:
            moved[Post(account)] = target - before
            arithmetic.append(
                f"{account}: {as_text(amount)} {carried.currency} x {as_text(closing.rate)} = {as_text(target)}, "
                f"carried {as_text(before)}"
            )
    if not moved:
        return None
    if total := sum(moved.values(), ZERO):
        moved[Post(EXCHANGE_DIFFERENCES)] = -total
    key = f"{carried.order_id}/{carried.currency}/{carried.entries}"
    return _entry(
        _Draft(REMEASUREMENT, key, carried.order_id, day, carried.currency, carried.functional_currency),
        {},
        moved,
        arithmetic,
        closing,
        carried.customer_id,
    )


def returns_estimated(sales: Sales, percent: Decimal, day: date) -> list[JournalEntry]:
    """The entries that bring refund liability and right to recover goods to what is still expected back.

    Called for each product group and currency at a period end with the sales whose right of return has not lapsed:
    a portfolio of similar contracts. Expected is `percent` of what was sold less what came back of it already, never
    less than nothing nor more than what the customers still have. Source: IFRS 15.4, 15.B20-B27.
    """
    net = sales.sold - sales.returned
    expected = min(max(sales.sold * percent / 100 - sales.returned, ZERO), max(net, ZERO))
    refund = rounded(expected, sales.currency)
    functional_refund, recovery = (
        # Multiplied first: a share has no end, and what is rounded would come to lie beside half a coin.
        rounded(whole * expected / net if net else ZERO, sales.functional_currency)
        for whole in (sales.functional_net, sales.net_cost)
    )
    order_id = OrderId(f"{PORTFOLIO}{sales.product_category}:{sales.currency}")
    found = []
    if refund != sales.refund_liability or functional_refund != sales.functional_refund_liability:
        less = sales.refund_liability - refund
        found.append(
            _entry(
                _draft(RETURN_ESTIMATE, sales, order_id, day, sales.currency),
                _pair(REFUND_LIABILITIES, REVENUE, less),
                _pair(REFUND_LIABILITIES, REVENUE, sales.functional_refund_liability - functional_refund),
                [
                    f"{as_text(percent)} % of {as_text(sales.sold)} sold - {as_text(sales.returned)} returned = "
                    f"{as_text(refund)} still expected back, carried {as_text(sales.refund_liability)}"
                ],
                _booked_rate(sales, net, day),
                category=sales.product_category,
            )
        )
    if recovery != sales.right_to_recover:
        pair = _pair(RIGHT_TO_RECOVER_GOODS, COST_OF_GOODS_SOLD, recovery - sales.right_to_recover)
        found.append(
            _entry(
                _draft(EXPECTED_RECOVERY, sales, order_id, day, sales.functional_currency),
                pair,
                pair,
                [
                    f"{as_text(expected)} of {as_text(net)} {sales.currency} expected back, of costs "
                    f"{as_text(sales.net_cost)} = {as_text(recovery)}, carried {as_text(sales.right_to_recover)}"
                ],
                category=sales.product_category,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Draft:
    rule: AccountingRule
    key: str
    order_id: OrderId
    day: date
    currency: str
    functional_currency: str


def _draft(rule: AccountingRule, sales: Sales, order_id: OrderId, day: date, currency: str) -> _Draft:
    key = f"{order_id}/{sales.functional_currency}/{sales.entries}"
    return _Draft(rule, key, order_id, day, currency, sales.functional_currency)


def _booked_rate(sales: Sales, net: Decimal, day: date) -> ClosingRate:
    """The rate that the sales were posted at, on average."""
    rate = (sales.functional_net / net).quantize(_RATE_UNIT) if net > 0 and sales.functional_net > 0 else Decimal(1)
    return ClosingRate(rate, day, "as the sales")


def _pair(account: str, counter: str, debit: Decimal) -> Balances:
    return {Post(account): debit, Post(counter): -debit} if debit else {}


def _entry(
    draft: _Draft,
    document: Balances,
    functional: Balances,
    arithmetic: list[str],
    closing: ClosingRate | None = None,
    customer_id: str | None = None,
    *,
    category: str | None = None,
) -> JournalEntry:
    at = datetime.combine(draft.day, time(), UTC)
    entry_id = EventId(str(uuid5(EVENT_NAMESPACE, f"period_end/{draft.rule.name}/{draft.key}/{draft.day}")))
    return JournalEntry(
        entry_id=entry_id,
        order_id=draft.order_id,
        order_version=1,
        event_id=entry_id,
        rule=draft.rule.name,
        standard_reference=draft.rule.standard_reference,
        posting_date=draft.day,
        period=f"{draft.day:%Y-%m}",
        currency_code=draft.currency,
        functional_currency_code=draft.functional_currency,
        exchange_rate=closing.rate if closing is not None else Decimal(1),
        exchange_rate_date=closing.on if closing is not None else None,
        exchange_rate_provider=closing.provider if closing is not None else None,
        description=draft.rule.description,
        explanation="\n".join(arithmetic),
        customer_id=customer_id,
        committed_at=at,
        processed_at=at,
        lines=[
            _line(post, document.get(post, ZERO), functional.get(post, ZERO), category)
            for post in sorted({**document, **functional})
        ],
    )


def _line(post: Post, amount: Decimal, functional: Decimal, category: str | None) -> JournalLine:
    return JournalLine(
        account_code=post.account,
        debit_amount=max(amount, ZERO),
        credit_amount=max(-amount, ZERO),
        functional_debit_amount=max(functional, ZERO),
        functional_credit_amount=max(-functional, ZERO),
        product_category=category,
    )

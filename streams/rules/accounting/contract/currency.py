"""Amounts of a contract in the functional currency of the ledger.

Advance consideration keeps the rate of the day it came (IFRIC 22): the oldest is earned first. Receivables, contract
assets and refund liabilities are monetary: they take the closing rate at each period end, and what they bring more or
less when they are settled is an exchange difference in profit or loss (IAS 21.28).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from schemas.allocation import allocate, rounded
from schemas.errors import InvalidValue
from streams.rules.accounting.accounts import (
    CASH,
    CONTRACT_ASSETS,
    CONTRACT_LIABILITIES,
    EXCHANGE_DIFFERENCES,
    LOSS_ALLOWANCE,
    NONCASH_CONSIDERATION,
    PAYABLE_TO_PRINCIPALS,
    REFUND_LIABILITIES,
    REPURCHASE_LIABILITIES,
    TAX_PAYABLE,
    TRADE_RECEIVABLES,
)
from streams.rules.accounting.contract.terms import ExchangeRate, Terms
from streams.rules.accounting.posts import Balances, Post

_MONETARY = frozenset({TRADE_RECEIVABLES, CONTRACT_ASSETS, REFUND_LIABILITIES, LOSS_ALLOWANCE, REPURCHASE_LIABILITIES})
_AT_SPOT = frozenset({CASH, NONCASH_CONSIDERATION})
_REMEASURED = _MONETARY | {TAX_PAYABLE, PAYABLE_TO_PRINCIPALS}
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Carried:
    """What the open balances are carried at in the functional currency."""

    document: Mapping[Post, Decimal] = field(default_factory=dict)
    functional: Mapping[Post, Decimal] = field(default_factory=dict)
    advances: tuple[tuple[Decimal, Decimal], ...] = ()
    """Contract liability by receipt, oldest first: amount and functional amount."""


def rate_on(terms: Terms, day: date) -> ExchangeRate:
    """The newest rate of `day` or before; 1 where the contract is in the functional currency.

    Raises:
        InvalidValue: there is none.
    """
    if terms.currency == terms.functional:
        return ExchangeRate(on=day, rate=Decimal(1), source="same currency")
    known = [rate for rate in terms.exchange_rates if rate.on <= day]
    if not known:
        raise InvalidValue(
            f"contract {terms.contract!r}: no exchange rate {terms.currency} to {terms.functional} on or before {day}; "
            "add it to exchange_rates"
        )
    return max(known, key=lambda rate: rate.on)


def converted(moved: Balances, carried: Carried, rate: Decimal, currency: str) -> tuple[dict[Post, Decimal], Carried]:
    """What a movement is in the functional currency, and what is carried after it; it balances as `moved` does."""
    found: dict[Post, Decimal] = {}
    advances = carried.advances
    difference = _ZERO
    for post, amount in moved.items():
        if post.account == CONTRACT_LIABILITIES:
            found[post], advances = _advance(amount, advances, rate, currency)
        elif post.account in _MONETARY:
            found[post] = _monetary(post, amount, carried, rate, currency)
            difference += rounded(amount * rate, currency) - found[post] if _falls(post, amount, carried) else _ZERO
        elif post.account in _AT_SPOT:
            found[post] = rounded(amount * rate, currency)
    others = {post: amount for post, amount in moved.items() if post not in found}
    target = -sum(found.values(), _ZERO) - difference
    if others:
        found |= _spread(target, others, rate, currency)
    else:
        difference += target
    if difference:
        found[Post(EXCHANGE_DIFFERENCES)] = found.get(Post(EXCHANGE_DIFFERENCES), _ZERO) + difference
    return found, Carried(_sum(carried.document, moved), _sum(carried.functional, found), advances)


def remeasured(carried: Carried, rate: Decimal, currency: str) -> tuple[dict[Post, Decimal], Carried]:
    """The movement that brings monetary items to the closing rate. Source: IAS 21.23(a), 21.28."""
    found = {}
    for post, amount in carried.document.items():
        if post.account in _REMEASURED:
            moved = rounded(amount * rate, currency) - carried.functional.get(post, _ZERO)
            if moved:
                found[post] = moved
    total = sum(found.values(), _ZERO)
    if total:
        found[Post(EXCHANGE_DIFFERENCES)] = -total
    return found, Carried(carried.document, _sum(carried.functional, found), carried.advances)


def _advance(
    amount: Decimal, advances: tuple[tuple[Decimal, Decimal], ...], rate: Decimal, currency: str
) -> tuple[Decimal, tuple[tuple[Decimal, Decimal], ...]]:
    """A contract liability grows at today's rate and shrinks at the rates that its oldest parts came with."""
    if amount < 0:
        functional = rounded(amount * rate, currency)
        return functional, (*advances, (-amount, -functional))
    released, left = _ZERO, list(advances)
    while amount and left:
        whole, value = left.pop(0)
        part = min(whole, amount)
        share = value if part == whole else rounded(value * part / whole, currency)
        released, amount = released + share, amount - part
        if part < whole:
            left.insert(0, (whole - part, value - share))
    return released + rounded(amount * rate, currency), tuple(left)


def _falls(post: Post, amount: Decimal, carried: Carried) -> bool:
    return amount * carried.document.get(post, _ZERO) < 0


def _monetary(post: Post, amount: Decimal, carried: Carried, rate: Decimal, currency: str) -> Decimal:
    """What leaves a monetary balance leaves at what it is carried at; what comes, comes at today's rate."""
    balance, value = carried.document.get(post, _ZERO), carried.functional.get(post, _ZERO)
    if not _falls(post, amount, carried):
        return rounded(amount * rate, currency)
    if abs(amount) >= abs(balance):
        return -value + rounded((amount + balance) * rate, currency)
    return rounded(value * amount / balance, currency)


def _spread(target: Decimal, others: Balances, rate: Decimal, currency: str) -> dict[Post, Decimal]:
    """The other accounts at today's rate, and on top of it what makes their sum `target`."""
    found = {post: rounded(amount * rate, currency) for post, amount in others.items()}
    missing = target - sum(found.values(), _ZERO)
    parts = allocate(missing, [abs(amount) for amount in others.values()], currency)
    return {post: found[post] + part for post, part in zip(others, parts, strict=True)}


def _sum(before: Mapping[Post, Decimal], moved: Mapping[Post, Decimal]) -> dict[Post, Decimal]:
    return {post: before.get(post, _ZERO) + moved.get(post, _ZERO) for post in {**before, **moved}}

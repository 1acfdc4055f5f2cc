"""Revenue, tax, amounts due and expected refunds of a contract, each from its state alone."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from streams.rules.accounting.contract.pricing import largest_remainder, rounded_to
from streams.rules.accounting.contract.state import ZERO, Component, ContractState, Nature, ObligationPart

_STATES = 16
"""Of which the measures are kept: an event looks at few states, but often."""


def allocated(component: Component, unit: Decimal) -> Mapping[str, Decimal]:
    """The component's amount by obligation part, to the unit."""
    keys = list(component.weights)
    if not sum(component.weights.values(), Fraction(0)):
        return dict.fromkeys(keys, ZERO)
    sign = -1 if component.amount < 0 else 1
    parts = largest_remainder(abs(component.amount), [component.weights[key] for key in keys], unit)
    return {key: sign * part for key, part in zip(keys, parts, strict=True)}


@lru_cache(maxsize=_STATES)
def prices(state: ContractState, *natures: Nature) -> Mapping[str, Decimal]:
    """Allocated transaction price by obligation part, of components of these natures or of all."""
    found = dict.fromkeys(state.parts, ZERO)
    for component in state.components.values():
        if not natures or component.nature in natures:
            for key, amount in allocated(component, state.unit).items():
                found[key] += amount
    return found


@lru_cache(maxsize=_STATES)
def revenues(state: ContractState) -> Mapping[str, Decimal]:
    """Cumulative revenue by obligation part, before an agent's share is taken."""
    priced = prices(state)
    return {key: _revenue(part, priced[key], state.unit) for key, part in state.parts.items()}


def _revenue(part: ObligationPart, price: Decimal, unit: Decimal) -> Decimal:
    if part.terms.is_priced_by_volume:
        return rounded_to((part.kept - part.expected_back) * Fraction(unit_price(part)), unit)
    if part.is_over_time and part.terms.measure == "cost_recovery":
        return min(part.costs, price)
    uninstalled = part.terms.uninstalled_costs
    if uninstalled:
        return _earned(price - uninstalled, part.earned_share, unit) + min(part.uninstalled_costs, uninstalled)
    return _earned(price, part.earned_share, unit)


def unit_price(part: ObligationPart) -> Decimal:
    """Price of one unit at the volume expected, the highest tier that it reaches."""
    volume = max(part.expected_volume, Decimal(part.kept.numerator) / Decimal(part.kept.denominator))
    reached = [tier for tier in part.terms.tiers if tier.from_quantity <= volume]
    if not reached:
        return list_price(part)
    return max(reached, key=lambda tier: tier.from_quantity).unit_price


def list_price(part: ObligationPart) -> Decimal:
    """Price of one unit as it is billed, before any volume discount."""
    if part.terms.unit_price is not None:
        return part.terms.unit_price
    return min(part.terms.tiers, key=lambda tier: tier.from_quantity).unit_price


@lru_cache(maxsize=_STATES)
def billable(state: ContractState) -> Mapping[str, Decimal]:
    """What is due without tax for what the customer has, by obligation part: certain prices, before any rebate."""
    certain = prices(state, Nature.FIXED, Nature.IMPLICIT)
    due = {}
    for key, part in state.parts.items():
        if part.terms.is_priced_by_volume:
            due[key] = rounded_to(part.kept * Fraction(list_price(part)), state.unit)
        elif part.is_over_time and (part.terms.measure == "cost_recovery" or part.terms.uninstalled_costs):
            due[key] = _revenue(part, certain[key], state.unit)
        else:
            due[key] = _earned(certain[key], part.gross_share, state.unit)
    return due


@lru_cache(maxsize=_STATES)
def taxes(state: ContractState) -> Mapping[str, Decimal]:
    """Tax by obligation part on what the customer has."""
    return {
        key: rounded_to(Fraction(amount) * Fraction(state.parts[key].terms.tax_percent) / 100, state.unit)
        for key, amount in billable(state).items()
    }


@lru_cache(maxsize=_STATES)
def amount_due(state: ContractState) -> Decimal:
    """What the customer owed unconditionally so far, before payments."""
    firm = state.invoiced - state.credit_notes + state.interest_due - state.written_off
    gross = sum(billable(state).values(), ZERO) + sum(taxes(state).values(), ZERO)
    if not state.contract.is_billed_by_invoice:
        return firm + gross
    return firm + min(state.invoiced_cancellable, max(gross - state.invoiced, ZERO))


@lru_cache(maxsize=_STATES)
def expected_refunds(state: ContractState) -> Decimal:
    """What is expected to be given back of what is due for the goods that the customer has."""
    estimated, payable = prices(state, Nature.VARIABLE), prices(state, Nature.PAYABLE)
    promised = sum((_earned(-payable[key], part.gross_share, state.unit) for key, part in state.parts.items()), ZERO)
    certain = prices(state, Nature.FIXED, Nature.IMPLICIT)
    refunds = max(_returned(state, certain) - state.credited, ZERO) if state.contract.is_billed_by_invoice else ZERO
    for key, part in state.parts.items():
        if part.terms.is_priced_by_volume:
            refunds += rounded_to(part.kept * Fraction(list_price(part)), state.unit)
            refunds -= rounded_to((part.kept - part.expected_back) * Fraction(unit_price(part)), state.unit)
        else:
            refunds += _earned(certain[key], part.gross_share, state.unit)
            refunds -= _earned(certain[key], part.earned_share, state.unit)
            refunds += max(-_earned(estimated[key], part.gross_share, state.unit), ZERO)
    return refunds + max(promised - state.paid_to_customer, ZERO)


def _returned(state: ContractState, certain: Mapping[str, Decimal]) -> Decimal:
    """Price and tax of what came back."""
    total = Fraction(0)
    for key, part in state.parts.items():
        whole = part.transferred if part.is_closed else part.quantity
        if part.returned and whole:
            each = Fraction(list_price(part)) if part.terms.is_priced_by_volume else Fraction(certain[key]) / whole
            total += part.returned * each * (1 + Fraction(part.terms.tax_percent) / 100)
    return rounded_to(total, state.unit)


def _earned(price: Decimal, share: Fraction, unit: Decimal) -> Decimal:
    return price if share == 1 else rounded_to(Fraction(price) * share, unit)

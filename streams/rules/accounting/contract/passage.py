"""Steps that time alone brings: interest, services that are satisfied evenly, amortisation of contract costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from streams.rules.accounting import catalogue as rules
from streams.rules.accounting.accounts import CONTRACT_ASSETS, CONTRACT_LIABILITIES, TRADE_RECEIVABLES
from streams.rules.accounting.contract.balances import balances
from streams.rules.accounting.contract.pricing import rounded_to
from streams.rules.accounting.contract.state import ZERO, CapitalisedCost, Component, ContractState, Nature
from streams.rules.accounting.contract.step import Step
from streams.rules.accounting.contract.terms import Financing
from streams.rules.accounting.contract.time import elapsed_share, growth
from streams.rules.accounting.posts import Post

INTEREST = "interest"


def accrue_interest(state: ContractState, on: date) -> Step | None:
    """Interest on what is owed since the last accrual, if the contract has a financing component. IFRS 15.60-65."""
    financing = state.contract.financing
    since = state.accrued_on or state.contract.signed_on
    if financing is None or on <= since:
        return None
    state = replace(state, accrued_on=on)
    found = balances(state)
    liability = -found.get(Post(CONTRACT_LIABILITIES), ZERO)
    receivable = found.get(Post(TRADE_RECEIVABLES), ZERO)
    asset = found.get(Post(CONTRACT_ASSETS), ZERO)
    factor = growth(financing, since, on) - 1
    owed = rounded_to(Fraction(liability * factor), state.unit)
    earned = rounded_to(Fraction((receivable + asset) * factor), state.unit)
    due = rounded_to(Fraction(receivable * factor), state.unit)
    if not owed and not earned:
        return Step(state, rules.FINANCING)
    base = liability if owed else receivable + asset
    note = f"{base} x {float(factor):.6f} at {_rate(financing)} from {since} to {on}"
    if owed:
        state = _more_price(replace(state, interest_expense=state.interest_expense + owed), owed)
    state = replace(state, interest_income=state.interest_income + earned, interest_due=state.interest_due + due)
    return Step(state, rules.FINANCING, (note,))


def _more_price(state: ContractState, interest: Decimal) -> ContractState:
    """Interest on advances is part of the price of what is still to be transferred."""
    price = state.components["price"]
    open_weights = {
        key: weight * (1 - state.parts[key].gross_share)
        for key, weight in price.weights.items()
        if state.parts[key].gross_share < 1
    }
    total = sum(open_weights.values(), Fraction(0))
    weights = {key: weight / total for key, weight in open_weights.items()} if total else dict(price.weights)
    number = sum(component.nature is Nature.INTEREST for component in state.components.values()) + 1
    return state.with_component(Component(f"{INTEREST} {number}", interest, weights, Nature.INTEREST))


def pass_time(state: ContractState, on: date) -> Iterator[Step]:
    """Services satisfied evenly, and contract costs amortised, up to the end of `on`."""
    before = state
    notes = []
    for part in list(state.parts.values()):
        terms = part.terms
        if part.is_closed or terms.measure != "time" or not part.is_over_time:
            continue
        assert terms.starts_on is not None and terms.ends_on is not None
        done = max(elapsed_share(terms.starts_on, terms.ends_on, on), part.transferred)
        if done != part.transferred:
            state = state.with_part(replace(part, transferred=done))
            notes.append(f"{terms.name}: {done} of the time from {terms.starts_on} to {terms.ends_on} (IFRS 15.B18)")
    if state is not before:
        yield Step(state, rules.OVER_TIME, tuple(notes))
    costs = tuple(
        replace(
            one, amortised=rounded_to(Fraction(one.amount) * elapsed_share(one.starts_on, one.ends_on, on), state.unit)
        )
        for one in state.contract_costs
    )
    if costs != state.contract_costs:
        yield Step(replace(state, contract_costs=costs), rules.AMORTISATION)


def _amortised(cost: CapitalisedCost, on: date, unit: Decimal) -> Decimal:
    """Evenly, as the services that it is about are transferred. Source: IFRS 15.99."""
    return rounded_to(Fraction(cost.amount) * elapsed_share(cost.starts_on, cost.ends_on, on), unit)


def day_before(on: date) -> date:
    """The day before."""
    return on - timedelta(days=1)


def _rate(financing: Financing) -> str:
    return f"{financing.annual_percent} % a year, {financing.compounding}"

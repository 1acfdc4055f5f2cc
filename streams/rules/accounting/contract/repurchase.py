"""Steps of a sale that the entity may or must buy back: a financing arrangement until that lapses.

The customer gets no control, so there is no revenue and the goods stay in inventory; what came is a liability that
grows to the repurchase price. Source: IFRS 15.B66(b), B68-B69; IE315-IE318 (example 62).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

from schemas.errors import InvalidValue
from streams.rules.accounting import catalogue as rules
from streams.rules.accounting.contract import events as happened
from streams.rules.accounting.contract.pricing import rounded_to
from streams.rules.accounting.contract.state import ZERO, Component, ContractState, Financed, Nature
from streams.rules.accounting.contract.step import Step
from streams.rules.accounting.contract.terms import Repurchase
from streams.rules.accounting.contract.time import elapsed_share


def is_open(state: ContractState) -> bool:
    """Whether the goods may still be bought back."""
    return state.contract.repurchase is not None and not state.repurchase_has_ended


def received(state: ContractState, event: happened.Payment) -> Step:
    """What came is borrowed.

    Raises:
        InvalidValue: it is more than the repurchase price, which makes the contract a lease.
    """
    terms = _terms(state)
    before = state.financed or Financed(event.on)
    amount = before.amount + event.amount
    if amount > terms.price:
        raise InvalidValue(
            f"{event.on}: {amount} came for goods that are bought back for {terms.price}: that is a lease under "
            "IFRS 16 (IFRS 15.B66(a)), which is no revenue from a contract with a customer"
        )
    note = f"no control passes while it may be bought back for {terms.price}: a financing arrangement"
    return Step(replace(state, financed=replace(before, amount=amount)), rules.REPURCHASE, (note,))


def transferred(state: ContractState) -> Step:
    """The goods went, and control stayed."""
    return Step(state, rules.REPURCHASE, ("the goods are still inventory (IFRS 15.B68)",))


def interest(state: ContractState, on: date) -> Step | None:
    """The liability grows evenly to the repurchase price; None where nothing is added."""
    if not is_open(state) or state.financed is None:
        return None
    terms, held = _terms(state), state.financed
    share = elapsed_share(held.since, terms.on, on)
    grown = rounded_to(Fraction(terms.price - held.amount) * share, state.unit)
    if grown <= held.interest:
        return None
    note = f"{terms.price} - {held.amount} over the time until {terms.on}: {grown} so far"
    return Step(replace(state, financed=replace(held, interest=grown)), rules.REPURCHASE_INTEREST, (note,))


def bought_back(state: ContractState, event: happened.Repurchased) -> Step:
    """The price was paid and the goods stay. Source: IFRS 15.B68."""
    held, terms = _held(state, event.on), _terms(state)
    # What is paid before the liability has grown to the price is interest, too.
    ended = replace(held, interest=terms.price - held.amount, repaid=terms.price)
    note = f"{terms.price} was paid for the goods"
    return Step(replace(state, financed=ended, repurchase_has_ended=True), rules.REPURCHASE, (note,))


def lapsed(state: ContractState, event: happened.RepurchaseLapsed) -> Step:
    """The liability becomes revenue, and the goods are the customer's. Source: IFRS 15.B69."""
    held = _held(state, event.on)
    price = state.components["price"]
    for part in tuple(state.parts.values()):
        state = state.with_part(replace(part, transferred=part.transferred + part.left))
    state = state.with_component(Component("repurchase", held.amount - price.amount, price.weights))
    state = state.with_component(Component("repurchase interest", held.interest, price.weights, Nature.INTEREST))
    state = replace(
        state,
        received=state.received + held.amount,
        interest_expense=state.interest_expense + held.interest,
        financed=None,
        repurchase_has_ended=True,
    )
    note = f"{held.amount} and {held.interest} interest are the price"
    return Step(state, rules.TRANSFER_OF_CONTROL, (note,))


def _terms(state: ContractState) -> Repurchase:
    terms = state.contract.repurchase
    assert terms is not None
    return terms


def _held(state: ContractState, on: date) -> Financed:
    if not is_open(state) or state.financed is None or state.financed.amount == ZERO:
        raise InvalidValue(f"{on}: nothing was sold that may still be bought back: name `repurchase` and its payment")
    return state.financed

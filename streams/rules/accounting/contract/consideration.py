"""Steps of consideration: amounts fall due, money moves, the price and its estimates change."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from schemas.errors import InvalidValue
from streams.rules.accounting import catalogue as rules
from streams.rules.accounting.contract import events as happened
from streams.rules.accounting.contract.measures import prices
from streams.rules.accounting.contract.performance import estimate_returns, progress_by_costs
from streams.rules.accounting.contract.pricing import rounded_to
from streams.rules.accounting.contract.state import ZERO, Component, ContractState, Nature, ObligationPart
from streams.rules.accounting.contract.step import Step
from streams.rules.accounting.contract.terms import VariableConsideration


def invoice(state: ContractState, event: happened.Invoice) -> Step:
    """An amount became due. Source: IFRS 15.108; IE198-IE200."""
    if event.cancellable:
        total = state.invoiced_cancellable + event.amount
        note = "the contract can be cancelled: a right only as far as goods were transferred (IFRS 15.IE199)"
        return Step(replace(state, invoiced_cancellable=total), rules.BILLING, (note,))
    rule = rules.AMOUNT_DUE if event.type == "amount_due" else rules.BILLING
    return Step(replace(state, invoiced=state.invoiced + event.amount), rule, (f"{event.amount} became due",))


def payment(state: ContractState, event: happened.Payment) -> Step:
    """Consideration received. Source: IFRS 15.106, 15.66 for what is not cash."""
    if event.noncash:
        total = state.received_noncash + event.amount
        return Step(replace(state, received_noncash=total), rules.CASH_RECEIPT, ("at fair value (IFRS 15.66)",))
    return Step(replace(state, received=state.received + event.amount), rules.CASH_RECEIPT, (f"{event.amount} came",))


def refund(state: ContractState, event: happened.Refund) -> Step:
    """Consideration given back. Source: IFRS 15.55."""
    return Step(replace(state, refunded=state.refunded + event.amount), rules.REFUND, (f"{event.amount} went back",))


def payment_to_customer(state: ContractState, event: happened.PaymentToCustomer) -> Step:
    """What was promised to the customer was paid. Source: IFRS 15.70."""
    promised = state.contract.payable_to_customer
    if state.paid_to_customer + event.amount > promised:
        raise InvalidValue(f"more is paid to the customer than payable_to_customer = {promised} says")
    paid = state.paid_to_customer + event.amount
    return Step(replace(state, paid_to_customer=paid), rules.PAID_TO_CUSTOMER, ("lowers revenue as goods transfer",))


def estimate(state: ContractState, event: happened.Estimate) -> Step:
    """An estimate changed. Source: IFRS 15.59, 15.87, B23, B46."""
    if event.variable is not None:
        return _variable(state, event)
    if event.obligation is None:
        raise InvalidValue(f"{event.on}: an estimate names a variable or an obligation")
    if event.expected_returns is not None:
        return estimate_returns(state, event.obligation, event.expected_returns)
    part = state.part(event.obligation)
    if event.expected_costs is not None:
        part = replace(part, expected_costs=event.expected_costs)
        done, note = progress_by_costs(part)
        return Step(state.with_part(replace(part, transferred=done)), rules.OVER_TIME, (note,))
    if event.expected_quantity is None:
        raise InvalidValue(f"{event.on}: estimate expected_returns, expected_quantity or expected_costs")
    note = f"{event.obligation}: {event.expected_quantity} units are expected in all"
    if part.terms.is_priced_by_volume:
        changed = replace(part, expected_volume=event.expected_quantity)
        return Step(state.with_part(changed), rules.VOLUME_REBATE, (note,))
    return Step(state.with_part(replace(part, quantity=Fraction(event.expected_quantity))), rules.BREAKAGE, (note,))


def _variable(state: ContractState, event: happened.Estimate) -> Step:
    component = _component(state, event.variable or "")
    anew = VariableConsideration(name=component.name, estimate=event.amount, outcomes=event.outcomes)
    amount = rounded_to(Fraction(anew.included), state.unit)
    note = f"{component.name}: {component.amount} became {amount}, allocated as at inception (IFRS 15.88)"
    return Step(state.with_component(replace(component, amount=amount)), rules.PRICE_CHANGE, (note,))


def resolution(state: ContractState, event: happened.Resolution) -> Step:
    """Variable consideration is certain now. Source: IFRS 15.59."""
    component = _component(state, event.variable)
    certain = replace(component, amount=event.amount, nature=Nature.FIXED)
    note = f"{component.name}: {component.amount} became {event.amount} for certain"
    return Step(state.with_component(certain), rules.RESOLUTION, (note,))


def royalty(state: ContractState, event: happened.Royalty) -> Step:
    """A royalty, divided as the price is or to the obligations named.

    What belongs to an obligation over time that has begun is for the sales or usage of these days, and is revenue at
    once; what belongs to goods that are not there yet waits for them. Source: IFRS 15.B63, 15.85; IE309.
    """
    name = _unused(state, "royalty")
    weights = {}
    for key, weight in state.weights_of(event.obligations).items():
        part = state.parts[key]
        if part.is_over_time and _has_begun(part, event.on):
            satisfied = _satisfied(part, f"{name} on {key}")
            state, key = state.with_part(satisfied), satisfied.key
        weights[key] = weight
    return Step(
        state.with_component(Component(name, event.amount, weights)),
        rules.ROYALTY,
        (f"{event.amount} for sales or usage",),
    )


def _has_begun(part: ObligationPart, day: date) -> bool:
    return part.transferred > 0 or (part.terms.starts_on is not None and part.terms.starts_on <= day)


def _satisfied(part: ObligationPart, key: str) -> ObligationPart:
    """A part beside `part` that is the customer's already: consideration for it moves revenue now."""
    terms = part.terms.model_copy(
        update={"unit_cost": ZERO, "satisfied": "at_point", "tiers": (), "uninstalled_costs": ZERO}
    )
    one = Fraction(1)
    return ObligationPart(key, terms, one, Fraction(0), transferred=one, is_closed=True)


def concession(state: ContractState, event: happened.Concession) -> Step:
    """A part of the price is waived. Source: IFRS 15.52, 15.88."""
    name = _unused(state, "concession")
    tax_before = _tax(state, event)
    if not event.for_transferred:
        component = Component(name, -event.amount, state.weights_of(event.obligations))
        return Step(_credited(state.with_component(component), event.amount + tax_before), rules.CONCESSION)
    chosen = [part for part in _transferred(state, event.obligations) if not part.key.startswith("concession")]
    if not chosen:
        raise InvalidValue(f"{event.on}: nothing was transferred yet; a concession for the rest is a modification")
    priced = prices(state)
    worth = {part.key: Fraction(priced[part.key]) * part.gross_share for part in chosen}
    total = sum(worth.values(), Fraction(0))
    weights = {}
    for part in chosen:
        key = f"{name} on {part.key}"
        state = state.with_part(_satisfied(part, key))
        weights[key] = worth[part.key] / total if total else Fraction(1, len(chosen))
    state = state.with_component(Component(name, -event.amount, weights))
    note = f"{event.amount} waived for what was transferred: all of it lowers revenue now"
    return Step(_credited(state, event.amount + tax_before), rules.CONCESSION, (note,))


def credit_note(state: ContractState, event: happened.CreditNote) -> Step:
    """An amount due was lowered. Source: IFRS 15.108."""
    return Step(
        replace(state, credit_notes=state.credit_notes + event.amount), rules.CREDIT_NOTE, (f"{event.amount} less",)
    )


def credit_loss(state: ContractState, event: happened.CreditLoss) -> Step:
    """Allowance for lifetime expected credit losses. Source: IFRS 9.5.5.15, IFRS 15.108."""
    loss = event.amount + state.written_off
    return Step(replace(state, credit_loss=loss), rules.CREDIT_LOSS, (f"allowance of {event.amount}",))


def write_off(state: ContractState, event: happened.WriteOff) -> Step:
    """A receivable is written off against the allowance; what that does not cover is a loss. Source: IFRS 9.5.4.4."""
    total = state.written_off + event.amount
    return Step(replace(state, written_off=total, credit_loss=max(state.credit_loss, total)), rules.WRITE_OFF)


def _component(state: ContractState, name: str) -> Component:
    known = {one.name for one in state.contract.variable}
    if name not in known:
        raise InvalidValue(f"no variable consideration {name!r}; the contract has {', '.join(sorted(known)) or 'none'}")
    return state.components[name]


def _unused(state: ContractState, word: str) -> str:
    number = sum(name.startswith(word) for name in state.components) + 1
    return f"{word} {number}"


def _transferred(state: ContractState, names: tuple[str, ...]) -> list[ObligationPart]:
    return [part for part in state.parts.values() if part.kept > 0 and (not names or part.terms.name in names)]


def _tax(state: ContractState, event: happened.Concession) -> Decimal:
    """Tax that is given back with the amount, at the rate of the first obligation that it is about."""
    about = _transferred(state, event.obligations) or list(state.parts.values())
    percent = Fraction(about[0].terms.tax_percent)
    return rounded_to(Fraction(event.amount) * percent / 100, state.unit)


def _credited(state: ContractState, amount: Decimal) -> ContractState:
    """Where invoices make amounts due, a credit note lowers them."""
    if not state.contract.is_billed_by_invoice:
        return state
    creditable = max(state.invoiced - state.credit_notes, ZERO)
    return replace(state, credit_notes=state.credit_notes + min(amount, creditable))

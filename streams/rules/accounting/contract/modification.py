"""Steps that change what is promised: modifications and cancellations. Source: IFRS 15.18-21."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from streams.rules.accounting import catalogue as rules
from streams.rules.accounting.contract import events as happened
from streams.rules.accounting.contract.measures import allocated, billable, taxes
from streams.rules.accounting.contract.performance import progress_by_costs
from streams.rules.accounting.contract.pricing import relative_shares
from streams.rules.accounting.contract.state import ZERO, Component, ContractState, ObligationPart, new_part
from streams.rules.accounting.contract.step import Step
from streams.rules.accounting.contract.terms import Obligation


def modification(state: ContractState, event: happened.Modification) -> Step:
    """As the event says, or as paragraphs 20 and 21 decide."""
    treatment, reason = _treatment(state, event)
    if treatment == "separate":
        return _separate(state, event, reason)
    return _prospective(state, event, reason) if treatment == "prospective" else _catch_up(state, event, reason)


def _treatment(state: ContractState, event: happened.Modification) -> tuple[str, str]:
    if event.treatment != "auto":
        return event.treatment, "as agreed with the auditor"
    added = _added_stand_alone(state, event)
    only_adds = bool(event.add or event.change) and all(one.quantity > 0 for one in event.change)
    reflects = event.reflects_stand_alone_prices
    if only_adds and (reflects if reflects is not None else added == Fraction(event.price_change)):
        return "separate", "distinct additions at their stand-alone selling prices (IFRS 15.20)"
    if event.remaining_is_distinct:
        return "prospective", "the remaining goods are distinct from those transferred (IFRS 15.21(a))"
    return "catch_up", "the remaining goods are part of one obligation partly satisfied (IFRS 15.21(b))"


def _added_stand_alone(state: ContractState, event: happened.Modification) -> Fraction:
    parts = [new_part(one, one.name).stand_alone_price for one in event.add]
    for one in event.change:
        part = state.part(one.obligation)
        parts.append(part.stand_alone_price * Fraction(one.quantity) / part.quantity)
    return sum(parts, Fraction(0))


def _separate(state: ContractState, event: happened.Modification, reason: str) -> Step:
    added = [_added(state, one) for one in event.add]
    for change in event.change:
        terms = state.part(change.obligation).terms
        quantity = Fraction(change.quantity)
        part = new_part(terms, _unused_key(state, change.obligation), quantity)
        added.append(part)
    for part in added:
        state = state.with_part(part)
    weights = relative_shares(Fraction(1), {part.key: part.stand_alone_price for part in added})
    component = Component(_unused_price(state), event.price_change, weights)
    return Step(state.with_component(component), rules.SEPARATE_CONTRACT, (reason,))


def _prospective(state: ContractState, event: happened.Modification, reason: str) -> Step:
    """The old contract ends with what was transferred; what is left of its price goes to what remains."""
    changes = {one.obligation: Fraction(one.quantity) for one in event.change}
    remaining: list[ObligationPart] = []
    closed: dict[str, tuple[Fraction, ObligationPart]] = {}
    for part in [part for part in state.parts.values() if not part.is_closed]:
        done = _done(part)
        closed[part.key] = (done, replace(part, is_closed=True))
        rest = _rest(state, part, changes.get(part.terms.name, Fraction(0)), event)
        if rest is not None:
            remaining.append(rest)
    for _, part in closed.values():
        state = state.with_part(part)
    remaining += [_added(state, one) for one in event.add]
    for part in remaining:
        state = state.with_part(part)
    shares = relative_shares(Fraction(1), {part.key: part.stand_alone_price for part in remaining})
    for component in list(state.components.values()):
        state = state.with_component(_redistributed(state, component, closed, shares))
    if event.price_change:
        state = state.with_component(Component(_unused_price(state), event.price_change, shares))
    left = sum((_left_of(state, one, shares) for one in state.components.values()), Fraction(0))
    note = f"{float(left):.2f} is the price of what remains: {', '.join(part.key for part in remaining)}"
    return Step(state, rules.PROSPECTIVE, (reason, note))


def _left_of(state: ContractState, component: Component, shares: Mapping[str, Fraction]) -> Fraction:
    return Fraction(component.amount) * sum((component.weights.get(key, Fraction(0)) for key in shares), Fraction(0))


def _done(part: ObligationPart) -> Fraction:
    """How much of it was transferred, whatever came back."""
    return part.transferred if part.is_over_time else part.transferred / part.quantity


def _rest(
    state: ContractState, part: ObligationPart, more: Fraction, event: happened.Modification
) -> ObligationPart | None:
    share = 1 - _done(part)
    quantity = (share * part.quantity if part.is_over_time else part.left) + more
    if quantity <= 0:
        return None
    name = part.terms.name
    terms = part.terms
    if terms.satisfied == "over_time" and terms.measure == "time":
        terms = terms.model_copy(update={"starts_on": max(event.on, terms.starts_on or event.on)})
    rest = new_part(terms, _unused_key(state, name), quantity)
    price = event.stand_alone_prices.get(name)
    expected = event.expected_costs.get(name, part.expected_costs - part.costs)
    return replace(
        rest,
        stand_alone_price=Fraction(price) if price is not None else part.stand_alone_price * quantity / part.quantity,
        expected_costs=max(expected, ZERO),
        return_rate=part.return_rate,
    )


def _redistributed(
    state: ContractState,
    component: Component,
    closed: Mapping[str, tuple[Fraction, ObligationPart]],
    shares: Mapping[str, Fraction],
) -> Component:
    """What belongs to the goods transferred stays with them; the rest is shared by what remains (IFRS 15.90)."""
    weights = dict(component.weights)
    pool = Fraction(0)
    for key, (done, _) in closed.items():
        if key in weights:
            pool += weights[key] * (1 - done)
            weights[key] *= done
    bound = next((one.obligations for one in state.contract.variable if one.name == component.name), ())
    chosen = {key: share for key, share in shares.items() if not bound or state.parts[key].terms.name in bound}
    total = sum(chosen.values(), Fraction(0))
    for key, share in chosen.items() if total else ():
        weights[key] = weights.get(key, Fraction(0)) + pool * share / total
    if pool and not total:
        return _without(component, weights, state.unit)
    return replace(component, weights=weights)


def _without(component: Component, weights: Mapping[str, Fraction], unit: Decimal) -> Component:
    """The component with the weights that are left, which add up to less than before."""
    amounts = allocated(component, unit)
    kept = {
        key: (Fraction(amounts[key]) * weights[key] / whole if (whole := component.weights[key]) else Fraction(0))
        for key in weights
    }
    rounded = {key: Decimal(round(amount / Fraction(unit))) * unit for key, amount in kept.items()}
    total = sum(rounded.values(), ZERO)
    shares = {key: Fraction(amount) / Fraction(total) if total else Fraction(0) for key, amount in rounded.items()}
    return replace(component, amount=total, weights=shares)


def _catch_up(state: ContractState, event: happened.Modification, reason: str) -> Step:
    price = state.components["price"]
    state = state.with_component(replace(price, amount=price.amount + event.price_change))
    notes = [reason]
    for name, costs in event.expected_costs.items():
        part = replace(state.part(name), expected_costs=costs)
        done, note = progress_by_costs(part)
        state = state.with_part(replace(part, transferred=done))
        notes.append(note)
    for change in event.change:
        part = state.part(change.obligation)
        state = state.with_part(replace(part, quantity=part.quantity + Fraction(change.quantity)))
    return Step(state, rules.CATCH_UP, tuple(notes))


def cancellation(state: ContractState, event: happened.Cancellation) -> Step:
    """What was not transferred is no longer promised; what is kept of a payment is revenue (IFRS 15.B46)."""
    closing = {
        part.key: _done(part)
        for part in state.parts.values()
        if not part.is_closed and (not event.obligations or part.terms.name in event.obligations)
    }
    for component in list(state.components.values()):
        weights = {key: weight * closing.get(key, Fraction(1)) for key, weight in component.weights.items()}
        if weights != dict(component.weights):
            state = state.with_component(_without(component, weights, state.unit))
    for key in closing:
        state = state.with_part(replace(state.parts[key], is_closed=True))
    notes = [f"no longer promised: the rest of {', '.join(closing)}"]
    if event.kept:
        fee = Obligation(name="kept on cancellation", quantity=Decimal(1))
        part = replace(new_part(fee, fee.name), transferred=Fraction(1), is_closed=True)
        state = state.with_part(part).with_component(Component(fee.name, event.kept, {part.key: Fraction(1)}))
        notes.append(f"{event.kept} need not be given back: revenue (IFRS 15.B46)")
    if state.contract.is_billed_by_invoice:
        earned = sum(billable(state).values(), ZERO) + sum(taxes(state).values(), ZERO)
        state = replace(state, invoiced=min(state.invoiced, earned), invoiced_cancellable=ZERO, credit_notes=ZERO)
    return Step(state, rules.CANCELLATION, tuple(notes))


def _added(state: ContractState, terms: Obligation) -> ObligationPart:
    return new_part(terms, _unused_key(state, terms.name))


def _unused_key(state: ContractState, name: str) -> str:
    number = sum(part.terms.name == name and not part.key.startswith("concession") for part in state.parts.values())
    return f"{name}/{number + 1}" if number else name


def _unused_price(state: ContractState) -> str:
    number = sum(name.startswith("price of modification") for name in state.components) + 1
    return f"price of modification {number}"

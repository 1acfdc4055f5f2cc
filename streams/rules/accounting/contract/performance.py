"""Steps of performance: goods and services are transferred, come back, or are still under the entity's control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from schemas.errors import InvalidValue
from streams.rules.accounting import catalogue as rules
from streams.rules.accounting.contract import events as happened
from streams.rules.accounting.contract.state import ZERO, ContractState, ObligationPart
from streams.rules.accounting.contract.step import Step

_CONTROL_PASSES_AT_DELIVERY = frozenset({"DAP", "DPU", "DDP"})


def transfer(state: ContractState, event: happened.Transfer) -> Step:
    """Control of units passed. Source: IFRS 15.31, 15.38."""
    moved = _transferred(state, event)
    return Step(moved, rules.TRANSFER_OF_CONTROL, _consigned_before(state, event))


def shipment(state: ContractState, event: happened.Shipment) -> Step:
    """Goods left. Source: IFRS 15.38(d), Incoterms 2020."""
    term = (state.contract.delivery_term or "").upper()
    if term in _CONTROL_PASSES_AT_DELIVERY:
        return Step(state, rules.IN_TRANSIT, (f"{term}: the entity bears the risk until delivery, so no entry yet",))
    return transfer(state, event)


def delivery(state: ContractState, event: happened.Delivery) -> Step:
    """Goods arrived. Source: IFRS 15.38(d), Incoterms 2020."""
    term = (state.contract.delivery_term or "").upper()
    if term in _CONTROL_PASSES_AT_DELIVERY:
        return transfer(state, event)
    return Step(state, rules.IN_TRANSIT, (f"{term or 'no delivery term'}: control had passed when the goods left",))


def bill_and_hold(state: ContractState, event: happened.BillAndHold) -> Step:
    """All four criteria must hold. Source: IFRS 15.B81."""
    criteria = {
        "the reason is substantive": event.reason_is_substantive,
        "the product is identified separately": event.identified_separately,
        "it is ready for transfer": event.ready_for_transfer,
        "it cannot be used or redirected": event.cannot_be_redirected,
    }
    failed = [text for text, holds in criteria.items() if not holds]
    if failed:
        return Step(state, rules.BILL_AND_HOLD, tuple(f"not met: {text} (IFRS 15.B81)" for text in failed))
    return Step(_transferred(state, event), rules.BILL_AND_HOLD, ("all four criteria of IFRS 15.B81 are met",))


def consignment(state: ContractState, event: happened.Consignment) -> Step:
    """Goods at a dealer are still inventory. Source: IFRS 15.B77."""
    part = state.part(event.obligation)
    units = Fraction(event.quantity) if event.quantity is not None else part.left
    consigned = {**state.consigned, event.obligation: state.consigned.get(event.obligation, Fraction(0)) + units}
    return Step(replace(state, consigned=consigned), rules.CONSIGNMENT, ("no revenue before the dealer sells",))


def progress(state: ContractState, event: happened.Progress) -> Step:
    """Progress over time, each figure cumulative. Source: IFRS 15.39-45."""
    part = state.part(event.obligation)
    if not part.is_over_time:
        raise InvalidValue(f"obligation {event.obligation!r} is satisfied at a point in time: use transfer instead")
    before = [one for one in state.parts.values() if one.terms.name == event.obligation and one.is_closed]
    costs = part.costs if event.costs is None else event.costs - sum((one.costs for one in before), ZERO)
    part = replace(
        part,
        costs=costs,
        expected_costs=part.expected_costs if event.expected_costs is None else event.expected_costs,
        uninstalled_costs=part.uninstalled_costs if event.uninstalled_costs is None else event.uninstalled_costs,
    )
    done, note = _progress(part, event)
    rule = rules.COST_RECOVERY if part.terms.measure == "cost_recovery" else rules.OVER_TIME
    return Step(state.with_part(replace(part, transferred=done)), rule, (note,))


def _progress(part: ObligationPart, event: happened.Progress) -> tuple[Fraction, str]:
    name = part.terms.name
    if event.fraction is not None:
        return Fraction(event.fraction), f"{name}: progress {event.fraction} (IFRS 15.41)"
    if event.quantity is not None:
        done = min(Fraction(event.quantity) / part.quantity, Fraction(1))
        return done, f"{name}: {event.quantity} of {_plain(part.quantity)} units (IFRS 15.B15)"
    if part.terms.measure != "costs":
        return part.transferred, f"{name}: costs so far {part.costs}"
    return progress_by_costs(part)


def progress_by_costs(part: ObligationPart) -> tuple[Fraction, str]:
    """Costs incurred of costs expected, without those of uninstalled goods. Source: IFRS 15.B18-B19.

    Raises:
        InvalidValue: no costs are expected.
    """
    expected = part.expected_costs - part.terms.uninstalled_costs
    incurred = part.costs - part.uninstalled_costs
    if expected <= 0:
        raise InvalidValue(f"obligation {part.terms.name!r} measures progress by costs: give expected_costs")
    done = min(Fraction(incurred) / Fraction(expected), Fraction(1))
    digits = part.terms.progress_decimals
    if digits is not None:
        done = Fraction(round(done * 10**digits), 10**digits)
    text = f"{part.terms.name}: costs {incurred} of {expected} = {float(done):.1%} (IFRS 15.B18)"
    return done, text


def goods_return(state: ContractState, event: happened.Return) -> Step:
    """Units came back. Source: IFRS 15.B21, B25."""
    left = Fraction(event.quantity)
    for part in reversed(list(state.parts.values())):
        if part.terms.name == event.obligation and part.kept > 0 and left:
            back = min(left, part.kept)
            state, left = state.with_part(replace(part, returned=part.returned + back)), left - back
    if left:
        raise InvalidValue(f"{_plain(left)} more units of {event.obligation!r} came back than were transferred")
    return Step(state, rules.ACTUAL_RETURN, (f"{event.quantity} x {event.obligation} came back",))


def returns_lapsed(state: ContractState, event: happened.ReturnsLapsed) -> Step:
    """Nothing more is expected back. Source: IFRS 15.B23."""
    return Step(_with_return_rate(state, event.obligation, None), rules.RETURN_ESTIMATE, ("right of return lapsed",))


def estimate_returns(state: ContractState, obligation: str, units: Decimal) -> Step:
    """Expected returns of the units promised. Source: IFRS 15.B23."""
    part = state.part(obligation)
    rate = Fraction(units) / part.quantity
    note = f"{units} of {_plain(part.quantity)} {obligation} are expected back"
    return Step(_with_return_rate(state, obligation, rate), rules.RETURN_ESTIMATE, (note,))


def _with_return_rate(state: ContractState, obligation: str, rate: Fraction | None) -> ContractState:
    state.part(obligation)
    for part in list(state.parts.values()):
        if part.terms.name == obligation:
            actual = part.returned / part.transferred if part.transferred else Fraction(0)
            state = state.with_part(replace(part, return_rate=actual if rate is None else rate))
    return state


def _transferred(state: ContractState, event: happened.Transfer) -> ContractState:
    """Units go to the open parts of the obligation, oldest first."""
    state.part(event.obligation)
    parts = [part for part in state.parts.values() if part.terms.name == event.obligation and not part.is_closed]
    everything = sum((part.left for part in parts), Fraction(0))
    units = Fraction(event.quantity) if event.quantity is not None else everything
    is_open_ended = bool(parts) and (parts[-1].terms.is_priced_by_volume or parts[-1].terms.option is not None)
    if units > everything and not is_open_ended:
        raise InvalidValue(
            f"{event.on}: {_plain(units)} units of {event.obligation!r} are transferred, {_plain(everything)} are left",
            field="quantity",
        )
    fits: Callable[[ObligationPart], Fraction] = lambda part: units if part is parts[-1] else min(units, part.left)  # noqa: E731
    for part in parts:
        moved = fits(part)
        state, units = state.with_part(replace(part, transferred=part.transferred + moved)), units - moved
    return _off_consignment(state, event)


def _off_consignment(state: ContractState, event: happened.Transfer) -> ContractState:
    held = state.consigned.get(event.obligation, Fraction(0))
    if not held:
        return state
    gone = Fraction(event.quantity) if event.quantity is not None else held
    return replace(state, consigned={**state.consigned, event.obligation: max(held - gone, Fraction(0))})


def _consigned_before(state: ContractState, event: happened.Transfer) -> tuple[str, ...]:
    return ("the dealer sold them (IFRS 15.B77)",) if state.consigned.get(event.obligation) else ()


def _plain(value: Fraction) -> str:
    return f"{Decimal(value.numerator) / Decimal(value.denominator):f}"

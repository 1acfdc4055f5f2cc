"""Says in words how the amounts of a step came about, from the states before and after it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from streams.rules.accounting.contract.measures import (
    amount_due,
    expected_refunds,
    list_price,
    prices,
    revenues,
    taxes,
    unit_price,
)
from streams.rules.accounting.contract.state import ZERO, ContractState, ObligationPart


def arithmetic(before: ContractState, after: ContractState) -> Iterator[str]:
    """One line for each figure that changed."""
    yield from _revenue(before, after)
    yield from _tax(before, after)
    refunds = expected_refunds(before), expected_refunds(after)
    if refunds[0] != refunds[1]:
        yield f"expected to be refunded: {refunds[1]} (before {refunds[0]})"
    due = amount_due(before), amount_due(after)
    if due[0] != due[1]:
        yield f"due: {due[1]} (before {due[0]})"
    paid = _paid(before), _paid(after)
    if paid[0] != paid[1]:
        yield f"paid: {paid[1]} (before {paid[0]})"
    if due[0] != due[1] or paid[0] != paid[1]:
        yield f"receivable = due {due[1]} - paid {min(due[1], paid[1])} = {due[1] - min(due[1], paid[1])}"


def _revenue(before: ContractState, after: ContractState) -> Iterator[str]:
    was, now, priced = revenues(before), revenues(after), prices(after)
    for key, amount in now.items():
        if amount == was.get(key, ZERO):
            continue
        part = after.parts[key]
        text = f"revenue {key}: {_calculation(part, priced[key])} = {amount}"
        yield text + (f", before {was[key]}: {amount - was[key]:+}" if was.get(key) else "")
        if part.terms.commission_percent is not None:
            yield f"agent: {part.terms.commission_percent} % of it is revenue, the rest the principal's (IFRS 15.B36)"


def _calculation(part: ObligationPart, price: Decimal) -> str:
    if part.terms.is_priced_by_volume:
        units = part.kept - part.expected_back
        return f"{_text(units)} units x {unit_price(part)} (list price {list_price(part)})"
    if part.terms.measure == "cost_recovery":
        return f"costs so far, at most {price}"
    if part.terms.uninstalled_costs:
        uninstalled = part.terms.uninstalled_costs
        return f"({price} - {uninstalled}) x {_share(part)} + uninstalled goods at cost {part.uninstalled_costs}"
    if part.earned_share == 1:
        return f"all of its price {price}"
    return f"price {price} x {_share(part)}"


def _share(part: ObligationPart) -> str:
    if part.is_over_time:
        return f"progress {_text(part.earned_share)}"
    units = part.kept - part.expected_back
    expected = f" ({_text(part.kept)} less {_text(part.expected_back)} expected back)" if part.expected_back else ""
    return f"{_text(units)}{expected} / {_text(part.transferred if part.is_closed else part.quantity)}"


def _tax(before: ContractState, after: ContractState) -> Iterator[str]:
    was = taxes(before)
    for key, amount in taxes(after).items():
        if amount != was.get(key, ZERO):
            yield f"tax {key}: {after.parts[key].terms.tax_percent} % = {amount}"


def cost_arithmetic(before: ContractState, after: ContractState) -> Iterator[str]:
    """One line for each obligation whose cost moved."""
    for key, part in after.parts.items():
        old = before.parts.get(key)
        moved = old is None or (old.transferred, old.expected_back, old.returned) != (
            part.transferred,
            part.expected_back,
            part.returned,
        )
        if moved and part.terms.unit_cost and not part.is_over_time and part.transferred:
            units = part.kept - part.expected_back
            cost = part.terms.unit_cost
            yield f"cost {key}: {_text(units)} units x {cost} = {_text(units * Fraction(cost))}"


def _paid(state: ContractState) -> Decimal:
    return state.received + state.received_noncash - state.refunded


def _text(value: Fraction) -> str:
    decimal = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{decimal:f}" if len(decimal.as_tuple().digits) <= 6 else f"{decimal:.4f}"

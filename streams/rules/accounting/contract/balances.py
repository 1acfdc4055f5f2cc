"""The account balances of a contract, from its state alone; they always add up to zero.

With E what is earned (revenue with tax), X what is expected to be refunded, D what is due, P what was paid and I the
interest: a receivable is D - P, never below nothing (IFRS 15.108); what is earned and not yet due is a contract asset,
what is due or paid and not yet earned a contract liability (IFRS 15.105-107), of which X is a refund liability
(IFRS 15.55).
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from streams.rules.accounting.accounts import (
    ACCRUED_COSTS,
    CASH,
    CONSIDERATION_PAID_TO_CUSTOMERS,
    CONTRACT_ASSETS,
    CONTRACT_COST_AMORTISATION,
    CONTRACT_COSTS,
    CONTRACT_LIABILITIES,
    COST_OF_GOODS_SOLD,
    IMPAIRMENT_LOSSES,
    INTEREST_EXPENSE,
    INTEREST_INCOME,
    INVENTORY,
    INVENTORY_ON_CONSIGNMENT,
    LOSS_ALLOWANCE,
    NONCASH_CONSIDERATION,
    PAYABLE_TO_PRINCIPALS,
    REFUND_LIABILITIES,
    REPURCHASE_LIABILITIES,
    REVENUE,
    RIGHT_TO_RECOVER_GOODS,
    TAX_PAYABLE,
    TRADE_RECEIVABLES,
    WARRANTY_EXPENSE,
    WARRANTY_PROVISIONS,
)
from streams.rules.accounting.contract.measures import amount_due, expected_refunds, revenues, taxes
from streams.rules.accounting.contract.pricing import rounded_to
from streams.rules.accounting.contract.state import ZERO, ContractState
from streams.rules.accounting.posts import Balances, Post


def balances(state: ContractState) -> Balances:
    """Balances in the contract's currency: what customer and entity owe each other, revenue, tax and interest."""
    found: dict[Post, Decimal] = {}
    earned = ZERO
    tax = taxes(state)
    for key, revenue in revenues(state).items():
        terms = state.parts[key].terms
        kept = revenue
        if terms.commission_percent is not None:
            kept = rounded_to(Fraction(revenue) * Fraction(terms.commission_percent) / 100, state.unit)
            _add(found, Post(PAYABLE_TO_PRINCIPALS, terms.name), kept - revenue)
        _add(found, Post(terms.revenue_account or REVENUE, terms.name), -kept)
        _add(found, Post(TAX_PAYABLE, terms.name), -tax[key])
        earned += revenue + tax[key]
    for account, amount in _claims(state, earned).items():
        _add(found, Post(account), amount)
    if state.financed is not None:
        held = state.financed
        _add(found, Post(CASH), held.amount - held.repaid)
        _add(found, Post(REPURCHASE_LIABILITIES), held.repaid - held.amount - held.interest)
        _add(found, Post(INTEREST_EXPENSE), held.interest)
    _add(found, Post(INTEREST_INCOME), -state.interest_income)
    _add(found, Post(INTEREST_EXPENSE), state.interest_expense)
    _add(found, Post(IMPAIRMENT_LOSSES), state.credit_loss)
    _add(found, Post(LOSS_ALLOWANCE), state.written_off - state.credit_loss)
    return found


def _claims(state: ContractState, earned: Decimal) -> dict[str, Decimal]:
    """Cash, receivable, contract asset and liability, refund liability."""
    cash = state.received - state.refunded
    paid = cash + state.received_noncash
    due = amount_due(state)
    claim = earned + state.interest_income - state.interest_expense - state.written_off
    open_liability = max(due, paid) - claim
    given_back = min(max(state.credited - state.refunded, ZERO), max(paid - due, ZERO))
    refund_liability = min(expected_refunds(state) + given_back, max(open_liability, ZERO))
    net = claim + refund_liability - max(due, paid) + state.paid_to_customer
    prepaid_to_customer = min(max(net, ZERO), state.paid_to_customer)
    return {
        CASH: cash - state.paid_to_customer,
        NONCASH_CONSIDERATION: state.received_noncash,
        TRADE_RECEIVABLES: due - min(due, paid),
        CONTRACT_ASSETS: max(net, ZERO) - prepaid_to_customer,
        CONSIDERATION_PAID_TO_CUSTOMERS: prepaid_to_customer,
        CONTRACT_LIABILITIES: min(net, ZERO),
        REFUND_LIABILITIES: -refund_liability,
    }


def cost_balances(state: ContractState) -> Balances:
    """Balances in the functional currency: inventory, goods to be recovered, cost of sales, contract costs."""
    found: dict[Post, Decimal] = {}
    for part in state.parts.values():
        cost, name, unit = Fraction(part.terms.unit_cost), part.terms.name, state.unit
        if part.is_over_time:
            _add(found, Post(COST_OF_GOODS_SOLD, name), part.costs)
            _add(found, Post(ACCRUED_COSTS, name), -part.costs)
        gone = ZERO if part.is_over_time else rounded_to(part.transferred * cost, unit)
        recovered = max(cost - Fraction(part.terms.recovery_cost), Fraction(0))
        back = rounded_to(part.returned * recovered, unit)
        awaited = rounded_to(part.expected_back * recovered, unit)
        _add(found, Post(INVENTORY, name), back - gone)
        _add(found, Post(RIGHT_TO_RECOVER_GOODS, name), awaited)
        _add(found, Post(COST_OF_GOODS_SOLD, name), gone - back - awaited)
        warranty = ZERO if part.is_over_time else rounded_to(part.kept * Fraction(part.terms.warranty_cost), unit)
        _add(found, Post(WARRANTY_EXPENSE, name), warranty)
        _add(found, Post(WARRANTY_PROVISIONS, name), -warranty)
    for name, units in state.consigned.items():
        value = rounded_to(units * Fraction(state.part(name).terms.unit_cost), state.unit)
        _add(found, Post(INVENTORY_ON_CONSIGNMENT, name), value)
        _add(found, Post(INVENTORY, name), -value)
    _add(found, Post(WARRANTY_PROVISIONS), state.warranty_claims)
    _add(found, Post(ACCRUED_COSTS), -state.warranty_claims)
    for one in state.contract_costs:
        _add(found, Post(CONTRACT_COSTS), one.amount - one.amortised)
        _add(found, Post(CONTRACT_COST_AMORTISATION), one.amortised)
        _add(found, Post(ACCRUED_COSTS), -one.amount)
    return found


def _add(found: dict[Post, Decimal], post: Post, amount: Decimal) -> None:
    if amount:
        found[post] = found.get(post, ZERO) + amount

"""Which steps each kind of event takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from streams.rules.accounting import catalogue as rules
from streams.rules.accounting.contract import consideration, modification, performance, repurchase
from streams.rules.accounting.contract import events as happened
from streams.rules.accounting.contract.measures import amount_due
from streams.rules.accounting.contract.passage import accrue_interest, day_before, pass_time
from streams.rules.accounting.contract.state import ZERO, CapitalisedCost, ContractState
from streams.rules.accounting.contract.step import Step

Rule = Callable[[ContractState, Any], Step]


def _contract_cost(state: ContractState, event: happened.ContractCost) -> Step:
    """Costs of obtaining or fulfilling a contract that are recovered. Source: IFRS 15.91-95."""
    cost = CapitalisedCost(event.amount, event.starts_on, event.ends_on)
    return Step(replace(state, contract_costs=(*state.contract_costs, cost)), rules.CONTRACT_COST)


def _warranty_claim(state: ContractState, event: happened.WarrantyClaim) -> Step:
    """A claim uses up the provision. Source: IAS 37.61."""
    return Step(replace(state, warranty_claims=state.warranty_claims + event.amount), rules.WARRANTY_CLAIM)


def _transfer(state: ContractState, event: happened.Transfer) -> Step:
    return repurchase.transferred(state) if repurchase.is_open(state) else performance.transfer(state, event)


def _payment(state: ContractState, event: happened.Payment) -> Step:
    return repurchase.received(state, event) if repurchase.is_open(state) else consideration.payment(state, event)


_RULES: Mapping[type[happened.Happening], Rule] = {
    happened.Transfer: _transfer,
    happened.Shipment: performance.shipment,
    happened.Delivery: performance.delivery,
    happened.BillAndHold: performance.bill_and_hold,
    happened.Consignment: performance.consignment,
    happened.Progress: performance.progress,
    happened.Return: performance.goods_return,
    happened.ReturnsLapsed: performance.returns_lapsed,
    happened.Invoice: consideration.invoice,
    happened.Payment: _payment,
    happened.Refund: consideration.refund,
    happened.PaymentToCustomer: consideration.payment_to_customer,
    happened.Estimate: consideration.estimate,
    happened.Resolution: consideration.resolution,
    happened.Royalty: consideration.royalty,
    happened.Concession: consideration.concession,
    happened.CreditNote: consideration.credit_note,
    happened.CreditLoss: consideration.credit_loss,
    happened.WriteOff: consideration.write_off,
    happened.Modification: modification.modification,
    happened.Cancellation: modification.cancellation,
    happened.ContractCost: _contract_cost,
    happened.WarrantyClaim: _warranty_claim,
    happened.Repurchased: repurchase.bought_back,
    happened.RepurchaseLapsed: repurchase.lapsed,
}
_GROWS_LIABILITY = (happened.PeriodEnd, happened.Repurchased, happened.RepurchaseLapsed)
_ENDS_PARTS = (happened.Modification, happened.Cancellation)


def steps_of(state: ContractState, event: happened.Event) -> Iterator[Step]:
    """The steps of one event, in order: interest first, then what time brought, then the event itself.

    Raises:
        InvalidValue: the event does not fit the contract.
    """
    interest = accrue_interest(state, event.on)
    if interest is not None:
        state = interest.state
        yield interest
    grown = repurchase.interest(state, event.on) if isinstance(event, _GROWS_LIABILITY) else None
    if grown is not None:
        state = grown.state
        yield grown
    if isinstance(event, happened.PeriodEnd | happened.Modification | happened.Cancellation):
        until = day_before(event.on) if isinstance(event, _ENDS_PARTS) else event.on
        for step in pass_time(state, until):
            state = step.state
            yield step
    rule = _RULES.get(type(event))
    if rule is not None:
        yield _with_credit(state, rule(state, event))


def _with_credit(before: ContractState, step: Step) -> Step:
    """Whatever lowers the amount due, except a loss, may have to be given back."""
    lost = step.state.written_off - before.written_off
    lowered = amount_due(before) - amount_due(step.state) - lost
    if lowered <= ZERO:
        return step
    return replace(step, state=replace(step.state, credited=step.state.credited + lowered))

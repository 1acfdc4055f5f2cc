"""Any legal life of a contract leaves a balanced ledger; complete ones end with nothing open."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest

from schemas.models import JournalEntry
from streams.rules.accounting.accounts import (
    CASH,
    CONTRACT_ASSETS,
    CONTRACT_LIABILITIES,
    REFUND_LIABILITIES,
    TRADE_RECEIVABLES,
)
from streams.rules.accounting.contract.balances import balances
from streams.rules.accounting.contract.events import ContractFile
from streams.rules.accounting.contract.journal import Journal, journal_of
from streams.rules.accounting.contract.measures import amount_due
from streams.rules.accounting.posts import Post
from tests.unit.contract_books import by_account
from tests.unit.contract_lives import ContractLife, random_life

LIVES, GROUPS = 2400, 12
ZERO = Decimal(0)
OPEN = (TRADE_RECEIVABLES, CONTRACT_ASSETS, CONTRACT_LIABILITIES, REFUND_LIABILITIES)


def journal(life: ContractLife) -> Journal:
    return journal_of(ContractFile.model_validate(life.document))


def assert_balanced(entries: list[JournalEntry]) -> None:
    """By entry, order, currency and period, in both currencies; every line has one side."""
    sums: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for entry in entries:
        assert len(entry.lines) >= 2
        for line in entry.lines:
            assert min(line.debit_amount, line.credit_amount) == 0
            assert min(line.functional_debit_amount, line.functional_credit_amount) == 0
            for key in (entry.entry_id, entry.order_id, entry.period):
                sums[key, entry.currency_code] += line.debit_amount - line.credit_amount
                sums[key, "functional"] += line.functional_debit_amount - line.functional_credit_amount
    assert not any(sums.values())


@pytest.mark.parametrize("group", range(GROUPS))
def test_any_life_leaves_a_balanced_ledger(group: int) -> None:
    for seed in range(group, LIVES, GROUPS):
        life = random_life(seed)
        found = journal(life)
        assert_balanced(found.entries)
        assert len({entry.entry_id for entry in found.entries}) == len(found.entries), seed
        _assert_claims(found, seed)


def _assert_claims(found: Journal, seed: int) -> None:
    state, posted = found.state, by_account(found.entries)
    stands = balances(state)
    assert sum(stands.values(), ZERO) == 0, seed
    own = [entry for entry in found.entries if entry.rule != "cost_of_sales"]
    for account in (*OPEN, CASH):
        assert by_account(own).get(account, ZERO) == stands.get(Post(account), ZERO), (seed, account)
    due, paid = amount_due(state), state.received - state.refunded
    assert posted.get(TRADE_RECEIVABLES, ZERO) == max(due - paid, ZERO), seed
    assert posted.get(CONTRACT_LIABILITIES, ZERO) <= 0, seed
    assert posted.get(REFUND_LIABILITIES, ZERO) <= 0, seed
    assert posted.get(CONTRACT_ASSETS, ZERO) >= 0, seed


@pytest.mark.parametrize("group", range(4))
def test_a_complete_life_ends_with_nothing_open(group: int) -> None:
    for seed in range(group, 400, 4):
        life = random_life(seed)
        _complete(life)
        found = journal(life)
        left = {account: amount for account, amount in by_account(found.entries).items() if account in OPEN}
        assert not left, (seed, left)


def _complete(life: ContractLife) -> None:
    """Everything is transferred, nothing more comes back, what is variable is certain, and all is settled."""
    life.terms.pop("financing", None)
    for name, units in life.left.items():
        if units and life.terms["price"] is not None:
            services = [one["name"] for one in life.terms["obligations"] if one.get("satisfied") == "over_time"]
            if name in services:
                life.happen("progress", obligation=name, fraction=1)
            else:
                life.happen("transfer", obligation=name, quantity=units)
    for one in life.terms["obligations"]:
        if one.get("expected_returns"):
            life.happen("returns_lapsed", obligation=one["name"])
        if one.get("tiers"):
            gone = life.gone[one["name"]] + life.left[one["name"]]
            life.happen("estimate", obligation=one["name"], expected_quantity=gone)
    if life.terms["variable"]:
        life.happen("resolution", variable="bonus", amount=7)
    _settle(life)


def _settle(life: ContractLife) -> None:
    """Invoices or credit notes for what was earned, then receipts or refunds for what is due."""
    state = journal(life).state
    stands = balances(state)
    earned = -sum((amount for post, amount in stands.items() if post.account not in (*OPEN, CASH)), ZERO)
    if life.terms["billing"] == "by_invoice":
        missing = earned - amount_due(state)
        if missing:
            life.happen("invoice" if missing > 0 else "credit_note", amount=abs(missing))
    else:
        missing = earned - amount_due(state)
        if missing < 0:
            life.happen("credit_note", amount=-missing)  # the rebate that the volume earned is credited
    state = journal(life).state
    unpaid = earned - (state.received - state.refunded)
    if unpaid:
        life.happen("payment" if unpaid > 0 else "refund", amount=abs(unpaid))

"""One step of a contract's accounting: the state after it, the rule that it follows, and why."""

from __future__ import annotations

from dataclasses import dataclass

from streams.rules.accounting.catalogue import AccountingRule
from streams.rules.accounting.contract.state import ContractState


@dataclass(frozen=True, slots=True)
class Step:
    """What a rule made of a state; an entry follows where a balance moved."""

    state: ContractState
    rule: AccountingRule
    notes: tuple[str, ...] = ()

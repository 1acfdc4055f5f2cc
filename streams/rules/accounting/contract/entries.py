"""Journal entries of contracts: drafts, their deterministic ids, their reversals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import uuid5

from schemas.attributes import EventId, OrderId
from schemas.models import JournalEntry, JournalLine
from schemas.models.source import EVENT_NAMESPACE
from streams.rules.accounting import catalogue as rules
from streams.rules.accounting.catalogue import AccountingRule
from streams.rules.accounting.contract.events import ContractFile
from streams.rules.accounting.contract.terms import ExchangeRate
from streams.rules.accounting.posts import Post

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """An entry before it is decided where and when it is posted."""

    rule: AccountingRule
    about: date
    currency: str
    rate: ExchangeRate
    moved: Mapping[Post, Decimal]
    functional: Mapping[Post, Decimal]
    arithmetic: tuple[str, ...]


def as_posted(contract: ContractFile, event_id: str, number: int, draft: EntryDraft, day: date) -> JournalEntry:
    """The entry as it is posted on `day`. Its id follows from contract, event and rule."""
    order_id = OrderId(contract.contract)
    late = f"about {draft.about}, posted late\n" if day != draft.about else ""
    at = datetime.combine(draft.about, time(), UTC)
    return JournalEntry(
        entry_id=_id(f"{order_id}/{event_id}/{draft.rule.name}"),
        order_id=order_id,
        order_version=number,
        event_id=_id(f"{order_id}/{event_id}"),
        rule=draft.rule.name,
        standard_reference=draft.rule.standard_reference,
        posting_date=day,
        period=f"{day:%Y-%m}",
        currency_code=draft.currency,
        functional_currency_code=contract.functional,
        exchange_rate=draft.rate.rate,
        exchange_rate_date=draft.rate.on,
        exchange_rate_provider=draft.rate.source,
        description=draft.rule.description,
        explanation=late + "\n".join(draft.arithmetic),
        committed_at=at,
        processed_at=at,
        lines=[
            _line(post, draft.moved.get(post, _ZERO), draft.functional.get(post, _ZERO))
            for post in sorted({**draft.moved, **draft.functional})
        ],
    )


def reversal(entry: JournalEntry, correction_id: str, day: date) -> JournalEntry:
    """The entry that takes back `entry`. Source: IAS 8.42; S4."""
    return entry.model_copy(
        update={
            "entry_id": _id(f"{entry.entry_id}/reversed by {correction_id}"),
            "event_id": _id(f"{entry.order_id}/{correction_id}"),
            "rule": rules.CORRECTION.name,
            "standard_reference": rules.CORRECTION.standard_reference,
            "posting_date": day,
            "period": f"{day:%Y-%m}",
            "description": f"Reversal of {entry.rule}",
            "explanation": f"reverses entry {entry.entry_id} of {entry.posting_date}",
            "refers_to_entry_id": entry.entry_id,
            "lines": [
                line.model_copy(
                    update={
                        "debit_amount": line.credit_amount,
                        "credit_amount": line.debit_amount,
                        "functional_debit_amount": line.functional_credit_amount,
                        "functional_credit_amount": line.functional_debit_amount,
                    }
                )
                for line in entry.lines
            ],
        }
    )


def reposted(entry: JournalEntry, correction_id: str, original: EventId | None) -> JournalEntry:
    """`entry` as it is posted anew by a correction."""
    return entry.model_copy(
        update={
            "entry_id": _id(f"{entry.entry_id}/posted by {correction_id}"),
            "event_id": _id(f"{entry.order_id}/{correction_id}"),
            "refers_to_entry_id": original,
        }
    )


def _line(post: Post, amount: Decimal, functional: Decimal) -> JournalLine:
    return JournalLine(
        account_code=post.account,
        debit_amount=max(amount, _ZERO),
        credit_amount=max(-amount, _ZERO),
        functional_debit_amount=max(functional, _ZERO),
        functional_credit_amount=max(-functional, _ZERO),
        line_id=post.obligation or None,
    )


def _id(text: str) -> EventId:
    return EventId(str(uuid5(EVENT_NAMESPACE, text)))

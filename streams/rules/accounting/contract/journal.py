"""The journal of a contract: each event's entries as the difference of the balances before and after it.

A correction reverses the entries that the wrong event, and what followed from it, led to, and posts them anew. What is
about a closed period goes to the first open day, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from schemas.errors import InvalidValue
from schemas.models import JournalEntry
from streams.rules.accounting import catalogue as rules
from streams.rules.accounting.catalogue import AccountingRule
from streams.rules.accounting.contract.arithmetic import arithmetic, cost_arithmetic
from streams.rules.accounting.contract.balances import balances, cost_balances
from streams.rules.accounting.contract.currency import Carried, converted, rate_on, remeasured
from streams.rules.accounting.contract.entries import EntryDraft, as_posted, reposted, reversal
from streams.rules.accounting.contract.events import ClosePeriod, ContractFile, Correction, Event, PeriodEnd
from streams.rules.accounting.contract.measures import prices
from streams.rules.accounting.contract.state import ContractState, at_inception
from streams.rules.accounting.contract.steps import steps_of
from streams.rules.accounting.posts import difference


@dataclass(frozen=True, slots=True)
class Record:
    """What one event, or the contract's inception, led to."""

    event_id: str
    kind: str
    on: date
    notes: tuple[str, ...]
    entries: tuple[JournalEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Journal:
    """Everything that a contract led to, and where it stands."""

    records: tuple[Record, ...]
    state: ContractState

    @property
    def entries(self) -> list[JournalEntry]:
        """All entries, in the order of their posting."""
        return [entry for record in self.records for entry in record.entries]

    @property
    def allocation(self) -> dict[str, str]:
        """Transaction price by obligation part, as it stands."""
        return {key: str(amount) for key, amount in prices(self.state).items()}


@dataclass(frozen=True, slots=True)
class _Fact:
    """An event as it is believed now, under the id that it was first told with."""

    event_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class _Books:
    state: ContractState
    carried: Carried = field(default_factory=Carried)


@dataclass(frozen=True, slots=True)
class _Accounted:
    """Drafts and notes of one event."""

    drafts: tuple[EntryDraft, ...]
    notes: tuple[str, ...]


def journal_of(contract: ContractFile) -> Journal:
    """Account for everything in a contract file.

    Raises:
        InvalidValue: terms or events do not fit; the message names the event.
    """
    state, reasons = at_inception(contract)
    books = _Books(state)
    records = [Record("0", "inception", contract.signed_on, (*reasons, *_shares(state), rules.INCEPTION.description))]
    facts: list[_Fact] = []
    posted: dict[str, tuple[JournalEntry, ...]] = {}
    closed_until = date.min
    for number, event in enumerate(contract.events, 1):
        event_id = event.id or str(number)
        if event_id in posted:
            raise InvalidValue(f"event {event_id!r} is there twice: give each event its own id")
        if isinstance(event, ClosePeriod):
            closed_until = max(closed_until, _last_day(event.period))
            note = f"{event.period} takes no more postings (IAS 8.42)"
            records.append(Record(event_id, event.type, event.on, (note,)))
        elif isinstance(event, Correction):
            facts = _corrected(facts, event)
            books, entries, notes = _corrected_entries(contract, facts, posted, event, event_id, closed_until)
            records.append(Record(event_id, event.type, event.on, notes, entries))
        else:
            facts.append(_Fact(event_id, event))
            books, accounted = _account(books, event, event_id)
            day = max(event.on, closed_until + timedelta(days=1)) if closed_until > date.min else event.on
            entries = tuple(as_posted(contract, event_id, number, draft, day) for draft in accounted.drafts)
            posted[event_id] = entries
            late = (f"{event.on:%Y-%m} is closed: posted on {day}",) if day != event.on and entries else ()
            records.append(Record(event_id, event.type, event.on, (*accounted.notes, *late), entries))
    return Journal(tuple(records), books.state)


def _account(books: _Books, event: Event, event_id: str) -> tuple[_Books, _Accounted]:
    """The drafts of one event, and the books after it."""
    state, carried = books.state, books.carried
    contract = state.contract
    rate = rate_on(contract, event.on)
    drafts: list[EntryDraft] = []
    notes: list[str] = []
    try:
        for step in steps_of(state, event):
            lines = (*step.notes, *arithmetic(state, step.state))
            cost_lines = tuple(cost_arithmetic(state, step.state)) or step.notes
            moved = difference(balances(state), balances(step.state))
            costs = difference(cost_balances(state), cost_balances(step.state))
            if moved:
                functional = moved
                if contract.currency != contract.functional:
                    functional, carried = converted(moved, carried, rate.rate, contract.functional)
                drafts.append(EntryDraft(step.rule, event.on, contract.currency, rate, moved, functional, lines))
            if costs:
                own = rate_on(contract.model_copy(update={"currency": contract.functional}), event.on)
                rule = _cost_rule(step.rule)
                drafts.append(EntryDraft(rule, event.on, contract.functional, own, costs, costs, cost_lines))
            if not moved and not costs:
                notes += [f"no entry ({step.rule.standard_reference})", *lines] if lines else []
            state = step.state
    except InvalidValue as exc:
        raise InvalidValue(f"event {event_id} ({event.type} on {event.on}): {exc}", rule=exc.rule) from exc
    if isinstance(event, PeriodEnd) and contract.currency != contract.functional:
        moved, carried = remeasured(carried, rate.rate, contract.functional)
        if moved:
            note = (f"closing rate {rate.rate} of {rate.on} ({rate.source})",)
            drafts.append(EntryDraft(rules.REMEASUREMENT, event.on, contract.currency, rate, {}, moved, note))
    return _Books(state, carried), _Accounted(tuple(drafts), tuple(notes))


_OWN_COST_RULES = (rules.CONSIGNMENT, rules.WARRANTY_CLAIM, rules.CONTRACT_COST, rules.AMORTISATION)


def _cost_rule(rule: AccountingRule) -> AccountingRule:
    if rule in _OWN_COST_RULES:
        return rule
    return rules.COSTS_INCURRED if rule in (rules.OVER_TIME, rules.COST_RECOVERY) else rules.COST_OF_SALES


def _corrected(facts: Sequence[_Fact], correction: Correction) -> list[_Fact]:
    if correction.corrects not in {fact.event_id for fact in facts}:
        raise InvalidValue(f"a correction on {correction.on} names event {correction.corrects!r}, which is not there")
    changed = []
    for fact in facts:
        if fact.event_id != correction.corrects:
            changed.append(fact)
        elif correction.by is not None:
            changed.append(replace(fact, event=correction.by))
    return changed


def _corrected_entries(
    contract: ContractFile,
    facts: Sequence[_Fact],
    posted: dict[str, tuple[JournalEntry, ...]],
    correction: Correction,
    event_id: str,
    closed_until: date,
) -> tuple[_Books, tuple[JournalEntry, ...], tuple[str, ...]]:
    """Account anew; where an event's entries would differ, reverse what was posted and post what should have been."""
    state, _ = at_inception(contract)
    books = _Books(state)
    anew: dict[str, tuple[EntryDraft, ...]] = {}
    for fact in facts:
        books, accounted = _account(books, fact.event, fact.event_id)
        anew[fact.event_id] = accounted.drafts
    day = max(correction.on, closed_until + timedelta(days=1)) if closed_until > date.min else correction.on
    entries: list[JournalEntry] = []
    notes = []
    for old_id, old in list(posted.items()):
        drafts = anew.get(old_id, ())
        version = int(old[0].order_version) if old else len(posted)
        wanted = tuple(as_posted(contract, old_id, version, draft, day) for draft in drafts)
        if [_essence(one) for one in old] == [_essence(one) for one in wanted]:
            continue
        entries += [reversal(entry, event_id, day) for entry in old]
        new = [reposted(entry, event_id, old[0].entry_id if old else None) for entry in wanted]
        entries += new
        posted[old_id] = tuple(new)
        notes.append(f"event {old_id}: {len(old)} entries reversed, {len(new)} posted anew")
    posted.setdefault(event_id, ())
    return books, tuple(entries), tuple(notes) or ("nothing changes",)


def _essence(entry: JournalEntry) -> tuple[object, ...]:
    return entry.rule, [line.model_dump() for line in entry.lines]


def _shares(state: ContractState) -> list[str]:
    names: Mapping[str, object] = prices(state)
    return [f"{key}: {amount} {state.contract.currency}" for key, amount in names.items()]


def _last_day(period: str) -> date:
    year, month = map(int, period.split("-"))
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)

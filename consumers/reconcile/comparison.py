"""Compares what two systems say of one order, attribute by attribute, and names each difference. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from consumers.reconcile.attributes import Attributes, model_attributes, text_of
from consumers.reconcile.backup_feed import Holding
from consumers.reconcile.causes import Cause, Remedy
from consumers.reconcile.cross_checks import broken_rules
from consumers.reconcile.differing import currency_in, differing_attributes
from consumers.reconcile.erp_image import expected_erp
from consumers.reconcile.facts import DELETED, OWNED, Facts, FoundState, OrderFacts, facts_of
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.invariants import expected_ledger
from consumers.reconcile.refusal import Refused, RefusedEntry, RefusedFacts, RefusedVersion
from schemas.attributes import OrderId
from schemas.errors import UndecodableMessage
from schemas.models import Mismatch, OrderState, SalesOrder, Settlement, VendorUpdate

SOURCE, STATE, ERP, LEDGER, VENDORS, BACKUP = "source", "state", "erp", "ledger", "vendors", "backup"
MISSING, EXTRA, DIFFERENT, INVARIANT = "missing", "extra", "different", "invariant"


@dataclass(frozen=True, slots=True)
class OrderContent:
    """All that the systems say of one order, as read in one round."""

    order_id: str
    source: OrderFacts
    state: FoundState
    erp: Attributes | None
    ledger: Attributes | None
    is_parked: bool = False
    refusals: tuple[Refused, ...] = ()
    judges_sources: bool = True
    """False where it is not known yet where the sources hold it."""
    agreeing: Collection[Section] = ()
    """Sections that are known to agree; then they were not read from the sources."""
    judges_sinks: bool = True
    """False where ERP and ledger are known to agree with the state; then they were not read."""
    untold: Sequence[VendorUpdate] = ()
    """News that vendors should have heard of it."""
    backup: Holding | None = None
    """What the chained backup holds of it; None where it is not compared."""
    content: str | None = None
    """The digest of the state, as the backup should have it."""


@dataclass(slots=True)
class Verdict:
    """What came of comparing one order."""

    mismatches: list[Mismatch] = field(default_factory=list)
    is_parked: bool = False
    """It differs, and waits for what it awaits."""
    is_rejected: bool = False
    """It differs, and its latest facts were refused."""
    explained: list[Mismatch] = field(default_factory=list)
    """Differences that are known and named elsewhere, with their cause."""


def compare(content: OrderContent, detected_at: datetime) -> Verdict:
    """Compare source with state, then the state with ERP and ledger.

    Differences that a parked order or a refused event explains are no mismatches: they are known and named elsewhere.
    """
    verdict = Verdict()
    found = _Differences(content, STATE, SOURCE, detected_at)
    if isinstance(content.state, UndecodableMessage):
        verdict.mismatches = [found.one(DIFFERENT, "value", "an order's state", str(content.state))]
        return verdict
    state = content.state
    held = facts_of(state).sections if state is not None else {}
    for section in OWNED if content.judges_sources else ():
        if section in content.agreeing:
            continue
        refused = any(isinstance(one, RefusedFacts) and one.explains(section, state) for one in content.refusals)
        _judge(verdict, list(_facts_differences(found, content, section, held.get(section))), refused=refused)
    if content.is_parked and verdict.mismatches:
        verdict.explained += [_awaiting(one) for one in verdict.mismatches]
        verdict.mismatches, verdict.is_parked = [], True
    found = _Differences(content, VENDORS, STATE, detected_at)
    verdict.mismatches += [found.one(MISSING, path, told, None) for path, told in _news(content.untold).items()]
    verdict.mismatches += _backup_differences(content, state, detected_at)
    if not content.judges_sinks:
        return verdict
    erp = content.erp if content.erp is not None and ("version" in content.erp or state is None) else None
    expected = expected_erp(state) if state is not None else None
    refused = any(isinstance(one, RefusedVersion) and one.explains(state, erp) for one in content.refusals)
    _judge(verdict, _Differences(content, ERP, STATE, detected_at).all(expected, erp), refused=refused)
    ledger = (expected_ledger(state) or None) if state is not None else None
    refused = any(isinstance(one, RefusedEntry) for one in content.refusals)
    _judge(verdict, _Differences(content, LEDGER, STATE, detected_at).all(ledger, content.ledger), refused=refused)
    if state is not None and not verdict.is_rejected:
        verdict.mismatches += list(_broken(content, state, verdict.mismatches, detected_at))
    return verdict


def _backup_differences(content: OrderContent, state: OrderState | None, detected_at: datetime) -> Iterator[Mismatch]:
    """The latest version must be the newest in the backup, word for word, and every link about the order sound."""
    if (held := content.backup) is None:
        return
    found = _Differences(content, BACKUP, STATE, detected_at)
    for place, fault in held.broken.items():
        yield found.one(DIFFERENT, f"chain[{place}]", "a sound link", fault)
    if state is None:
        return
    newest = held.newest
    if newest is None or newest.version < state.version:
        holds = None if newest is None else str(newest.version)
        yield found.one(MISSING, "version", str(state.version), holds)
    elif newest.version > state.version:
        yield found.one(DIFFERENT, "version", str(state.version), str(newest.version))
    elif newest.content != content.content:
        yield found.one(DIFFERENT, "content", content.content, newest.content)


def _news(untold: Sequence[VendorUpdate]) -> dict[str, str]:
    """What each vendor lacks, one difference for each."""
    lacking: dict[str, str] = {}
    for one in untold:
        path, news = f"{VENDORS}[{one.vendor_id}]", f"{one.update_type} of version {one.order_version}"
        lacking[path] = f"{lacking[path]}, {news}" if path in lacking else news
    return lacking


def _broken(
    content: OrderContent, state: OrderState, found: list[Mismatch], detected_at: datetime
) -> Iterator[Mismatch]:
    """Broken rules, where no difference of attributes says already that something is wrong with the order."""
    for rule in broken_rules(state, content.erp, content.ledger) if not found else ():
        differences = _Differences(content, rule.system, ERP if rule.system == LEDGER else STATE, detected_at)
        amount = abs(rule.expected - rule.actual)
        broken = differences.one(INVARIANT, rule.name, text_of(rule.expected), text_of(rule.actual), amount)
        yield broken.model_copy(update={"currency_code": rule.currency_code})


def _judge(verdict: Verdict, differences: list[Mismatch], *, refused: bool) -> None:
    if differences and refused:
        verdict.is_rejected = True
        verdict.explained += [_refused(one) for one in differences]
    else:
        verdict.mismatches += differences


def _awaiting(mismatch: Mismatch) -> Mismatch:
    told = "the order waits for a master record: `ordersync orders show` names it"
    return mismatch.model_copy(update={"cause": Cause.MISSING_MASTER_DATA, "explanation": told, "remedy": Remedy.WAIT})


def _refused(mismatch: Mismatch) -> Mismatch:
    told = "its latest event was refused: `ordersync dead-letters list` names the rules"
    return mismatch.model_copy(update={"cause": Cause.REJECTED_EVENT, "explanation": told, "remedy": Remedy.MEND})


def _facts_differences(
    found: _Differences, content: OrderContent, section: Section, actual: Facts | None
) -> Iterator[Mismatch]:
    state = content.state if isinstance(content.state, OrderState) else None
    unreadable = content.source.unreadable.get(section)
    if unreadable is not None:
        yield found.one(DIFFERENT, section.value, str(unreadable), None)
        return
    expected = content.source.sections.get(section)
    if section is Section.ORDER and state is not None and state.order_status == DELETED and expected is not None:
        yield found.one(DIFFERENT, "order.order_status", getattr(expected, "order_status", None), DELETED)
        return
    if state is None:
        # The order is missing once, not once for each section.
        first = next((one for one in OWNED if one in content.source.sections), None)
        if section is first:
            yield found.one(MISSING, None, None, None)
        return
    if section is Section.ORDER and expected is None and actual is not None:
        yield found.one(EXTRA, None, None, None)
        return
    if expected == actual:
        return
    left = {} if expected is None else model_attributes(expected)
    right = {} if actual is None else model_attributes(actual)
    left.pop("order_id", None)
    right.pop("order_id", None)
    yield from found.attributes(left, right, f"{section.value}.")


class _Differences:
    """Makes the mismatches of one order between one system and its reference."""

    def __init__(self, content: OrderContent, system: str, reference: str, detected_at: datetime) -> None:
        self._order_id, self._content = OrderId(content.order_id), content
        self._system, self._reference, self._detected_at = system, reference, detected_at

    def all(self, expected: Attributes | None, actual: Attributes | None) -> list[Mismatch]:
        """The order is missing, extra, or differs in attributes."""
        if expected == actual:
            return []
        if expected is None:
            return [self.one(EXTRA, None, None, None)]
        if actual is None:
            return [self.one(MISSING, None, None, None)]
        return list(self.attributes(expected, actual))

    def attributes(self, expected: Attributes, actual: Attributes, prefix: str = "") -> Iterator[Mismatch]:
        """Each differing attribute; an element of a list that only one side has is one difference."""
        for found in differing_attributes(expected, actual):
            yield self.one(DIFFERENT, prefix + found.path, found.left, found.right, found.stake)

    def one(
        self, kind: str, path: str | None, expected: str | None, actual: str | None, stake: Decimal | None = None
    ) -> Mismatch:
        """One mismatch; a missing or extra order is worth all of it."""
        own_currency, payable = _worth(self._content)
        amount = payable if path is None else stake
        currency = currency_in(path)
        return Mismatch(
            mismatch_id=f"{self._order_id}/{self._system}/{path or ''}",
            order_id=self._order_id,
            system=self._system,
            reference=self._reference,
            kind=kind,
            field=path,
            expected=expected,
            actual=actual,
            amount=amount,
            currency_code=(currency or own_currency) if amount is not None else None,
            detected_at=self._detected_at,
        )


def _worth(content: OrderContent) -> tuple[str | None, Decimal | None]:
    """Currency and payable amount of the order, from whoever knows it."""
    facts = content.source.sections.get(Section.ORDER)
    state = content.state
    order = facts if isinstance(facts, SalesOrder) else state.order if isinstance(state, OrderState) else None
    if order is not None:
        return order.document_currency_code, order.payable_amount
    settlement = content.source.sections.get(Section.SETTLEMENT)
    if isinstance(settlement, Settlement) and settlement.payments:
        paid = settlement.payments
        return paid[0].document_currency_code, sum((payment.paid_amount for payment in paid), Decimal(0))
    if content.erp is not None and "payable_amount" in content.erp:
        return content.erp.get("document_currency_code"), Decimal(content.erp["payable_amount"])
    return None, None

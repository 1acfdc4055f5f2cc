"""Looks at the orders that seem to differ until they agree, or until the time for that has passed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

from consumers.reconcile.causes import Cause, with_cause
from consumers.reconcile.comparison import OrderContent, Verdict, compare
from consumers.reconcile.evidence import evidence_of
from consumers.reconcile.facts import OrderFacts
from consumers.reconcile.ledger import LedgerReader
from consumers.reconcile.refusal import Refused, RefusedEntry
from consumers.reconcile.source import SourceReader
from consumers.reconcile.survey import Locators, Suspects
from consumers.reconcile.systems import Systems
from schemas.models import Mismatch


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a difference may last; the functions are those of the clock of whoever waits."""

    deadline: float
    """On the scale of `elapsed`."""
    elapsed: Callable[[], float]
    pause: Callable[[], None]
    now: Callable[[], datetime]


@dataclass(slots=True)
class Findings:
    """What came of examining suspects."""

    mismatches: list[Mismatch] = field(default_factory=list)
    parked: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    on_the_way: list[str] = field(default_factory=list)
    explained: list[Mismatch] = field(default_factory=list)


def examine(systems: Systems, suspects: Suspects, patience: Patience, behind: Callable[[], frozenset[str]]) -> Findings:
    """Read each suspect in every system, again and again while it differs; what differs to the end is a mismatch.

    An order that differs to the end, but not in the same way in the last two looks, is on its way; so is one that
    differs in a system that is `behind`, which is asked before the last look, for then it can only have come further.

    Raises:
        ConfigurationError: a system lacks what is read, or refuses.
        Transient: a system is away.
    """
    systems.state.watch(suspects.order_ids)
    systems.rejected.watch(suspects.order_ids)
    findings, is_moving = Findings(), dict.fromkeys(suspects.order_ids, False)
    differing = dict.fromkeys(suspects.order_ids, b"")
    while True:
        is_last = patience.elapsed() >= patience.deadline
        late = behind() if is_last else frozenset[str]()
        looked: dict[str, bytes] = {}
        for content in _contents(systems, suspects.locators, list(differing)):
            verdict = compare(content, patience.now())
            evidence = evidence_of(content, behind=late)
            verdict.mismatches = [with_cause(one, evidence) for one in verdict.mismatches]
            mark = mark_of(verdict)
            is_moving[content.order_id] = differing[content.order_id] not in (b"", mark)
            if verdict.mismatches and not is_last:
                looked[content.order_id] = mark
            else:
                _take(findings, content.order_id, verdict, is_moving=is_moving[content.order_id])
        if not looked:
            return findings
        differing = looked
        patience.pause()


def _take(findings: Findings, order_id: str, verdict: Verdict, *, is_moving: bool) -> None:
    still = [one for one in verdict.mismatches if one.cause != Cause.LAG]
    late = [one for one in verdict.mismatches if one.cause == Cause.LAG]
    if late or (still and is_moving):
        findings.on_the_way.append(order_id)
    if not is_moving:
        findings.mismatches += still
    findings.explained += [*verdict.explained, *late]
    if verdict.is_parked:
        findings.parked.append(order_id)
    if verdict.is_rejected:
        findings.rejected.append(order_id)


def mark_of(verdict: Verdict) -> bytes:
    """Is the same for the same differences."""
    parts = [(one.mismatch_id, one.kind, one.expected or "", one.actual or "") for one in verdict.mismatches]
    text = "\x1e".join(["\x1f".join(part) for part in parts])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _contents(systems: Systems, locators: Locators, order_ids: list[str]) -> Iterator[OrderContent]:
    """One order after the other as all systems have it; what is downstream is read first."""
    erp = dict(systems.erp.orders(order_ids))
    ledger = dict(systems.ledger.orders(order_ids))
    systems.rejected.advance()
    parked = systems.parked.parked()
    states = dict(systems.state.watched(order_ids))
    sources = source_facts(systems.sources, locators, order_ids)
    refusals = standing_refusals(systems.ledger, {order_id: systems.rejected.of(order_id) for order_id in order_ids})
    for order_id in order_ids:
        yield OrderContent(
            order_id=order_id,
            source=sources.get(order_id, OrderFacts()),
            state=states[order_id],
            erp=erp.get(order_id),
            ledger=ledger.get(order_id),
            is_parked=order_id in parked,
            refusals=refusals.get(order_id, ()),
        )


def source_facts(
    readers: Sequence[SourceReader], locators: Locators, order_ids: Iterable[str]
) -> dict[str, OrderFacts]:
    """What the sources say of these orders, as far as it is where it was.

    Raises:
        ConfigurationError: a mapped table or column is missing, or the role may not read it.
        Transient: a source is away.
    """
    wanted_ids, sources = list(order_ids), dict[str, OrderFacts]()
    for number, reader in enumerate(readers):
        wanted = [locator for order_id in wanted_ids for source, locator in locators[order_id] if source == number]
        for found in reader.facts(wanted) if wanted else ():
            facts = sources.setdefault(found.order_id, OrderFacts())
            if found.facts is not None:
                facts.sections[found.locator.section] = found.facts
            elif found.error is not None:
                facts.unreadable[found.locator.section] = found.error
    return sources


def standing_refusals(ledger: LedgerReader, found: Mapping[str, Sequence[Refused]]) -> dict[str, tuple[Refused, ...]]:
    """The refusals of each order, without journal entries that reached the ledger later.

    Raises:
        ConfigurationError: a table or column is missing, or the role may not read it.
        Transient: the ledger's database is away.
    """
    entry_ids = [one.entry_id for refusals in found.values() for one in refusals if isinstance(one, RefusedEntry)]
    present = ledger.entries_among(entry_ids) if entry_ids else set()
    return {
        order_id: tuple(one for one in refusals if not isinstance(one, RefusedEntry) or one.entry_id not in present)
        for order_id, refusals in found.items()
    }

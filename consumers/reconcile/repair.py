"""Mends differences by the owner rules: sources own the state, the state owns the ERP, the postings own the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from consumers.reconcile.causes import Remedy
from consumers.reconcile.comparison import ERP, LEDGER, STATE
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.source import SourceReader
from schemas.audit_chain import Actor, Deed
from schemas.errors import InvalidMessage
from schemas.masking import masked_changes
from schemas.models import Mismatch


@dataclass(frozen=True, slots=True)
class RepairStep:
    """What is to be done about one order in one system."""

    order_id: str
    system: str
    remedy: str
    mismatches: tuple[Mismatch, ...]
    sources: tuple[str, ...] = ()
    """Systems that are asked to state the order again."""

    def told(self) -> str:
        """For people: what would be done."""
        if self.remedy == Remedy.REREAD:
            return f"{self.order_id}: have it read again from {', '.join(self.sources)}"
        if self.remedy == Remedy.RESTORE:
            return f"{self.order_id}: restore {self.changes_told()} in {self.system}"
        return f"{self.order_id}: nothing to repair in {self.system}; {self.mismatches[0].explanation or 'it waits'}"

    def changes_told(self) -> str:
        """Which fields, or the whole order."""
        return ", ".join(one.field or "the whole order" for one in self.mismatches)


@dataclass(frozen=True, slots=True)
class RepairOutcome:
    """What became of a step."""

    step: RepairStep
    is_done: bool
    told: str


class Restoration(Protocol):
    """Brings orders of one sink's database to what their owner says."""

    def restore(self, order_ids: Sequence[str]) -> None:
        """All of these orders in one transaction; one that has a newer version by now keeps it.

        Raises:
            InvalidMessage: the database refuses a row.
            ConfigurationError: the role may not.
            Transient: the database is away; nothing was changed.
        """
        ...


def planned(mismatches: Iterable[Mismatch], sources: Sequence[SourceReader]) -> list[RepairStep]:
    """The steps that mend these differences, one for each order and system, sources first. Pure."""
    grouped: dict[tuple[str, str], list[Mismatch]] = defaultdict(list)
    for mismatch in mismatches:
        grouped[mismatch.order_id, mismatch.system].append(mismatch)
    from_source = {order_id for order_id, system in grouped if system == STATE}
    steps = []
    for (order_id, system), found in sorted(grouped.items(), key=lambda one: (one[0][1] != STATE, one[0])):
        # A broken rule has no remedy: each system says what it was told.
        remedy = next((one.remedy for one in found if one.remedy is not None), Remedy.WAIT)
        if system != STATE and order_id in from_source and remedy == Remedy.RESTORE:
            # What the state does not know yet must not be taken away from a sink.
            remedy = Remedy.WAIT
        asked = _asked(found, sources) if remedy == Remedy.REREAD else ()
        steps.append(RepairStep(order_id, system, remedy, tuple(found), asked))
    return steps


def _asked(found: Sequence[Mismatch], sources: Sequence[SourceReader]) -> tuple[str, ...]:
    """The systems that own what differs; of a whole order all of them."""
    owned = {Section.ORDER, Section.FULFILMENT, Section.SETTLEMENT}
    named = {
        section
        for one in found
        for section in owned
        if one.field is None or one.field.partition(".")[0] in (section.value, "value")
    }
    return tuple(reader.system for reader in sources if any(section in named for section, _ in reader.aggregates))


@dataclass(frozen=True, slots=True)
class Author:
    """Who repairs, and why; it stands in `audit.events`."""

    actor: Actor
    reason: str
    approval_id: str | None = None

    def deed(self, step: RepairStep) -> Deed:
        """A step as it is told."""
        action = {Remedy.REREAD: "OrderReread", Remedy.RESTORE: "OrderRestored"}[step.remedy]
        return Deed(
            actor=self.actor.name,
            identified_by=self.actor.identified_by,
            action=action,
            subject=step.order_id,
            reference=step.system,
            # The audit is kept for ever: what tells of a person does not go into it.
            changes=masked_changes(
                f"{one.system} {one.field or 'order'}: {one.actual or one.kind} -> {one.expected or step.remedy}"
                for one in step.mismatches
            ),
            reason=self.reason,
            approval_id=self.approval_id,
        )


@dataclass(frozen=True, slots=True)
class Workshop:
    """What does the steps: captures that read again, restorations, and the audit."""

    reread: Callable[[str, Sequence[str]], None]
    """System and orders."""
    restorations: dict[str, Restoration]
    audit: Callable[[Sequence[Deed]], None]


def perform(steps: Sequence[RepairStep], author: Author, workshop: Workshop) -> list[RepairOutcome]:
    """Do the steps, each told in the audit before it is done: no change goes untold, even if this process dies.

    At least once; done twice it changes nothing more. Source: I10, S8.

    Raises:
        ConfigurationError: a role's rights do not serve.
        Transient: a system is away; what was done before stays done, and is audited.
    """
    repaired = [step for step in steps if step.remedy in (Remedy.REREAD, Remedy.RESTORE)]
    workshop.audit([author.deed(step) for step in repaired])
    outcomes = [RepairOutcome(step, False, step.told()) for step in steps if step not in repaired]
    asked: dict[str, list[str]] = defaultdict(list)
    for step in repaired:
        for system in step.sources if step.remedy == Remedy.REREAD else ():
            asked[system].append(step.order_id)
    for system, order_ids in asked.items():
        workshop.reread(system, order_ids)
    outcomes += [RepairOutcome(step, True, step.told()) for step in repaired if step.remedy == Remedy.REREAD]
    for system in (ERP, LEDGER):
        restored = [step for step in repaired if step.remedy == Remedy.RESTORE and step.system == system]
        outcomes += _restored(restored, workshop.restorations[system]) if restored else []
    return outcomes


def _restored(steps: Sequence[RepairStep], restoration: Restoration) -> list[RepairOutcome]:
    """All at once; where the database refuses something, each by itself, to find which."""
    try:
        restoration.restore([step.order_id for step in steps])
    except InvalidMessage as exc:
        if len(steps) == 1:
            return [RepairOutcome(steps[0], False, f"{steps[0].order_id}: refused: {exc}")]
        middle = len(steps) // 2
        return _restored(steps[:middle], restoration) + _restored(steps[middle:], restoration)
    return [RepairOutcome(step, True, step.told()) for step in steps]

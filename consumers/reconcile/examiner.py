"""Compares orders as the picture and the systems have them now, exactly, and says how each stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from consumers.reconcile.attributes import Attributes
from consumers.reconcile.causes import Cause, with_cause
from consumers.reconcile.comparison import BACKUP, ERP, LEDGER, VENDORS, OrderContent, compare
from consumers.reconcile.evidence import evidence_of
from consumers.reconcile.examination import mark_of, source_facts, standing_refusals
from consumers.reconcile.exceptions import DeadLetters
from consumers.reconcile.facts import FoundState, OrderFacts
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.hashes import RowHash
from consumers.reconcile.picture import Changes, HashedPlace, Picture, StateMark
from consumers.reconcile.refusal import Refused
from consumers.reconcile.sections import Digests, SectionedState, agreeing
from consumers.reconcile.source import Locator
from consumers.reconcile.sources_pass import SourcesPass
from consumers.reconcile.survey import Locators
from consumers.reconcile.vendor_feed import VendorFeed
from consumers.reconcile.watched import Watched
from consumers.reconcile.watermarks import Watermark
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient, UndecodableMessage
from schemas.models import Mismatch, OrderState

_UNKNOWN: Final = Watermark()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What holds for all orders that are looked at in one go."""

    now: float
    watermarks: Mapping[str, Watermark]
    sources_seen_at: float
    """Start of the last look at all sources: of what is older, every place in them is known."""
    notes: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    """Order and system to what was noted."""
    differing: Collection[str] = ()
    """Orders of which a difference stands open, as it is published."""
    of_sources: Collection[str] = ()
    """Orders of which nothing else can have changed than what their sources say."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of looking at some orders."""

    findings: Sequence[Finding]
    changes: Changes
    """What the picture is to remember once the findings are published."""
    unchanged: frozenset[str]
    """Of these nothing has changed anywhere since they were compared, so they stand as they did then."""
    away: Transient | None
    """Why the sources were not judged; the others were."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How one order stands."""

    order_id: str
    mismatches: Sequence[Mismatch]
    """All of them, with their cause."""
    mark: bytes
    """The same for the same differences."""
    behind: frozenset[str]
    """Systems that need not have it yet, and in which it differs."""
    judges_sources: bool
    sections: Digests
    """Sections that agree with their sources, as they are to be remembered."""


@dataclass(frozen=True, slots=True)
class _Sinks:
    """What ERP and ledger had of some orders at one moment."""

    agreeing: Collection[str]
    """Orders that are not read: they are as they were when they agreed."""
    trusted: Collection[str]
    """Those of them of which not even that was asked."""
    erp: Mapping[str, Attributes]
    ledger: Mapping[str, Attributes]
    refusals: Mapping[str, tuple[Refused, ...]]


@dataclass(frozen=True, slots=True)
class _Sources:
    """What the sources had of some orders."""

    judged: Collection[str]
    facts: Mapping[str, OrderFacts]
    agreeing: Mapping[str, Collection[Section]]
    """Sections that were not read: they are as they were when they agreed."""
    away: Transient | None = None


@dataclass(frozen=True, slots=True)
class _States:
    """What the picture has of some orders' states."""

    found: Mapping[str, FoundState]
    digests: Mapping[str, Digests]
    """Of those that can be read."""
    contents: Mapping[str, str]
    """The digest of each whole state that can be read."""


class Examiner:
    """Reads orders one batch at a time; what is downstream is read first, so that it can only be behind."""

    def __init__(
        self, watched: Watched, picture: Picture, sources: SourcesPass, feed: VendorFeed, schemas: SchemaIds
    ) -> None:
        """Raises SchemaDrift if this version's schemas are not registered, Transient if the registry is away."""
        self._watched, self._picture, self._sources, self._feed = watched, picture, sources, feed
        self._codec = SectionedState(watched.sources, schemas)
        self._letters = DeadLetters(schemas)

    def examine(self, order_ids: Sequence[str], around: Surroundings) -> Examined:
        """How these orders stand.

        Raises:
            ConfigurationError: a system lacks what is read, or refuses.
            Transient: ERP or ledger is away. A source that is keeps nobody from comparing the others.
        """
        marks = self._picture.marks(order_ids)
        trusted = {one for one in around.of_sources if marks[one].sinks_agree} - set(around.differing)
        asked = [one for one in order_ids if one not in trusted]
        # Hashes and rows of one moment: what changes later is seen as a change the next time.
        with self._watched.sinks_held() if asked else nullcontext():
            rows = {
                system: {one.key: one for one in (hashed.of_keys(asked) if asked else ())}
                for system, hashed in self._watched.hashes.items()
            }
            as_compared = self._as_compared(asked, marks, rows) - set(around.differing)
            unchanged = frozenset(order_id for order_id in as_compared if marks[order_id].is_settled)
            changed = {order_id: mark for order_id, mark in marks.items() if order_id not in unchanged}
            sinks = self._sinks(changed, as_compared, trusted)
        # Not any longer: a sink that opens a new period waits for whoever reads its tables.
        states = self._states(changed)
        sources = self._sources_of(changed, states, around)
        contents = self._contents(changed, states, sinks, sources, around)
        found = [self._finding(content, marks, states, around) for content in contents]
        places = [
            HashedPlace(system, order_id, by_order.get(order_id), order_id)
            for system, by_order in rows.items()
            for order_id in changed
            if order_id not in trusted
        ]
        return Examined(found, Changes(places=places, marks=changed), unchanged, sources.away)

    def _as_compared(
        self, order_ids: Sequence[str], marks: Mapping[str, StateMark], rows: Mapping[str, Mapping[str, RowHash]]
    ) -> set[str]:
        """Orders whose ERP and ledger agreed, and have the same rows since, as the state has."""
        same = {order_id for order_id in order_ids if marks[order_id].sinks_agree}
        for system, by_order in rows.items():
            known = self._picture.hashes(system, sorted(same))
            now = {order_id: row.hash for order_id, row in by_order.items()}
            same = {order_id for order_id in same if known.get(order_id) == now.get(order_id)}
        return same

    def _sinks(self, order_ids: Collection[str], as_compared: set[str], trusted: set[str]) -> _Sinks:
        """What ERP and ledger have, of those only that are not known to agree with the state."""
        agreeing = as_compared | trusted
        read = [order_id for order_id in order_ids if order_id not in agreeing]
        refused = {
            order_id: [one for value in self._picture.refused(order_id) if (one := self._letters.refused(value))]
            for order_id in order_ids
        }
        return _Sinks(
            agreeing,
            trusted,
            dict(self._watched.erp.orders(read)) if read else {},
            dict(self._watched.ledger.orders(read)) if read else {},
            standing_refusals(self._watched.ledger, refused),
        )

    def _states(self, order_ids: Collection[str]) -> _States:
        found: dict[str, FoundState] = {}
        digests: dict[str, Digests] = {}
        contents: dict[str, str] = {}
        for order_id, value in self._picture.states(list(order_ids)).items():
            try:
                found[order_id] = None
                if value is not None:
                    found[order_id], digests[order_id] = state, _ = self._codec.decode(value)
                    contents[order_id] = self._codec.content_of(value, state)
            except UndecodableMessage as exc:
                found[order_id] = exc
        return _States(found, digests, contents)

    def _sources_of(self, marks: Mapping[str, StateMark], states: _States, around: Surroundings) -> _Sources:
        """What the sources have of those orders of which every place is known; nothing where one is away."""
        judged = {order_id for order_id in marks if marks[order_id].written_at <= around.sources_seen_at}
        as_compared = {
            order_id: agreeing(digests, marks[order_id].sections)
            for order_id, digests in states.digests.items()
            if order_id not in around.differing
        }
        try:
            locators = self._locators(judged, marks, as_compared)
            return _Sources(judged, source_facts(self._watched.sources, locators, judged), as_compared)
        except Transient as exc:
            return _Sources(frozenset(), {}, {}, exc)

    def _contents(
        self,
        marks: Mapping[str, StateMark],
        states: _States,
        sinks: _Sinks,
        sources: _Sources,
        around: Surroundings,
    ) -> Iterator[OrderContent]:
        order_ids = list(marks)
        parked = self._picture.parked(order_ids)
        # Which of them is compared again, where nothing but its source may have changed: it agreed then.
        held = [one for one in order_ids if one not in sinks.trusted] if BACKUP in around.watermarks else []
        backup = self._picture.backed_up(held)
        for order_id in order_ids:
            state = states.found[order_id]
            is_told = VENDORS in around.watermarks and order_id not in sinks.trusted
            yield OrderContent(
                order_id=order_id,
                source=sources.facts.get(order_id, OrderFacts()),
                state=state,
                erp=sinks.erp.get(order_id),
                ledger=sinks.ledger.get(order_id),
                is_parked=order_id in parked,
                refusals=sinks.refusals.get(order_id, ()),
                judges_sources=order_id in sources.judged,
                agreeing=sources.agreeing.get(order_id, ()),
                judges_sinks=order_id not in sinks.agreeing,
                untold=self._feed.untold(state) if is_told and isinstance(state, OrderState) else (),
                backup=backup.get(order_id),
                content=states.contents.get(order_id),
            )

    def _locators(
        self,
        order_ids: Collection[str],
        marks: Mapping[str, StateMark],
        as_compared: Mapping[str, Collection[Section]],
    ) -> Locators:
        located: dict[str, list[tuple[int, Locator]]] = {order_id: [] for order_id in order_ids}
        for order_id, places in located.items():
            for name, key in marks[order_id].places:
                part = self._sources.parts.get(name)
                if part is not None and part.section not in as_compared.get(order_id, ()):
                    places.append((part.number, part.locator(key)))
        return located

    def _finding(
        self, content: OrderContent, marks: Mapping[str, StateMark], states: _States, around: Surroundings
    ) -> Finding:
        mark = marks[content.order_id]
        late = frozenset(
            system
            for system in (ERP, LEDGER, *(one for one in (VENDORS, BACKUP) if one in around.watermarks))
            if not around.watermarks.get(system, _UNKNOWN).covers(mark.partition, mark.written_at)
        )
        verdict = compare(content, datetime.fromtimestamp(around.now, UTC))
        notes = {system: told for system in (ERP, LEDGER) if (told := around.notes.get((content.order_id, system)))}
        evidence = evidence_of(content, notes, late)
        mismatches = [with_cause(one, evidence) for one in (*verdict.mismatches, *verdict.explained)]
        # What was not held against the sources now stays as it was.
        agreed = () if mismatches else states.digests.get(content.order_id, ())
        return Finding(
            content.order_id,
            mismatches,
            mark_of(verdict),
            frozenset(one.system for one in mismatches if one.cause == Cause.LAG),
            content.judges_sources,
            agreed if content.judges_sources else mark.sections,
        )

"""The rounds of the continuous reconciliation: what changed since the last one, and now and then everything."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from time import monotonic, time

from consumers.reconcile.abreast import asking_abreast
from consumers.reconcile.causes import Cause, Remedy
from consumers.reconcile.collection import collection_paused
from consumers.reconcile.comparison import BACKUP, STATE, VENDORS
from consumers.reconcile.examiner import Examiner, Finding, Surroundings
from consumers.reconcile.following import Following
from consumers.reconcile.metrics import ReconcileMetrics
from consumers.reconcile.notes import Note
from consumers.reconcile.open_mismatches import OpenMismatches
from consumers.reconcile.picture import Changes, Picture, StateMark, with_place
from consumers.reconcile.queue import Arrival, Due, Queue
from consumers.reconcile.settings import ContinuousSettings
from consumers.reconcile.sources_pass import SourceChanges, SourcesPass, differing
from consumers.reconcile.watched import Watched
from consumers.reconcile.watermarks import Watermark
from schemas.errors import Transient
from schemas.models import Mismatch

_log = logging.getLogger(__name__)
_NEVER = -1.0


@dataclass(frozen=True, slots=True)
class _Pending:
    """A difference that has not lasted long enough yet."""

    mark: bytes
    since: float


@dataclass(frozen=True, slots=True)
class _Awaited:
    """An order that differs from its source in a way that captures and streams may still bring."""

    since: float
    is_late: bool


@dataclass(frozen=True, slots=True)
class Company:
    """Whom the rounds work with."""

    watched: Watched
    picture: Picture
    following: Following
    sources: SourcesPass
    examiner: Examiner
    open: OpenMismatches
    metrics: ReconcileMetrics


class Rounds:
    """What the worker does in turn; every method may raise Transient, and is then called again.

    Published first, remembered second, notes forgotten last: whenever the process dies, what was not published is
    found again.
    """

    def __init__(self, settings: ContinuousSettings, company: Company, now: Callable[[], float] = time) -> None:
        self._settings, self.company, self._now = settings, company, now
        self._queue = Queue()
        self._pending: dict[str, _Pending] = {}
        self._awaited: dict[str, _Awaited] = {}
        self._settling: dict[str, float] = {}
        """Orders to be looked at again once their difference has lasted long enough, and when that is."""
        self._notes: dict[str, dict[int, Note]] = {system: {} for system in company.watched.notes}
        self._unsettled_notes: set[str] = set()
        self._watermarks: dict[str, Watermark] = {}
        self._sources_seen_at = 0.0
        self.wants_full = True
        """Whether something happened that no order is named for."""

    def begin(self) -> None:
        """Bring the picture up to date, and have looked at whatever may differ. Called once, after the tables exist."""
        self.company.following.begin()
        self.company.open.load()
        self._queue.add(self.company.picture.unsettled())
        self._queue.add(self.company.open.order_ids)
        # From here on the triggers are known to have watched; before, only a look at everything can tell.
        self._read_notes()
        self.wants_full = True

    @property
    def waiting(self) -> int:
        """Orders that are due."""
        return len(self._queue)

    @property
    def pause_seconds(self) -> float:
        """How long nothing has to be done."""
        if self.waiting:
            return 0.0
        settled_in = min(self._settling.values(), default=float("inf")) - self._now()
        return max(min(self._settings.round_seconds, settled_in), 0.0)

    @property
    def open_mismatches(self) -> int:
        """Differences that stand open."""
        return sum(self.company.open.counts().values())

    def flush(self) -> None:
        """Write down what a crash would have found out anew."""
        self.company.picture.flush()

    def steady(self) -> None:
        """Look at what changed.

        What does not depend on a system that is away is done before `Transient` tells of it.
        """
        company, now = self.company, self._now
        # Asked before what vendors were told and what was backed up is read: all of it up to then is in the picture.
        groups = {system: group.watermark() for system, group in company.watched.groups.items()}
        for news in company.following.advance():
            marks = company.picture.marks([one.order_id for one in news])
            for order_id, mark in marks.items():
                self._queue.expect(order_id, Arrival(mark.partition, mark.written_at))
        company.metrics.orders(company.picture.orders, self.waiting + len(self._settling), {})
        self._read_notes()
        for system, positions in company.watched.positions.items():
            self._watermarks[system] = positions.watermark()
        self._take_groups(groups)
        for system, watermark in self._watermarks.items():
            company.metrics.complete_through(system, watermark.complete_through)
        self._queue.add(self._arrived_in_state())
        self._queue.add(self._settled())
        on_the_way = self._queue.arrived(self._watermarks, now(), self._settings.late_seconds)
        on_the_way[STATE] = len(self._awaited)
        away = self._examine_due()
        self._forget_notes()
        company.metrics.orders(company.picture.orders, self.waiting + len(self._settling), on_the_way)
        company.metrics.open(company.open)
        if away is not None:
            raise away

    def full(self) -> None:
        """Look at every row of ERP and ledger, by their hashes; what is not as it was becomes due."""
        picture = self.company.picture
        unnamed = {
            system: [note.note_id for note in notes.values() if note.order_id is None]
            for system, notes in self._notes.items()
        }
        watched = self.company.watched
        with asking_abreast() as ask:
            asked = {system: ask(hashes.sums) for system, hashes in watched.hashes.items()}
            imbalances = ask(watched.ledger.imbalances)
        sums = {system: answer.result() for system, answer in asked.items()}
        for system, hashes in watched.hashes.items():
            buckets = differing(picture.sums[system], sums[system].by_bucket)
            if buckets:
                known = picture.in_buckets(system, buckets)
                changed = [row.key for row in hashes.of_buckets(buckets) if known.pop(row.key, ("",))[0] != row.hash]
                _log.info("%s: %d orders are not as they were", system, len(changed) + len(known))
                self._queue.add([*changed, *known])
            if astray := sums[system].astray:
                self._queue.add(hashes.astray(astray))
        document, _ = imbalances.result()
        self.company.metrics.imbalance(document)
        self.wants_full = False
        for system, ids in unnamed.items():
            self.company.watched.notes[system].forget([self._notes[system].pop(one) for one in ids])

    def source(self) -> None:
        """Look at every row of the sources, by their hashes; orders that are not as they were become due."""
        started_at = self._now()
        for changes in self.company.sources.changes():
            self._take_places(changes)
        self._sources_seen_at = started_at
        self._queue.sources_seen()

    def _take_places(self, found: SourceChanges) -> None:
        marks = self.company.picture.marks(list(found.by_order))
        for order_id, places in found.by_order.items():
            touched = {self.company.sources.parts[place.part].section.value for place in places}
            # Without a place it is at another order's now, and which section that was is not known.
            kept = tuple(one for one in marks[order_id].sections if places and one[0] not in touched)
            mark = replace(marks[order_id], is_settled=False, sections=kept)
            for place in places:
                if place.row is not None:
                    mark = with_place(mark, place.part, place.key)
            marks[order_id] = mark
        places = [place for several in found.by_order.values() for place in several]
        self.company.picture.write(Changes(places=places + found.of_no_order, marks=marks))
        self._queue.add_of_sources(found.by_order)

    def _take_groups(self, watermarks: Mapping[str, Watermark | None]) -> None:
        """How far vendors are told and orders backed up; what stands open about that may have healed."""
        for system, watermark in watermarks.items():
            if watermark is None:
                self._watermarks.pop(system, None)
            else:
                self._watermarks[system] = watermark
        following, stands = self.company.following, self.company.open
        for system, news in ((VENDORS, following.told()), (BACKUP, following.copied())):
            self._queue.add(one for one in news if any(each.system == system for each in stands.of(one)))
        self._queue.add(following.broken())

    def _settled(self) -> list[str]:
        """Orders whose difference has lasted long enough, if it still does."""
        now = self._now()
        settled = [order_id for order_id, at in self._settling.items() if at <= now]
        for order_id in settled:
            del self._settling[order_id]
        return settled

    def _examine_due(self) -> Transient | None:
        """Look at what is due, for some time; gives why sources were not judged."""
        until = monotonic() + self._settings.round_work_seconds
        away: Transient | None = None
        for batch in self._queue.take(self._settings.examined_at_once):
            try:
                with collection_paused():
                    away = self._examine(batch, judges_sources=away is None) or away
            except Transient:
                self._queue.add(batch.order_ids)
                raise
            if monotonic() >= until:
                break
        return away

    def _examine(self, due: Due, *, judges_sources: bool) -> Transient | None:
        now, order_ids = self._now(), due.order_ids
        noted: dict[tuple[str, str], list[str]] = defaultdict(list)
        for system, notes in self._notes.items():
            for note in notes.values():
                if note.order_id is not None:
                    noted[note.order_id, system].append(note.told())
        differing = {order_id for order_id in order_ids if self.company.open.of(order_id)}
        seen_at = self._sources_seen_at if judges_sources else _NEVER
        around = Surroundings(now, self._watermarks, seen_at, noted, differing, due.of_sources)
        examined = self.company.examiner.examine(order_ids, around)
        changes = examined.changes
        self._unsettled_notes -= examined.unchanged
        decided: dict[str, Iterable[Mismatch]] = {}
        for finding in examined.findings:
            mark = changes.marks[finding.order_id]
            self._unsettled_notes.discard(finding.order_id)
            is_settled = self._decide(finding, now, mark, decided)
            if not finding.judges_sources:
                self._queue.await_sources(finding.order_id)
            changes.marks[finding.order_id] = replace(
                mark,
                is_settled=is_settled and finding.judges_sources,
                # Without a difference of any kind: otherwise all is compared the next time, too.
                sinks_agree=not finding.mismatches,
                sections=finding.sections,
            )
        self.company.open.bring(decided)
        self.company.picture.write(changes)
        return examined.away

    def _decide(self, finding: Finding, now: float, mark: StateMark, decided: dict[str, Iterable[Mismatch]]) -> bool:
        """Whether it is known now how the order stands; then `decided` has its differences."""
        order_id = finding.order_id
        is_late = now - mark.written_at > self._settings.late_seconds
        found = [one for one in finding.mismatches if one.cause != Cause.LAG or is_late]
        self._awaited.pop(order_id, None)
        if found:
            since = self._differs_since(order_id, finding.mark, now)
            if now - since < self._settings.settle_seconds:
                self._settling[order_id] = since + self._settings.settle_seconds
                self._unsettled_notes.add(order_id)
                return False
            if self.company.watched.intake.complete_through < since and any(map(_may_come, found)):
                is_overdue = now - since > self._settings.late_seconds
                self._awaited[order_id] = _Awaited(since, is_overdue)
                if not is_overdue:
                    self._unsettled_notes.add(order_id)
                    return False
                found = [_late(one) if _may_come(one) else one for one in found]
        else:
            self._pending.pop(order_id, None)
        if finding.behind:
            # Also after a restart, which remembers no order on its way.
            self._queue.expect(order_id, Arrival(mark.partition, mark.written_at, is_late, finding.behind))
        # What stands open stays so until it is known.
        unknown = (frozenset() if is_late else finding.behind) | (frozenset() if finding.judges_sources else {STATE})
        found += [one for one in self.company.open.of(order_id) if one.system in unknown]
        decided[order_id] = found
        return not finding.behind and order_id not in self._awaited

    def _differs_since(self, order_id: str, mark: bytes, now: float) -> float:
        """When it was first seen to differ as it does."""
        before = self._pending.get(order_id)
        if before is None or before.mark != mark:
            before = self._pending[order_id] = _Pending(mark, now)
        return before.since

    def _arrived_in_state(self) -> list[str]:
        """Orders of which the state must have by now what their source had when they differed; and late ones, once."""
        intake = self.company.watched.intake
        try:
            intake.advance()
        except Transient as exc:
            # A source that is away keeps nobody from comparing the other systems.
            _log.warning("how far captures and streams are is not known: %s", exc)
        self.company.metrics.complete_through(STATE, intake.complete_through)
        late_before = self._now() - self._settings.late_seconds
        due = [
            order_id
            for order_id, one in self._awaited.items()
            if one.since <= intake.complete_through or (one.since < late_before and not one.is_late)
        ]
        for order_id in due:
            del self._awaited[order_id]
        return due

    def _read_notes(self) -> None:
        for system, book in self.company.watched.notes.items():
            read = book.read()
            fresh = {note.note_id: note for note in read.notes if note.note_id not in self._notes[system]}
            self._notes[system] |= fresh
            named = {note.order_id for note in fresh.values() if note.order_id is not None}
            self._queue.add(named)
            self._unsettled_notes |= named
            self.wants_full = self.wants_full or not read.is_trusted
            self.wants_full = self.wants_full or any(note.order_id is None for note in fresh.values())

    def _forget_notes(self) -> None:
        """Forget the notes of orders of which it is published how they stand."""
        for system, book in self.company.watched.notes.items():
            done = [
                note
                for note in self._notes[system].values()
                if note.order_id is not None and note.order_id not in self._unsettled_notes
            ]
            book.forget(done)
            for note in done:
                del self._notes[system][note.note_id]


def _may_come(mismatch: Mismatch) -> bool:
    """Whether captures or streams that have not come to it yet would explain it."""
    return mismatch.system == STATE and mismatch.cause == Cause.LOST_EVENT


def _late(mismatch: Mismatch) -> Mismatch:
    told = "captures or streams have not come to this change of the source yet"
    return mismatch.model_copy(update={"cause": Cause.LAG, "explanation": told, "remedy": Remedy.WAIT})

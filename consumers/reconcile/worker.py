"""The reconciliation that never ends: one worker that watches all systems and keeps `orders.mismatches`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from threading import Event
from time import monotonic, time
from typing import NamedTuple, TypeVar

from prometheus_client import CollectorRegistry

from consumers.reconcile.backup_feed import BackupFeed
from consumers.reconcile.comparison import ERP, LEDGER
from consumers.reconcile.disk import Disk
from consumers.reconcile.examiner import Examiner
from consumers.reconcile.following import Following
from consumers.reconcile.metrics import FULL, SOURCE, STEADY, ReconcileMetrics
from consumers.reconcile.open_mismatches import OpenMismatches
from consumers.reconcile.picture import Picture
from consumers.reconcile.rounds import Company, Rounds
from consumers.reconcile.settings import ContinuousSettings
from consumers.reconcile.sources_pass import SourcesPass, part_name
from consumers.reconcile.vendor_feed import VendorFeed
from consumers.reconcile.watched import Watched
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient

_log = logging.getLogger(__name__)
_FLUSH_SECONDS = 30.0
_RESTED_SECONDS = 5.0
_LEAST_REST_SECONDS = 0.5
T = TypeVar("T")


class _Took(NamedTuple):
    """How long a round took, and why it was not done."""

    seconds: float
    failure: Transient | None = None


class _Schedule:
    """When a look at everything is due again: after its least pause, and so that it takes no more than its share."""

    def __init__(self, pause_seconds: float, share: float) -> None:
        self._pause_seconds, self._share = pause_seconds, share
        self._next = self._earliest = 0.0

    def is_due(self, *, is_wanted: bool = False) -> bool:
        """Whether to begin now; where it is wanted, as soon as it has rested."""
        return monotonic() >= (self._earliest if is_wanted else max(self._next, self._earliest))

    def took(self, seconds: float, *, is_done: bool) -> None:
        """It was done just now, or met a system that is away, and leaves the time to the other rounds."""
        self._earliest = monotonic() + (seconds if is_done else max(2 * seconds, _RESTED_SECONDS))
        if is_done:
            self._next = monotonic() + max(self._pause_seconds, seconds / self._share - seconds)


@contextmanager
def open_rounds(
    settings: ContinuousSettings, watched: Watched, schemas: SchemaIds, metrics: ReconcileMetrics
) -> Iterator[Rounds]:
    """The rounds, once everything that they need is there: triggers, local files, connections.

    Raises:
        ConfigurationError: a mapping, a role's rights or the directory do not serve.
        Transient: a system is away, or its sink has not made its tables yet.
    """
    for book in watched.notes.values():
        book.prepare()
    parts = [part_name(reader, section) for reader in watched.sources for section, _ in reader.aggregates]
    with (
        closing(Picture(Disk(settings.data_dir), [ERP, LEDGER, *parts])) as picture,
        closing(
            Following(settings.kafka, picture, feed := VendorFeed(picture, schemas), BackupFeed(schemas))
        ) as following,
    ):
        sources = SourcesPass(watched.sources, picture, watched.snapshots)
        examiner = Examiner(watched, picture, sources, feed, schemas)
        company = Company(
            watched, picture, following, sources, examiner, OpenMismatches(settings.kafka, schemas), metrics
        )
        rounds = Rounds(settings, company)
        rounds.begin()
        yield rounds


class ReconcileWorker:
    """`ordersync worker reconcile`: one process for an installation.

    Changes nothing but `orders.mismatches` and its own notes in the databases of ERP and ledger. What it keeps on its
    disk may be lost: it is made anew from Kafka and the databases. At least once. Source: S5, S7, I10, I12.
    """

    def __init__(self, settings: ContinuousSettings, schemas: SchemaIds, registry: CollectorRegistry) -> None:
        """Raises ConfigurationError for a wrong mapping or an unusable directory."""
        self._settings, self._schemas = settings, schemas
        self._metrics = ReconcileMetrics(registry)
        self._watched = Watched(settings)
        self._full = _Schedule(settings.full_seconds, settings.full_share)
        self._source = _Schedule(settings.source_seconds, settings.full_share)
        self._missing = {SOURCE, FULL, STEADY}
        """The kinds of rounds that were not done the last time."""

    def ready(self) -> bool:
        """Whether it looked at everything once, and no system is away."""
        return not self._missing

    def run(self, stop: Event) -> None:
        """Work until `stop` is set.

        Raises:
            ConfigurationError: a system lacks what is read, or refuses.
            Fatal: the local files are damaged (they are removed), or Kafka refuses.
        """
        with ExitStack() as opened:
            opened.callback(self._watched.close)
            rounds = self._patiently(lambda: opened.enter_context(self._opened()), stop)
            flushed_at = monotonic()
            while rounds is not None and not stop.is_set():
                rest = self._round(rounds)
                if monotonic() - flushed_at > _FLUSH_SECONDS:
                    rounds.flush()
                    flushed_at = monotonic()
                stop.wait(max(rest, rounds.pause_seconds))

    def _opened(self) -> AbstractContextManager[Rounds]:
        return open_rounds(self._settings, self._watched, self._schemas, self._metrics)

    def _round(self, rounds: Rounds) -> float:
        """What is due, each whether or not another one met a system that is away; gives how long to rest at least."""
        if self._source.is_due():
            took = self._timed(SOURCE, rounds.source)
            self._source.took(took.seconds, is_done=took.failure is None)
        if self._full.is_due(is_wanted=rounds.wants_full):
            took = self._timed(FULL, rounds.full)
            self._full.took(took.seconds, is_done=took.failure is None)
        failure = self._timed(STEADY, rounds.steady).failure
        return 0.0 if failure is None else max(failure.retry_after_seconds, _LEAST_REST_SECONDS)

    def _timed(self, kind: str, work: Callable[[], None]) -> _Took:
        started_at, start = time(), monotonic()
        try:
            work()
        except Transient as exc:
            self._metrics.failed(kind)
            self._missing.add(kind)
            _log.warning("reconcile, %s round: %s", kind, exc)
            return _Took(monotonic() - start, exc)
        seconds = monotonic() - start
        self._metrics.done(kind, started_at, seconds)
        self._missing.discard(kind)
        return _Took(seconds)

    def _patiently(self, work: Callable[[], T], stop: Event) -> T | None:
        """The result of the work, tried until it meets no `Transient`; None where it is to stop meanwhile."""
        while not stop.is_set():
            try:
                return work()
            except Transient as exc:
                _log.warning("reconcile: %s; trying again in %.1f s", exc, exc.retry_after_seconds)
                stop.wait(max(exc.retry_after_seconds, _LEAST_REST_SECONDS))
        return None

"""The reconciliation that never ends: one worker that watches all systems and keeps `orders.mismatches`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from threading import Event
from time import monotonic, time
from typing import TypeVar

from prometheus_client import CollectorRegistry

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
from consumers.reconcile.watched import Watched
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient

_log = logging.getLogger(__name__)
_FLUSH_SECONDS = 30.0
T = TypeVar("T")


class _Schedule:
    """When a look at everything is due again: after its least pause, and so that it takes no more than its share."""

    def __init__(self, pause_seconds: float, share: float) -> None:
        self._pause_seconds, self._share = pause_seconds, share
        self._next = 0.0

    @property
    def is_due(self) -> bool:
        """Whether to begin now."""
        return monotonic() >= self._next

    def took(self, seconds: float) -> None:
        """It was done just now."""
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
        closing(Following(settings.kafka, picture)) as following,
    ):
        sources = SourcesPass(watched.sources, picture, watched.snapshots)
        examiner = Examiner(watched, picture, sources, schemas)
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
        self._is_ready = False

    def ready(self) -> bool:
        """Whether it looked at everything once, and no system is away."""
        return self._is_ready

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
                self._is_ready = self._patiently(lambda: self._round(rounds), stop) is not None
                if monotonic() - flushed_at > _FLUSH_SECONDS:
                    rounds.flush()
                    flushed_at = monotonic()
                stop.wait(0 if rounds.waiting else self._settings.round_seconds)

    def _opened(self) -> AbstractContextManager[Rounds]:
        return open_rounds(self._settings, self._watched, self._schemas, self._metrics)

    def _round(self, rounds: Rounds) -> bool:
        if self._source.is_due:
            self._source.took(self._timed(SOURCE, rounds.source))
        if self._full.is_due or rounds.wants_full:
            self._full.took(self._timed(FULL, rounds.full))
        self._timed(STEADY, rounds.steady)
        return True

    def _timed(self, kind: str, work: Callable[[], None]) -> float:
        started_at, start = time(), monotonic()
        try:
            work()
        except Transient:
            self._metrics.failed(kind)
            raise
        seconds = monotonic() - start
        self._metrics.done(kind, started_at, seconds)
        return seconds

    def _patiently(self, work: Callable[[], T], stop: Event) -> T | None:
        """The result of the work, tried until it meets no `Transient`; None where it is to stop meanwhile."""
        while not stop.is_set():
            try:
                return work()
            except Transient as exc:
                self._is_ready = False
                _log.warning("reconcile: %s; trying again in %.1f s", exc, exc.retry_after_seconds)
                stop.wait(max(exc.retry_after_seconds, 0.5))
        return None

"""The worker `auditor`: holds `audit.events` against its hash chains all the time, and tells when it is not sound."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock
from time import monotonic, time

from prometheus_client import CollectorRegistry, Gauge
from pydantic import Field

from deploy.audit.noted_heads import NotedHeads, newest_note
from deploy.audit.verifying import AuditReading
from deploy.commands.options import Cluster
from schemas import metrics
from schemas.audit_chain import AuditHead
from schemas.audit_verification import AuditFault
from schemas.errors import Transient
from schemas.settings import SettingsPart, WorkerSettings
from schemas.topics import AUDIT

_log = logging.getLogger(__name__)
_TOLD_FAULTS = 20
_VALID_LOOKS = 3


class AuditWatchSettings(SettingsPart):
    """How the audit is watched."""

    interval_seconds: float = Field(60.0, gt=0, description="Time from one look at new events to the next")
    whole_seconds: float = Field(
        86_400.0, gt=0, description="Time from one look at the whole topic to the next; each start looks at all of it"
    )
    notes: Path | None = Field(
        None,
        description="Directory for notes of where each chain ends, written after a sound look at the whole topic: let "
        "it lie where the brokers' owner cannot write; default: `notes` in the data directory",
    )


class AuditorSettings(WorkerSettings):
    """What the worker `auditor` needs."""

    audit: AuditWatchSettings = AuditWatchSettings()


class Auditor:
    """Only reads the topic, as a user who may do nothing else; any number of them may run.

    New events are held against their chains once an interval. What lies there already is looked at again as a whole
    once in a longer while, for whoever owns the brokers' disks may change it later; the chains' ends of the look
    before, and those of the newest note, must still be there then.

    Source: S8 (segregation of duties: who watches the audit writes none), I4.
    """

    def __init__(self, settings: AuditorSettings, registry: CollectorRegistry) -> None:
        self._settings = settings.audit
        self._notes = settings.audit.notes or settings.data_dir / "notes"
        self._cluster = Cluster(settings.kafka, settings.registry)
        self._lock = Lock()
        self._reading: AuditReading | None = None
        self._coming: AuditReading | None = None
        """A look at the whole topic that has begun; the servers may be away before it ends."""
        self._whole_at = self._looked_at = 0.0
        self._faults = Gauge(metrics.AUDIT_FAULTS.name, metrics.AUDIT_FAULTS.help, registry=registry)
        self._events = Gauge(metrics.AUDIT_EVENTS.name, metrics.AUDIT_EVENTS.help, registry=registry)
        verified = metrics.AUDIT_VERIFIED_TIMESTAMP_SECONDS
        self._verified = Gauge(verified.name, verified.help, verified.labels, registry=registry)
        for scope in ("new", "whole"):
            self._verified.labels(scope).set(0)

    def run(self, stop: Event) -> None:
        """Look once an interval until `stop` is set.

        Raises:
            ConfigurationError: there is no such topic, a note cannot be read, or none can be written.
        """
        if self._settings.notes is None:
            self._notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        while not stop.is_set():
            pause = self._settings.interval_seconds
            try:
                self._look()
            except Transient as exc:
                pause = exc.retry_after_seconds
                _log.warning("%s; looking again in %.1f s", exc, pause)
            stop.wait(pause)

    def ready(self) -> bool:
        """Whether the last look was not long ago; not whether the audit is sound."""
        valid_seconds = _VALID_LOOKS * self._settings.interval_seconds + 60
        return self._looked_at > 0 and monotonic() - self._looked_at <= valid_seconds

    def health(self) -> Mapping[str, object]:
        """What is wrong with the audit, for machines."""
        faults = self._worst()
        severity = "error" if faults else "fine" if self.ready() else "warning"
        return {
            "severity": severity,
            "faults": len(faults),
            "first_faults": [str(one) for one in faults[:_TOLD_FAULTS]],
        }

    def _look(self) -> None:
        began = time()
        if self._coming is None and (self._reading is None or self._is_whole_due()):
            with self._lock:
                self._coming = AuditReading(self._cluster, AUDIT, self._noted())
        reading = self._coming or self._reading
        assert reading is not None
        told = len(reading.faults)
        try:
            reading.look()
        finally:
            self._tell(reading.faults[told:])
            self._faults.set(len(self._worst()))
        self._looked_at = monotonic()
        self._verified.labels("new").set(began)
        if reading is self._coming:
            self._whole(reading, began)
        self._events.set(reading.events)

    def _whole(self, reading: AuditReading, began: float) -> None:
        self._whole_at = monotonic()
        self._verified.labels("whole").set(began)
        with self._lock:
            self._reading, self._coming = reading, None
        self._faults.set(len(reading.faults))
        self._note(reading)
        _log.info("%d events of %d chains held against each other", reading.events, len(reading.heads))

    def _worst(self) -> list[AuditFault]:
        """What is known to be wrong, also while the whole topic is looked at again."""
        with self._lock:
            readings = [one for one in (self._reading, self._coming) if one is not None]
        return max((list(one.faults) for one in readings), key=len, default=[])

    def _is_whole_due(self) -> bool:
        return monotonic() - self._whole_at >= self._settings.whole_seconds

    def _note(self, reading: AuditReading) -> None:
        if reading.faults or not reading.heads:
            return
        noted = newest_note(self._notes)
        if noted is None or noted.by_chain() != reading.heads:
            NotedHeads.of(reading.report()).write(self._notes / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.json")

    def _noted(self) -> dict[str, AuditHead]:
        """The ends of the last look, and those of the newest note; of one chain the later one."""
        note = newest_note(self._notes)
        noted = {} if note is None else note.by_chain()
        for chain_id, head in self._reading.heads.items() if self._reading is not None else ():
            if chain_id not in noted or noted[chain_id].sequence < head.sequence:
                noted[chain_id] = head
        return noted

    @staticmethod
    def _tell(faults: list[AuditFault]) -> None:
        for fault in faults[:_TOLD_FAULTS]:
            _log.error("%s is not as it was written: %s", AUDIT, fault)
        if len(faults) > _TOLD_FAULTS:
            _log.error("and %d faults more: `ordersync audit verify` names all", len(faults) - _TOLD_FAULTS)

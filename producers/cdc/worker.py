"""The capture as a deployable worker: tries again after what the environment did, stops at everything else."""

from __future__ import annotations

import gc
import logging
import threading
import time
from typing import Final

from prometheus_client import CollectorRegistry

from producers.cdc.capture import Capture
from producers.cdc.metrics import CaptureMetrics
from producers.cdc.records import RecordWriter
from producers.cdc.settings import CaptureSettings
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient

_log = logging.getLogger(__name__)

_GC_THRESHOLDS: Final = (100_000, 50, 100)
"""Rows and changes are short-lived and hold no cycles: looking for some more often costs a tenth of the time."""
_CALM_SECONDS: Final = 30.0


class CaptureWorker:
    """Hosted by `ordersync worker capture-ANYTHING`: one source database, one mapping file."""

    def __init__(self, settings: CaptureSettings, schemas: SchemaIds, registry: CollectorRegistry) -> None:
        """Raises ConfigurationError (mapping), SchemaDrift (a schema is not registered), Transient (registry away)."""
        self._settings = settings
        mapping = settings.load_mapping()
        records = RecordWriter(mapping, schemas, settings.topic_prefix)
        slot = settings.slot_of(mapping.system)
        self._capture = Capture(settings, mapping, records, schemas, CaptureMetrics(slot, registry))

    def ready(self) -> bool:
        """Whether changes flow: the snapshot is complete and the source is connected."""
        return self._capture.streaming

    def health(self) -> dict[str, object]:
        """The slot's state by the thresholds of the settings, and tables of which nothing is captured."""
        return self._capture.health()

    def run(self, stop: threading.Event) -> None:
        """Capture until `stop` is set. Raises Fatal where going on would lose something."""
        gc.set_threshold(*_GC_THRESHOLDS)
        pause_seconds = 0.0
        while not stop.is_set():
            began = time.monotonic()
            try:
                self._capture.run(stop)
            except Transient as exc:
                calm = time.monotonic() - began > _CALM_SECONDS
                pause_seconds = exc.retry_after_seconds if calm else max(exc.retry_after_seconds, 2 * pause_seconds)
                pause_seconds = min(pause_seconds, self._settings.retry_limit_seconds)
                _log.warning("%s; trying again in %.1f s from what is safe", exc, pause_seconds)
                stop.wait(pause_seconds)

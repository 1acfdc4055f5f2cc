"""Watches what the slot costs and risks at the source: retained log, distance to being invalidated, failover."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from producers.cdc.metrics import CaptureMetrics
from producers.cdc.postgres.slots import SlotState
from producers.cdc.settings import CaptureSettings

_MEBIBYTE: Final = 1 << 20
_log = logging.getLogger(__name__)


class Severity(StrEnum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class SlotHealth:
    """What is said of the slot in the log and in `/health`."""

    severity: Severity
    message: str
    retained_bytes: int


def judged(state: SlotState | None, settings: CaptureSettings) -> SlotHealth:
    """How a slot is doing by the settings' thresholds. Pure."""
    if state is None:
        return SlotHealth(Severity.ERROR, "the slot does not exist", 0)
    if state.lost:
        why = state.invalidation or f"wal_status={state.wal_status}"
        return SlotHealth(Severity.ERROR, f"slot {state.name} was invalidated ({why})", state.retained_bytes)
    size = f"slot {state.name} keeps {state.retained_bytes / _MEBIBYTE:,.0f} MiB of log on the source's disk"
    if state.safe_bytes is not None and state.safe_bytes < settings.safe_warning_bytes:
        left = f"{size}; after {max(0, state.safe_bytes) / _MEBIBYTE:,.0f} MiB more the server may invalidate it"
        return SlotHealth(Severity.ERROR, left, state.retained_bytes)
    if state.retained_bytes >= settings.retained_error_bytes:
        return SlotHealth(Severity.ERROR, size, state.retained_bytes)
    if state.retained_bytes >= settings.retained_warning_bytes:
        return SlotHealth(Severity.WARNING, size, state.retained_bytes)
    return SlotHealth(Severity.FINE, size, state.retained_bytes)


class SlotWatch:
    """Says each change for the worse or the better once; asked with every heartbeat."""

    def __init__(self, settings: CaptureSettings, metrics: CaptureMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self.health = SlotHealth(Severity.FINE, "not looked at yet", 0)

    def look(self, state: SlotState | None) -> None:
        """Judge the slot's state, set the metrics, and log what has changed."""
        health = judged(state, self._settings)
        safe_bytes = None if state is None else state.safe_bytes
        self._metrics.slot(health.retained_bytes, safe_bytes, present=state is not None and not state.lost)
        if health.severity is not self.health.severity:
            level = {Severity.FINE: logging.INFO, Severity.WARNING: logging.WARNING}.get(health.severity, logging.ERROR)
            _log.log(level, "%s", health.message)
        self.health = health

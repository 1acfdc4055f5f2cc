"""The probable cause of a difference, and how it is mended. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consumers.reconcile.attributes import Attributes
from schemas.models import Mismatch


class Cause:
    """Why two systems differ, as `orders.mismatches` says it."""

    LAG: Final = "lag"
    MANUAL_CHANGE: Final = "manual_change"
    REJECTED_EVENT: Final = "rejected_event"
    MISSING_MASTER_DATA: Final = "missing_master_data"
    LOST_EVENT: Final = "lost_event"
    UNKNOWN: Final = "unknown"


class Remedy:
    """How a difference is mended, as `orders.mismatches` says it."""

    REREAD: Final = "reread"
    RESTORE: Final = "restore"
    MEND: Final = "mend"
    WAIT: Final = "wait"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an order besides its content."""

    state_version: int | None
    erp: Attributes | None
    notes: dict[str, Sequence[str]]
    """System to what was noted of changes that its sink did not make."""
    behind: frozenset[str]
    """Systems that need not have the order's latest version yet."""


def with_cause(mismatch: Mismatch, evidence: Evidence) -> Mismatch:
    """The mismatch with its probable cause; one that has a cause already keeps it."""
    if mismatch.cause != Cause.UNKNOWN:
        return mismatch
    cause, explanation, remedy = _cause(mismatch, evidence)
    return mismatch.model_copy(update={"cause": cause, "explanation": explanation, "remedy": remedy})


def _cause(mismatch: Mismatch, evidence: Evidence) -> tuple[str, str, str | None]:
    system = mismatch.system
    if mismatch.kind == "invariant":
        return Cause.UNKNOWN, "both systems say what they were told; a rule of the business does not hold", None
    if system == "state":
        if system in evidence.behind:
            return Cause.LAG, "captures and streams have not come to what the source says now", Remedy.WAIT
        return (
            Cause.LOST_EVENT,
            f"the source says something else than the last event that arrived; nothing was refused, nothing waits "
            f"({mismatch.kind})",
            Remedy.REREAD,
        )
    noted = evidence.notes.get(system)
    if noted:
        return Cause.MANUAL_CHANGE, f"changed past its sink: {'; '.join(noted)}", Remedy.RESTORE
    if system in evidence.behind:
        return Cause.LAG, f"{system} has not come to this version yet", Remedy.WAIT
    if system == "vendors":
        told = "the workers are past this version and told nothing: set the offsets of their group back before it"
        return Cause.LOST_EVENT, told, None
    if system == "backup":
        return (*_of_backup(mismatch), None)
    return (
        (*_of_erp(mismatch, evidence), Remedy.RESTORE) if system == "erp" else (*_of_ledger(mismatch), Remedy.RESTORE)
    )


def _of_erp(mismatch: Mismatch, evidence: Evidence) -> tuple[str, str]:
    held = int((evidence.erp or {}).get("version", 0))
    if mismatch.kind == "extra":
        return Cause.MANUAL_CHANGE, "erp holds an order that was never sent to it"
    if mismatch.kind == "missing" or held < (evidence.state_version or 0):
        return Cause.LOST_EVENT, f"erp is past this version by its position, and holds version {held or 'none'}"
    return Cause.MANUAL_CHANGE, f"erp holds version {held} with other values than were sent to it"


def _of_backup(mismatch: Mismatch) -> tuple[str, str]:
    if mismatch.kind == "missing":
        return Cause.LOST_EVENT, (
            "the chained backup is past this version by its group's offsets and does not hold it: the archive copies "
            "orders.events by itself (`ordersync backup order`); find out who moved the group's offsets"
        )
    return Cause.MANUAL_CHANGE, (
        "backup.orders or orders.state was written past its own worker: keep both as they are, compare with "
        "`ordersync backup order` and `ordersync backup verify`, and look who may write to them"
    )


def _of_ledger(mismatch: Mismatch) -> tuple[str, str]:
    if mismatch.kind == "extra" or (mismatch.field or "").startswith(("imbalance_", "functional_imbalance_")):
        return Cause.MANUAL_CHANGE, "no entry that is sent to the ledger is like that"
    return Cause.LOST_EVENT, "entries are missing, although the ledger is past them by its position"

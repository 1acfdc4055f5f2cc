"""When a restore was last rehearsed and how it ended, from the audit log; pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from consumers.backup.vault.audit import AuditEntry

PASSED, FAILED = "DrillPassed", "DrillFailed"
"""Actions of the audit log."""


class Rehearsals(NamedTuple):
    """The last drill of each outcome."""

    passed_at: datetime | None = None
    failed_at: datetime | None = None

    def after(self, entry: AuditEntry) -> Rehearsals:
        """With one more entry of the log."""
        if entry.action == PASSED:
            return self._replace(passed_at=entry.occurred_at)
        if entry.action == FAILED:
            return self._replace(failed_at=entry.occurred_at)
        return self

    def alarm(self, every_days: float, now: datetime) -> str | None:
        """Why somebody must act; None where the last drill passed and is not older than the policy allows."""
        if self.failed_at is not None and (self.passed_at is None or self.passed_at < self.failed_at):
            return f"the last drill, at {self.failed_at.isoformat()}, failed; see `backup audit`"
        if self.passed_at is None:
            return "no restore was ever rehearsed; run `backup drill`"
        if now - self.passed_at > timedelta(days=every_days):
            return f"the last drill was at {self.passed_at.isoformat()}, more than {every_days:g} days ago"
        return None
